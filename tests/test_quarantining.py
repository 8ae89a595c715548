"""Quarantining, and adopting, of whatever a fleet has, in a cloud of rules."""

from __future__ import annotations

import pytest
from fleeted import Fleeted
from promotable import ACCOUNT

from goldpress import adoption, drifting, quarantining
from goldpress.aws.running import QUARANTINE
from goldpress.emulator.inprocess import Death
from goldpress.emulator.simulated.disks import STAYS
from goldpress.errors import DocumentError, MissingError
from goldpress.fleet.isolation import Isolated


def put(of: Fleeted, instance: str, *, detach: bool = False) -> Isolated:
    return quarantining.quarantine(of.site.ws, instance, why="odd", reach=of.reach, detach=detach)


def released(of: Fleeted, instance: str) -> None:
    quarantining.release(of.site.ws, instance, reach=of.reach)
    of.settle()


def state(of: Fleeted, instance: str, group: str = "web-a") -> str:
    rows = {row["InstanceId"]: row for row in of.group(group)["Instances"]}
    return str(rows[instance]["LifecycleState"]) if instance in rows else ""


def test_another_comes_in_its_place_and_nothing_of_it_is_lost(fleeted: Fleeted) -> None:
    one = fleeted.members("web-a")[0]
    put(fleeted, one)
    fleeted.settle()
    machine = fleeted.place.machines.every[one]
    assert state(fleeted, one) == "Standby"
    assert len(fleeted.members("web-a")) == 3
    assert fleeted.group("web-a")["DesiredCapacity"] == 2
    assert machine.tags[QUARANTINE] == "odd"
    assert machine.extra[STAYS]
    (row,) = drifting.drift(fleeted.site.ws, "staging", reach=fleeted.reach)
    assert one not in {drift.instance for drift in row.rows}


def test_released_everything_is_as_it_was(fleeted: Fleeted) -> None:
    one = fleeted.members("web-a")[0]
    put(fleeted, one)
    fleeted.settle()
    released(fleeted, one)
    machine = fleeted.place.machines.every[one]
    assert fleeted.group("web-a")["DesiredCapacity"] == 2
    assert len(fleeted.members("web-a")) == 2
    assert QUARANTINE not in machine.tags
    assert not machine.extra[STAYS]
    with pytest.raises(MissingError, match="is not in quarantine"):
        released(fleeted, fleeted.members("web-a")[0])


@pytest.mark.parametrize("detach", [False, True])
def test_no_refresh_ends_it(fleeted: Fleeted, detach: bool) -> None:
    """Not even one that somebody else starts, if it was detached."""
    one = fleeted.members("web-a")[0]
    put(fleeted, one, detach=detach)
    fleeted.settle()
    standby = "Terminate" if detach else "Ignore"
    fleeted.scaling(
        "StartInstanceRefresh", AutoScalingGroupName="web-a",
        Preferences={"StandbyInstances": standby, "MinHealthyPercentage": 0},
    )  # fmt: skip
    fleeted.settle(3600)
    assert fleeted.place.machines.state(one) == "running"
    assert state(fleeted, one) == ("" if detach else "Standby")


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_call_it_ends_as_if_it_had_not_been(fleeted: Fleeted, after: bool) -> None:
    """B3.4: whatever died in between, sizes and disks are as they would have been."""
    cloud = fleeted.cloud
    one = fleeted.members("web-a")[0]
    put(fleeted, one)
    fleeted.settle()
    calls = len(cloud.calls)
    released(fleeted, one)
    assert calls > 8
    for number in range(calls):
        one = fleeted.members("web-a")[0]
        for act in (put, released):
            killed(fleeted, act, one, number, after=after)
            fleeted.settle()
        found = fleeted.group("web-a")
        assert (found["DesiredCapacity"], len(found["Instances"])) == (2, 2), number


def killed(of: Fleeted, act: object, one: str, number: int, *, after: bool) -> None:
    """Kill it at a call, if it comes so far, and do it again."""
    cloud = of.cloud
    cloud.calls.clear()
    cloud.kill, cloud.kill_after = number, after
    try:
        act(of, one)  # type: ignore[operator]
    except Death:
        cloud.kill = None
        of.settle(30)
        try:
            act(of, one)  # type: ignore[operator]
        except MissingError as error:
            # The death came after the last step.
            assert "is not in quarantine" in error.message  # noqa: PT017
    finally:
        cloud.kill = None


def test_what_is_of_no_fleet_is_not_touched(fleeted: Fleeted) -> None:
    with pytest.raises(MissingError, match="i-0123456789abcdef0 is in no place"):
        put(fleeted, "i-0123456789abcdef0")
    with pytest.raises(DocumentError, match="'web-a' is not the id of an instance"):
        put(fleeted, "web-a")
    with pytest.raises(DocumentError, match="say why"):
        quarantining.quarantine(fleeted.site.ws, "i-0123456789abcdef0", why=" ")
    fleeted.place.add_group("other", image=fleeted.ami("a"), desired=1)
    fleeted.settle()
    (one,) = fleeted.members("other")
    with pytest.raises(MissingError, match="in the group other, which is of no fleet"):
        put(fleeted, one)
    assert fleeted.written() == []


def test_where_the_fleet_ends_what_is_in_standby_it_is_detached(fleeted: Fleeted) -> None:
    path = fleeted.site.ws.project / fleeted.channel.path
    path.write_text(path.read_text().replace("max_age_days: 30", "replacing: {standby: terminate}"))
    assert put(fleeted, fleeted.members("web-a")[0]).way == "detached"


def latest(of: Fleeted, name: str) -> None:
    template = of.group(name)["LaunchTemplate"]["LaunchTemplateId"]
    of.scaling(
        "UpdateAutoScalingGroup", AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
    )  # fmt: skip


def test_a_group_is_adopted_when_that_was_confirmed_and_only_then(fleeted: Fleeted) -> None:
    latest(fleeted, "web-a")
    ws, reach = fleeted.site.ws, fleeted.reach
    shown = adoption.adopt(ws, "web-a", reach=reach)
    assert shown.needed
    assert fleeted.written() == []
    before = fleeted.members("web-a")
    adoption.adopt(ws, f"{ACCOUNT}/us-east-1/web-a", confirmed=True, reach=reach)
    assert fleeted.group("web-a")["LaunchTemplate"]["Version"] == "1"
    assert fleeted.written() == ["autoscaling:UpdateAutoScalingGroup"]
    fleeted.settle()
    assert fleeted.members("web-a") == before
    assert not adoption.adopt(ws, "web-a", confirmed=True, reach=reach).needed


def test_a_group_of_no_fleet_is_not_adopted(fleeted: Fleeted) -> None:
    with pytest.raises(MissingError, match="no fleet of any channel has a group 'other'"):
        adoption.adopt(fleeted.site.ws, "other", reach=fleeted.reach)
