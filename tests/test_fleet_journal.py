"""The journal of a roll: it comes back as it was written, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rolled import Rolled, three

from goldpress.errors import ConflictError, DocumentError
from goldpress.fleet.journal import (
    Canary,
    Failure,
    GroupRoll,
    Intent,
    Pointer,
    RollJournal,
    RollState,
    journal_key,
    parse_state,
)
from goldpress.store.directory import DirectoryObjects


@pytest.fixture
def fleet(tmp_path: Path) -> Rolled:
    return three(tmp_path)


def full(fleet: Rolled) -> RollState:
    key = fleet.groups[0].key
    roll = GroupRoll(
        state="started", to_version="2", refresh="r-1", share=50, since=5.0, back=True,
        earlier=True, lost=("i-1",), why="so", intent=Intent(call="start", at=4.0, known=("r-0",)),
    )  # fmt: skip
    return replace(
        fleet.state,
        groups={**fleet.state.groups, key: roll},
        canary=Canary(stage="proven", token="t", instance="i-9", since=1.0, proof="p", attempt=2),  # noqa: S106 - no secret
        failure=Failure(why="bad", at=3.0, by_hand=True),
        pointers={"us-east-1": Pointer(before="a", after="b", where="moved")},
        left={"hold": "nobody signs"},
        gates=("healthy open",),
    )


def test_it_comes_back_as_it_was_written(fleet: Rolled) -> None:
    journal = fleet.journal()
    journal.write(full(fleet), fence=7)
    assert fleet.state == full(fleet)
    assert fleet.journal().journal.values["fence"] == 7


def test_what_is_not_said_any_more_is_gone(fleet: Rolled) -> None:
    fleet.journal().write(full(fleet), fence=1)
    fleet.write(lambda state: replace(state, failure=None, left={}))
    assert fleet.state.failure is None
    assert fleet.state.left == {}


def test_without_a_change_nothing_is_written(fleet: Rolled) -> None:
    path = fleet.root / "journals/roll/web/prod.json"
    before = path.stat().st_mtime_ns
    journal = fleet.journal()
    assert journal.state is not None
    journal.write(journal.state, fence=9)
    assert path.stat().st_mtime_ns == before


def test_of_two_writers_the_second_is_told(fleet: Rolled) -> None:
    one, other = fleet.journal(), fleet.journal()
    one.write(replace(fleet.state, paused="one"), fence=1)
    with pytest.raises(ConflictError, match="someone else is at the same work"):
        other.write(replace(fleet.state, paused="other"), fence=2)
    assert fleet.state.paused == "one"


def test_a_channel_that_was_never_rolled_has_none(tmp_path: Path) -> None:
    objects = DirectoryObjects(root=tmp_path)
    assert RollJournal.read(objects, "web", "prod").state is None


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "flying"},
        {"groups": {"a": {}}},
        {"groups": 5},
        {"more": 1},
        {"canary": {"stage": "", "colour": "yellow"}},
    ],
)
def test_another_form_is_refused(fleet: Rolled, change: dict[str, object]) -> None:
    value = json.loads(json.dumps({**fleet.state.document(), **change}))
    with pytest.raises(DocumentError, match=r"^here: not the journal of a roll: "):
        parse_state(value, where="here")


def test_a_state_of_a_group_that_is_none_is_refused(fleet: Rolled) -> None:
    value = fleet.state.document()
    value["groups"][fleet.groups[0].key]["state"] = "odd"
    with pytest.raises(DocumentError, match="'odd' is no state of it"):
        parse_state(value, where="here")


def test_a_group_is_touched_from_when_its_start_was_meant() -> None:
    assert not GroupRoll(state="template", to_version="2").touched
    meant = GroupRoll(intent=Intent(call="start", at=10.0))
    assert meant.touched
    assert meant.moving
    assert GroupRoll(earlier=True).touched
    assert not GroupRoll(intent=Intent(call="template", at=10.0)).touched
    assert (meant.may_show(24.9), meant.may_show(25.0)) == (True, False)


def test_its_key_is_the_channels() -> None:
    assert journal_key("web", "prod") == "journals/roll/web/prod.json"
