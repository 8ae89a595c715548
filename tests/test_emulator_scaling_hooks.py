"""Lifecycle hooks: instances wait at their launch and at their end until someone answers."""

from __future__ import annotations

from typing import Any

import pytest
from scaled import Stage, stage

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def hooked(transition: str, **given: Any) -> Stage:
    """A group of two with a hook; a third instance is about to come, or one to go."""
    found = stage(desired=2)
    found.asg(
        "put_lifecycle_hook", LifecycleHookName="hook", LifecycleTransition=transition, **given
    )
    found.asg("set_desired_capacity", DesiredCapacity=3 if transition == LAUNCHING else 1)
    found.cloud.advance(10 if transition == LAUNCHING else 40)
    return found


def waiting(found: Stage, state: str) -> str:
    return next(m.id for m in found.group.members.every.values() if m.state == state)


def test_a_launch_waits_until_it_is_completed() -> None:
    found = hooked(LAUNCHING)
    assert found.states() == {"InService": 2, "Pending:Wait": 1}
    assert found.activities()[0]["StatusCode"] == "MidLifecycleAction"
    one = waiting(found, "Pending:Wait")
    found.asg(
        "complete_lifecycle_action", LifecycleHookName="hook", InstanceId=one,
        LifecycleActionResult="CONTINUE",
    )  # fmt: skip
    assert found.states() == {"InService": 3}
    # [D] the warm-up begins with InService, not with the launch.
    member = found.group.members.every[one]
    assert member.warm_until == found.cloud.clock.at + 60


def test_an_abandoned_launch_is_ended_and_replaced() -> None:
    found = hooked(LAUNCHING)
    one = waiting(found, "Pending:Wait")
    found.asg(
        "complete_lifecycle_action", LifecycleHookName="hook", InstanceId=one,
        LifecycleActionResult="ABANDON",
    )  # fmt: skip
    found.cloud.advance(120)
    assert found.place.machines.state(one) == "terminated"
    assert found.states() == {"InService": 2, "Pending:Wait": 1}


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_hook_that_nobody_answers_runs_out(result: str) -> None:
    """[M] PutLifecycleHook, DefaultResult; the default is ABANDON."""
    found = hooked(LAUNCHING, HeartbeatTimeout=60, DefaultResult=result)
    first = waiting(found, "Pending:Wait")
    found.cloud.advance(50)
    assert waiting(found, "Pending:Wait") == first
    found.cloud.advance(60)
    assert (first in found.ids) == (result == "CONTINUE")
    assert found.place.machines.state(first) == (
        "running" if result == "CONTINUE" else "terminated"
    )


def test_heartbeats_extend_the_wait_up_to_a_bound() -> None:
    """[M] GlobalTimeout: 100 times the heartbeat, at most 48 hours."""
    found = hooked(LAUNCHING, HeartbeatTimeout=30, DefaultResult="CONTINUE")
    one = waiting(found, "Pending:Wait")
    began = found.group.members.every[one].waits.rows["hook"].began  # type: ignore[union-attr]
    while one not in found.ids:
        found.cloud.advance(20)
        if one not in found.ids:
            found.asg("record_lifecycle_action_heartbeat", LifecycleHookName="hook", InstanceId=one)
        assert found.cloud.clock.at < began + 4000
    assert found.cloud.clock.at - began == pytest.approx(3000, abs=60)
    row = found.asg("describe_lifecycle_hooks")["LifecycleHooks"][0]
    assert (row["GlobalTimeout"], row["HeartbeatTimeout"]) == (3000, 30)


def test_an_end_waits_after_draining() -> None:
    """[D] the terminating instance is deregistered before its hook."""
    found = hooked(TERMINATING)
    assert found.states() == {"InService": 1, "Terminating:Wait": 1}
    one = waiting(found, "Terminating:Wait")
    assert found.place.targets.health(found.group.target_groups[0], one) == "unused"
    assert found.place.machines.state(one) == "running"
    found.asg(
        "complete_lifecycle_action", LifecycleHookName="hook", InstanceId=one,
        LifecycleActionResult="ABANDON",
    )  # fmt: skip
    found.cloud.advance(30)
    assert found.states() == {"InService": 1}


def test_deleting_a_hook_completes_what_waits() -> None:
    """[M] DeleteLifecycleHook: ABANDON for launches, CONTINUE for ends."""
    found = hooked(TERMINATING)
    found.asg("delete_lifecycle_hook", LifecycleHookName="hook")
    found.cloud.advance(30)
    assert found.states() == {"InService": 1}
    launch = hooked(LAUNCHING)
    one = waiting(launch, "Pending:Wait")
    launch.asg("delete_lifecycle_hook", LifecycleHookName="hook")
    launch.cloud.advance(120)
    assert one not in launch.ids
    assert launch.states() == {"InService": 3}


@pytest.mark.parametrize(
    ("operation", "given", "wanted"),
    [
        ("put_lifecycle_hook", {"LifecycleTransition": "no"}, "Invalid lifecycle transition: 'no'"),
        ("put_lifecycle_hook", {"LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 29},
         "must be between 30 and 7200 seconds, not 29"),
        ("put_lifecycle_hook", {"LifecycleTransition": LAUNCHING, "DefaultResult": "GO"},
         "must be CONTINUE or ABANDON, not 'GO'"),
        ("delete_lifecycle_hook", {}, "No Lifecycle Hook found with the name none"),
        ("complete_lifecycle_action", {"LifecycleActionResult": "CONTINUE", "InstanceId": "i-1"},
         "No active Lifecycle Action found with instance ID i-1"),
        ("record_lifecycle_action_heartbeat", {},
         "Either LifecycleActionToken or InstanceId is needed."),
    ],
)  # fmt: skip
def test_hooks_that_cannot_be(operation: str, given: dict[str, Any], wanted: str) -> None:
    found = stage(desired=1)
    request = {"LifecycleHookName": "none", **given}
    assert wanted in found.refused("ValidationError", operation, **request)


def test_a_refresh_waits_for_hooks() -> None:
    """A hook of two hours is no reason for a refresh to fail after one."""
    found = stage(desired=2)
    found.asg(
        "put_lifecycle_hook", LifecycleHookName="hook", LifecycleTransition=LAUNCHING,
        HeartbeatTimeout=5400, DefaultResult="CONTINUE",
    )  # fmt: skip
    found.start()
    found.over("Successful", hours=5)
    assert found.versions == {"2": 2}
