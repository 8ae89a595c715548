"""Drift: every way in which what runs is not what is in force, and which groups heal it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fleets import (
    NEW,
    NEW_IMAGE,
    OLD,
    OLD_IMAGE,
    ROOT,
    SNAPSHOT,
    fleet,
    group,
    member,
    observed,
    ref,
    running,
    version,
)

from goldpress.aws.volumes import Disk
from goldpress.fleet.drift import Drift, InForce, by_hand, healings, of_group, of_running
from goldpress.fleet.owner import advice, owner_of

HELD = "ami-00000000000000009"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEY = "123456789012/us-east-1/web-a"


def force(**changes: Any) -> InForce:
    return InForce(
        **{
            "digest": NEW_IMAGE,
            "ami": NEW,
            "snapshot": SNAPSHOT,
            "root_device": ROOT,
            "images": {OLD: OLD_IMAGE, NEW: NEW_IMAGE, HELD: f"sha256:{'9' * 64}"},
            "held": frozenset({HELD}),
            "now": NOW,
            **changes,
        }
    )


def rolled(*, ami: str = NEW, **changes: Any) -> Any:
    """A group that launches and runs the AMI in force, but for the changes."""
    found = group(2, template=ref("4"))
    return observed(found, ami=ami, template=version("4", ami=NEW), **changes)


def drifts(of: Any, disks: Any = (), terms: Any = None, **changes: Any) -> list[Drift]:
    return list(of_group(of, terms or fleet(), force(**changes), disks))


def kinds(rows: list[Drift]) -> list[str]:
    return [row.kind for row in rows]


def disk(number: int, snapshot: str) -> Disk:
    return Disk(
        volume=f"vol-{number}",
        instance=member(number).id,
        device=ROOT,
        snapshot=snapshot,
        ends=True,
    )


def test_a_group_that_runs_what_is_in_force_did_not_drift() -> None:
    assert drifts(rolled(), [disk(1, SNAPSHOT), disk(2, SNAPSHOT)]) == []


def test_an_instance_with_the_image_before_is_told_by_its_digest() -> None:
    of = rolled()
    of = observed(
        of.group, ami=NEW, template=of.template,
        running={
            **of.running, member(1).id: running(member(1), OLD),
        },
    )  # fmt: skip
    (found,) = drifts(of)
    assert (found.kind, found.instance, found.ami, found.image) == (
        "image", member(1).id, OLD, OLD_IMAGE,
    )  # fmt: skip
    assert "111111111111" in found.why
    (healing,) = healings([found])
    assert (healing.group, healing.skip_matching) == (KEY, True)


def test_an_ami_that_nobody_published_is_told_as_that() -> None:
    (found, _) = drifts(rolled(ami="ami-0000000f"))
    assert found.image == ""
    assert "which is no image of this store" in found.why


def test_a_held_image_is_told_apart() -> None:
    assert kinds(drifts(rolled(ami=HELD))) == ["held", "held"]


def test_an_instance_whose_disk_was_changed_needs_more_than_skip_matching() -> None:
    """ReplaceRootVolume leaves the instance's launch template as it was."""
    (found,) = drifts(rolled(), [disk(1, "snap-9"), disk(2, SNAPSHOT)])
    assert (found.kind, found.instance) == ("changed", member(1).id)
    assert f"made from snap-9, not from the AMI's {SNAPSHOT}" in found.why
    (healing,) = healings([found])
    assert not healing.skip_matching


def test_a_root_volume_that_auto_scaling_replaced_is_told_by_its_new_ami() -> None:
    of = rolled()
    changed = group(1, template=ref("4"), members=(member(1, ami=OLD),))
    found = drifts(observed(changed, ami=NEW, template=of.template))
    assert kinds(found) == ["image"]
    assert found[0].ami == OLD


def test_an_instance_that_was_put_in_by_hand_is_told() -> None:
    of = group(1, template=ref("4"), members=(member(1, template=None),))
    (found,) = drifts(observed(of, ami=NEW, template=version("4", ami=NEW)))
    assert found.kind == "attached"
    assert healings([found])[0].skip_matching


@pytest.mark.parametrize(("days", "old"), [(30, True), (31, False), (None, False)])
def test_an_instance_older_than_the_fleet_allows(days: int | None, old: bool) -> None:
    found = drifts(rolled(), terms=fleet(max_age_days=days))
    assert kinds(found) == (["old", "old"] if old else [])
    if old:
        assert "launched 2026-10-01T00:00:00Z; the fleet allows 30 days" in found[0].why
        # It runs the version that is wanted: with skip matching AWS would leave it.
        assert not healings(found)[0].skip_matching


def test_what_is_in_quarantine_is_left_alone() -> None:
    of = rolled()
    rows = {k: running(member(1), OLD, quarantine="odd") for k in of.running}
    assert drifts(observed(of.group, template=of.template, running=rows)) == []
    assert not of_running(running(member(1), OLD, quarantine="odd"), fleet(), NEW, NOW)


def test_a_group_that_was_moved_back_names_who_did_it() -> None:
    of = group(0, min=0, members=(), tags={"aws:cloudformation:stack-name": "web-prod"})
    (found,) = drifts(observed(of, template=version("3")), rolled={KEY: "4"})
    assert (found.kind, found.instance) == ("template", "")
    assert "moved from version 4, which the last roll gave it, to 3" in found.why
    assert "by the CloudFormation stack web-prod" in found.why
    assert "LatestVersionNumber" in found.hint


def test_a_group_that_was_moved_back_by_nobody_known_names_who_made_the_version() -> None:
    of = group(0, min=0, members=())
    (found,) = drifts(observed(of, template=version("3")), rolled={KEY: "4"})
    assert "arn:aws:iam::123456789012:user/ops made that version" in found.why


def test_a_group_that_follows_the_latest_version_is_told_with_the_way_out() -> None:
    of = group(0, min=0, members=(), template=ref("$Latest"))
    (found,) = drifts(observed(of, template=version("7")))
    assert found.hint == "`./inv roll.adopt web-a`"


def test_a_group_that_was_never_rolled_only_waits_for_its_roll() -> None:
    (found,) = drifts(observed(group(0, min=0, members=())))
    assert f"web version 3 launches {OLD}, not {NEW}" in found.why
    assert found.hint == "`./inv roll` brings the image in force"


def test_a_group_that_would_launch_a_held_image_is_told_as_that() -> None:
    of = observed(group(0, min=0, members=()), template=version("3", ami=HELD))
    assert kinds(drifts(of)) == ["held"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"group": ""}, True),
        ({"group": "other"}, False),
        ({"group": "", "trial": "token"}, False),
        ({"group": "", "quarantine": "odd"}, False),
        ({"group": "", "state": "shutting-down"}, False),
    ],
)
def test_an_instance_launched_by_hand_is_told_and_not_healed(
    changes: dict[str, str], told: bool
) -> None:
    rows = list(by_hand("123456789012/us-east-1", [running(member(1), OLD, **changes)], force()))
    assert bool(rows) is told
    assert healings(rows) == ()


def test_a_group_is_healed_once_for_all_that_is_wrong_with_it() -> None:
    found = drifts(rolled(ami=OLD), terms=fleet(max_age_days=1))
    assert len(found) == 4
    (healing,) = healings(found)
    assert (healing.why, healing.skip_matching) == ("image; old", False)


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({"aws:cloudformation:stack-name": "s"}, "the CloudFormation stack s"),
        ({"ManagedBy": "terraform"}, "Terraform (by its tag ManagedBy=terraform)"),
        ({"iac": "OpenTofu"}, "Terraform (by its tag iac=OpenTofu)"),
        ({"terraform-workspace": "prod"}, "Terraform (by its tag terraform-workspace=prod)"),
        ({"team": "terraformers"}, ""),
    ],
)
def test_who_manages_a_group(tags: dict[str, str], owner: str) -> None:
    assert owner_of(group(tags=tags)) == owner


def test_who_made_a_version_tells_it_as_well() -> None:
    made = version()
    by = type(made)(**{**vars(made), "by": "arn:aws:sts::1:assumed-role/terraform/x"})
    assert owner_of(group(), by).startswith("Terraform (arn:aws:sts")
    assert "ignore_changes" in advice(owner_of(group(), by))
    assert "leave the group's" in advice("")


def test_what_a_reader_can_see_without_its_group() -> None:
    assert of_running(running(member(1), OLD), fleet(), NEW, NOW)
    assert not of_running(running(member(1), NEW), fleet(), NEW, NOW)
    assert of_running(running(member(1), NEW), fleet(max_age_days=1), NEW, NOW)
