"""What a refresh promises for any preferences, sizes, failures and moves of the desired size."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scaled import Stage, stage

from goldpress.emulator.inprocess import InProcessCloud
from goldpress.emulator.scaling.member import PENDING
from goldpress.emulator.scaling.pace import limits
from goldpress.emulator.settings import Model

models = st.builds(
    Model,
    median_seconds=st.sampled_from([20.0, 90.0, 400.0]),
    sigma=st.sampled_from([0.0, 0.6]),
    never_runs=st.sampled_from([0.0, 0.3, 1.0]),
    never_healthy=st.sampled_from([0.0, 0.3, 1.0]),
    bad_zones=st.sampled_from([(), ("b",)]),
    serves=st.sampled_from([200, 500]),
)


@st.composite
def preferences(draw: st.DrawFn) -> dict[str, Any]:
    """Any that AWS takes, launching first by an explicit maximum."""
    least = draw(st.integers(0, 100))
    found: dict[str, Any] = {
        "MinHealthyPercentage": least,
        "MaxHealthyPercentage": draw(st.integers(max(100, least), min(200, least + 100))),
        "SkipMatching": draw(st.booleans()),
        "AutoRollback": draw(st.booleans()),
        "InstanceWarmup": draw(st.sampled_from([0, 60, 300])),
    }
    if draw(st.booleans()):
        points = draw(st.sets(st.integers(1, 99), max_size=3))
        found["CheckpointPercentages"] = [*sorted(points), 100]
        found["CheckpointDelay"] = draw(st.sampled_from([0, 60, 900]))
    if draw(st.booleans()):
        found["BakeTime"] = 300
    return found


def watch(found: Stage, wanted: dict[str, Any]) -> list[str]:
    """What was broken at a moment in which the refresh was replacing instances."""
    broken: list[str] = []
    group = found.group

    def look(_: InProcessCloud) -> None:
        refresh = group.refresh
        if refresh is None or refresh.status not in {"InProgress", "RollbackInProgress"}:
            return
        bounds = limits(
            group.desired, min_healthy=wanted["MinHealthyPercentage"],
            max_healthy=wanted["MaxHealthyPercentage"],
        )  # fmt: skip
        ready, live = len(group.members.ready), group.members.live
        if ready < bounds.floor:
            broken.append(f"{ready} ready, {bounds.floor} promised")
        if live > bounds.ceiling:
            broken.append(f"{live} live, at most {bounds.ceiling} promised")
        done = refresh.percentage(group.desired)
        if not 0 <= done <= 100:
            broken.append(f"{done} percent")

    found.cloud.watchers.append(look)
    return broken


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(desired=st.integers(0, 12), wanted=preferences(), model=models, seed=st.integers(0, 99))
def test_healthy_at_the_floor_and_total_at_the_ceiling(
    desired: int, wanted: dict[str, Any], model: Model, seed: int
) -> None:
    """Good old instances, any new ones: the bounds hold at each moment until the refresh is over.

    Instances that are healthy, then fail, are left out: no rule promises anything about them.
    """
    found = stage(desired=desired, models={"ami-b": model}, settings={"seed": seed})
    broken = watch(found, wanted)
    found.start(**wanted)
    ends = {"Successful", "Failed", "RollbackSuccessful", "RollbackFailed"}
    found.until(lambda: found.group.refreshes[-1].status in ends, hours=30, step=300)
    assert not broken, broken[:3]
    status = found.group.refreshes[-1].status
    if status == "Successful":
        assert set(found.versions) <= {"2"}
        assert found.described["LaunchTemplate"]["Version"] == "2"
    else:
        assert found.described["LaunchTemplate"]["Version"] == "1"
    if status == "RollbackSuccessful":
        assert set(found.versions) <= {"1"}
    found.cloud.advance(1800)
    if found.versions == {"1": desired}:
        assert len(found.group.members.ready) == desired


actions = st.lists(
    st.tuples(
        st.sampled_from(
            ["desired", "kill", "cancel", "rollback", "start", "protect", "standby", "back",
             "unhealthy", "suspend", "resume", "detach"]
        ),
        st.integers(0, 11),
        st.integers(0, 1200),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=actions, seed=st.integers(0, 99))
def test_whatever_people_do_the_group_ends_at_its_desired_size(
    steps: list[tuple[str, int, int]], seed: int
) -> None:
    """The sets in which the rules count agree with the instances, and everything settles."""
    found = stage(desired=5, settings={"seed": seed}, most=12)
    for action, number, seconds in steps:
        act(found, action, number)
        found.cloud.advance(seconds)
        consistent(found)
    if found.group.refresh is not None and found.group.refresh.status != "Cancelling":
        found.asg("cancel_instance_refresh")
    found.asg("resume_processes")
    if found.ids:
        found.asg("set_instance_protection", InstanceIds=found.ids, ProtectedFromScaleIn=False)
    found.cloud.advance(3600)
    consistent(found)
    assert found.group.refresh is None
    assert found.group.members.live == found.group.desired
    assert len(found.group.members.ready) == found.group.desired


def act(found: Stage, action: str, number: int) -> None:
    ids = found.ids
    one = ids[number % len(ids)] if ids else ""
    refresh = found.group.refresh
    if action == "desired":
        found.asg("set_desired_capacity", DesiredCapacity=number)
    elif action == "start" and refresh is None:
        found.start(2 + number % 2, **({"CheckpointPercentages": [40, 100]} if number > 5 else {}))
    elif action == "cancel" and refresh is not None and refresh.status != "Cancelling":
        found.asg("cancel_instance_refresh", WaitForTransitioningInstances=number > 3)
    elif action == "rollback" and refresh is not None and refresh.status in {
        "Pending", "InProgress",
    }:  # fmt: skip
        found.asg("rollback_instance_refresh")
    elif action == "suspend":
        names = ["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "InstanceRefresh"]
        found.asg("suspend_processes", ScalingProcesses=[names[number % 5]])
    elif action == "resume":
        found.asg("resume_processes")
    elif action == "back":
        away = list(found.group.members.by_state["Standby"])
        room = found.group.max - found.group.desired
        if away and room and found.group.may("Launch"):
            found.asg("exit_standby", InstanceIds=away[:1])
    elif one:
        act_on(found, action, one)


def act_on(found: Stage, action: str, one: str) -> None:
    if action == "kill":
        found.service("ec2").terminate_instances(InstanceIds=[one])
    elif action == "protect":
        member = found.group.members.every[one]
        found.asg(
            "set_instance_protection", InstanceIds=[one],
            ProtectedFromScaleIn=not member.protected,
        )  # fmt: skip
    elif action == "standby":
        found.asg("enter_standby", InstanceIds=[one], ShouldDecrementDesiredCapacity=False)
    elif action == "detach":
        found.asg("detach_instances", InstanceIds=[one], ShouldDecrementDesiredCapacity=False)
    elif action == "unhealthy":
        found.asg(
            "set_instance_health", InstanceId=one, HealthStatus="Unhealthy",
            ShouldRespectGracePeriod=False,
        )  # fmt: skip


def consistent(found: Stage) -> None:
    members = found.group.members
    every = list(members.every.values())
    assert members.live == sum(m.live for m in every)
    assert dict(+members.in_zone) == {
        zone: sum(m.live and m.zone == zone for m in every)
        for zone in {m.zone for m in every if m.live}
    }
    for state, rows in members.by_state.items():
        assert set(rows) == {m.id for m in every if m.state == state}
    assert set(members.ready) == {m.id for m in every if m.ready}
    assert all(m.state == "InService" for m in members.ready.values())
    refresh = found.group.refresh
    if refresh is not None and refresh.status in {"InProgress", "RollbackInProgress"}:
        split = refresh.sorted
        assert {*split.old, *split.fresh} == {
            m.id for m in every if m.live or (m.state == "Standby" and m.id in split.old)
        }
        assert split.unready == sum(not m.ready for m in split.eligible.values())
    pending = [m for m in every if m.state in PENDING]
    assert all(m.due < float("inf") for m in pending)
