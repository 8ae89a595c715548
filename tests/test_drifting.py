"""Drifting: what runs and is not in force is found, and just its groups are healed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from fleeted import Fleeted, make_fleeted
from promotable import ACCOUNT, Site, held

from goldpress import drifting
from goldpress.channel import Channel
from goldpress.drifting import Drifted
from goldpress.emulator.simulated.disks import replace_root
from goldpress.errors import ConflictError, MissingError, PromotionError, VerifyError
from goldpress.fleet.drift import Healing
from goldpress.rolling import Roller

PLACE = f"{ACCOUNT}/us-east-1"


@pytest.fixture
def fresh(site: Site) -> Fleeted:
    """Everything runs what is in force."""
    return make_fleeted(site, running="b")


def found(of: Fleeted, **given: object) -> Drifted:
    (row,) = drifting.drift(
        of.site.ws, "staging", reach=of.reach, now=datetime.fromtimestamp(of.cloud.clock.at, UTC),
        **given,  # type: ignore[arg-type]
    )  # fmt: skip
    return row


def kinds(row: Drifted) -> list[tuple[str, str]]:
    return sorted((drift.group.rpartition("/")[2], drift.kind) for drift in row.rows)


def replaced_by_hand(of: Fleeted) -> str:
    """Somebody detaches an instance, and puts one of the image before in its place."""
    old = of.members("web-a")[0]
    of.scaling(
        "DetachInstances", AutoScalingGroupName="web-a", InstanceIds=[old],
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip
    client = of.cloud.access(ACCOUNT).client("ec2", "us-east-1")
    client.terminate_instances(InstanceIds=[old])
    made = client.run_instances(
        ImageId=of.ami("a"), InstanceType="t3.small", MinCount=1, MaxCount=1
    )
    instance = str(made["Instances"][0]["InstanceId"])
    of.settle(60)
    of.scaling("AttachInstances", AutoScalingGroupName="web-a", InstanceIds=[instance])
    of.settle()
    of.cloud.calls.clear()
    return instance


def test_nothing_drifted(fresh: Fleeted) -> None:
    row = found(fresh)
    assert (row.rows, row.instances, row.count) == ((), 3, 0)
    assert drifting.failure([row]) is None
    assert fresh.written() == []


def test_instances_with_the_image_before_and_their_groups_are_told(fleeted: Fleeted) -> None:
    row = found(fleeted)
    assert kinds(row) == [
        ("web-a", "image"), ("web-a", "image"), ("web-a", "template"),
        ("web-b", "image"), ("web-b", "template"),
    ]  # fmt: skip
    error = drifting.failure([row])
    assert isinstance(error, VerifyError)
    assert "5 findings; the first: 123456789012/us-east-1/web-a: template" in error.message


def test_an_instance_replaced_by_hand_is_found_and_healed(fresh: Fleeted) -> None:
    instance = replaced_by_hand(fresh)
    row = found(fresh)
    assert [(drift.instance, drift.kind) for drift in row.rows] == [(instance, "image")]
    healed = drifting.heal(fresh.site.ws, row, lambda _, rows: rolled(fresh, rows))
    assert [heal.group for heal in healed.healed] == [f"{PLACE}/web-a"]
    assert drifting.failure([healed]) is None
    assert found(fresh).rows == ()
    assert len(fresh.members("web-a")) == 2
    started = [call for call in fresh.written() if call == "autoscaling:StartInstanceRefresh"]
    assert len(started) == 1


def rolled(of: Fleeted, rows: Iterable[Healing]) -> None:
    """Heal as the command does, and let time pass until it is through."""
    wanted = tuple(rows)
    roller = Roller(
        ws=of.site.ws, channel=of.channel, reach=of.reach, now=lambda: of.cloud.clock.at,
        sleep=of.cloud.advance,
    )  # fmt: skip
    ending = roller.heal(wanted)
    for _ in range(200):
        if type(ending).__name__ == "Done":
            return
        assert type(ending).__name__ == "Waiting", ending
        of.cloud.advance(60)
        ending = roller.roll()
    raise AssertionError(ending)


def test_an_instance_that_is_too_old_is_replaced_though_it_matches(fresh: Fleeted) -> None:
    fresh.settle(31 * 86_400)
    row = found(fresh)
    assert set(kinds(row)) == {("web-a", "old"), ("web-b", "old")}
    before = set(fresh.members("web-a"))
    drifting.heal(fresh.site.ws, row, lambda _, rows: rolled(fresh, rows))
    assert found(fresh).rows == ()
    assert not before & set(fresh.members("web-a"))


def test_an_instance_whose_disk_was_changed_is_told(fresh: Fleeted) -> None:
    (instance,) = fresh.members("web-b")
    replace_root(fresh.place, instance, "snap-99999999")
    (drift,) = found(fresh).rows
    assert (drift.instance, drift.kind) == (instance, "changed")
    assert "was made from snap-99999999" in drift.why


def test_an_instance_launched_by_hand_is_told_and_not_healed(fresh: Fleeted) -> None:
    client = fresh.cloud.access(ACCOUNT).client("ec2", "us-east-1")
    made = client.run_instances(
        ImageId=fresh.ami("b"), InstanceType="t3.small", MinCount=1, MaxCount=1
    )
    fresh.settle(60)
    row = found(fresh)
    (drift,) = row.rows
    assert (drift.kind, drift.group) == ("by-hand", PLACE)
    assert drift.instance == made["Instances"][0]["InstanceId"]
    healed = drifting.heal(fresh.site.ws, row, never)
    assert isinstance(drifting.failure([healed]), VerifyError)


def never(_: Channel, rows: Iterable[Healing]) -> None:
    raise AssertionError(f"nothing is to be healed: {list(rows)}")


def test_a_held_image_in_force_is_not_healed_to(fleeted: Fleeted) -> None:
    """A roll back to the image before, whose hold nobody has ended yet."""
    row = found(fleeted)
    held(fleeted.site, fleeted.digest, "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        drifting.heal(fleeted.site.ws, row, never)


def test_what_runs_a_held_image_is_told_apart(fleeted: Fleeted) -> None:
    held(fleeted.site, fleeted.before, "it burned")
    assert {drift.kind for drift in found(fleeted).rows} == {"held"}


def test_a_group_that_was_moved_back_after_a_roll_names_who_did_it(fleeted: Fleeted) -> None:
    rolled_to_the_end(fleeted)
    assert found(fleeted).rows == ()
    template = fleeted.group("web-a")["LaunchTemplate"]["LaunchTemplateId"]
    fleeted.scaling(
        "CreateOrUpdateTags",
        Tags=[
            {
                "ResourceId": "web-a", "ResourceType": "auto-scaling-group",
                "Key": "managed-by", "Value": "terraform", "PropagateAtLaunch": False,
            }
        ],
    )  # fmt: skip
    fleeted.scaling(
        "UpdateAutoScalingGroup", AutoScalingGroupName="web-a",
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
    )  # fmt: skip
    (drift,) = found(fleeted).rows
    assert (drift.kind, drift.instance) == ("template", "")
    assert "moved from version 2, which the last roll gave it, to 1" in drift.why
    assert "by Terraform (by its tag managed-by=terraform)" in drift.why


def rolled_to_the_end(of: Fleeted) -> None:
    rows = tuple(
        Healing(group=f"{PLACE}/{name}", fleet="here", skip_matching=True, why="test")
        for name in ("web-a", "web-b")
    )
    rolled(of, rows)


def test_while_a_roll_is_under_way_nothing_is_healed(fleeted: Fleeted) -> None:
    rows = (Healing(group=f"{PLACE}/web-a", fleet="here", skip_matching=True, why="test"),)
    Roller(
        ws=fleeted.site.ws, channel=fleeted.channel, reach=fleeted.reach,
        now=lambda: fleeted.cloud.clock.at, sleep=fleeted.cloud.advance,
    ).heal(rows)  # fmt: skip
    row = found(fleeted)
    assert row.rolling == fleeted.digest
    assert drifting.failure([row]) is None
    with pytest.raises(ConflictError, match=r"a roll of .* is under way"):
        drifting.heal(fleeted.site.ws, row, never)


def test_a_fleet_that_cannot_be_looked_at_is_a_fault_and_not_nothing(fleeted: Fleeted) -> None:
    path = fleeted.site.ws.project / fleeted.channel.path
    path.write_text(path.read_text().replace("web-b", "web-z"))
    row = found(fleeted)
    assert row.instances == 0
    error = drifting.failure([row])
    assert isinstance(error, MissingError)
    assert "web-z" in error.message


def test_a_channel_that_is_not_there(fleeted: Fleeted) -> None:
    with pytest.raises(MissingError, match="there is no channel 'nowhere'"):
        drifting.drift(fleeted.site.ws, "nowhere", reach=fleeted.reach)


def test_the_age_is_told_by_the_clock_that_is_given(fresh: Fleeted) -> None:
    moment = datetime.fromtimestamp(fresh.cloud.clock.at, UTC) + timedelta(days=29)
    (row,) = drifting.drift(fresh.site.ws, "staging", reach=fresh.reach, now=moment)
    assert row.rows == ()
