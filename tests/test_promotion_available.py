"""What a channel needs in a region, and what has to be changed for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from attested import AMI_ID, world

from goldpress.promotion.available import Change, Found, Wanted, changes
from goldpress.store import Store

DIGEST = f"sha256:{'1' * 64}"
NAMED = f"/goldpress/web/prod/{'1' * 64}"
POINTER = "/goldpress/web/prod/current"
BEFORE = "ami-00000000000000001"
DONE = Found(
    launchers=frozenset({"111122223333"}), protected=True, before_protected=True,
    tags={"goldpress:channel:prod": "pull 7", "Name": "x"}, parameter=AMI_ID, pointer=AMI_ID,
)  # fmt: skip


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    ami = world(Store(root=tmp_path)).ami()
    return Wanted(
        image="web", channel="prod", digest=DIGEST, ami=ami, before=BEFORE,
        accounts=("111122223333", "123456789012"), tag="pull 7", pointer=True,
    )  # fmt: skip


def told(wanted: Wanted, **found: Any) -> list[tuple[str, str, str, str]]:
    rows = changes(wanted, dataclasses.replace(DONE, **found))
    return [(row.kind, row.target, row.before, row.after) for row in rows]


def test_where_all_is_so_nothing_is_changed(wanted: Wanted) -> None:
    assert told(wanted) == []


def test_from_nothing_in_an_order_that_leads_nobody_to_half_of_it(wanted: Wanted) -> None:
    found = told(
        wanted, launchers=frozenset(), protected=False, before_protected=False, tags={},
        parameter="", pointer="ami-9",
    )  # fmt: skip
    assert found == [
        ("share", AMI_ID, "none", "111122223333"),
        ("protect", AMI_ID, "not protected", "protected"),
        ("protect", BEFORE, "not protected", "protected"),
        ("tag", AMI_ID, "none", "pull 7"),
        ("parameter", NAMED, "none", AMI_ID),
        ("pointer", POINTER, "ami-9", AMI_ID),
    ]


def test_its_own_account_needs_no_permission_and_others_keep_theirs(wanted: Wanted) -> None:
    assert told(wanted, launchers=frozenset({"111122223333", "999900001111"})) == []
    more = dataclasses.replace(wanted, accounts=("111122223333", "444455556666"))
    assert told(more) == [("share", AMI_ID, "111122223333", "444455556666")]


def test_where_fleets_are_rolled_the_pointer_stays(wanted: Wanted) -> None:
    rolled = dataclasses.replace(wanted, pointer=False)
    assert told(rolled, pointer="ami-9") == []


def test_an_image_before_that_is_gone_is_not_protected(wanted: Wanted) -> None:
    assert told(wanted, before_protected=None) == []


def test_a_change_is_printed_whole(wanted: Wanted) -> None:
    (row,) = changes(wanted, dataclasses.replace(DONE, protected=False))
    assert isinstance(row, Change)
    assert row.document() == {
        "region": "us-east-1",
        "kind": "protect",
        "target": AMI_ID,
        "before": "not protected",
        "after": "protected",
    }
