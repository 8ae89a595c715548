"""Target health over HTTP: real requests to real targets, and the states that AWS would tell."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251
from clouds import BLOCK, Account, refused
from emulated import Emulator
from fronts import Front, balancer, group, listener


def test_a_target_is_healthy_when_it_has_really_answered(front: Front) -> None:
    front.register(0)
    front.becomes(0, "healthy")
    # A load balancer's check sends the target's address as Host.
    assert set(front.webs[0].checks) == {(front.webs[0].address, "ELB-HealthChecker/2.0")}
    (row,) = front.elb.describe_target_health(TargetGroupArn=front.group)[
        "TargetHealthDescriptions"
    ]
    assert row == {
        "Target": front.targets(0)[0],
        "HealthCheckPort": "8000",
        "TargetHealth": {"State": "healthy"},
    }
    assert front.health(1) == {
        "State": "unused",
        "Reason": "Target.NotRegistered",
        "Description": "Target is not registered to the target group",
    }


def test_one_that_turns_500_gets_no_more_requests_until_it_is_well(front: Front) -> None:
    front.register(0, 1)
    for number in (0, 1):
        front.becomes(number, "healthy")
    front.webs[0].health = 500
    health = front.becomes(0, "unhealthy")
    assert health["Reason"] == "Target.ResponseCodeMismatch"
    assert health["Description"] == "Health checks failed with these codes: [500]"
    time.sleep(0.6)
    before = len(front.webs[0].seen)
    load = front.traffic()
    load.start()
    time.sleep(0.5)
    assert load.stop().failures == ()
    assert len(front.webs[0].seen) == before
    assert front.webs[1].seen
    front.webs[0].health = 200
    front.becomes(0, "healthy")


def test_one_that_hangs_times_out(front: Front) -> None:
    front.webs[0].hang = 3.0
    front.register(0)
    health = front.becomes(0, "unhealthy")
    assert (health["Reason"], health["Description"]) == ("Target.Timeout", "Request timed out")


def test_one_that_nobody_answers_for_has_failed(front: Front) -> None:
    front.webs[0].end()
    front.register(0)
    health = front.becomes(0, "unhealthy")
    assert health["Reason"] == "Target.FailedHealthChecks"
    assert health["Description"] == "Health checks failed: ConnectionRefusedError"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"HealthCheckIntervalSeconds": 301},
            "HealthCheckIntervalSeconds '301' must be from 5 to 300",
        ),
        ({"HealthCheckTimeoutSeconds": 5}, "timeout '5' must be smaller than the interval '5'"),
        ({"HealthyThresholdCount": 11}, "HealthyThresholdCount '11' must be from 2 to 10"),
    ],
)
def test_settings_that_aws_refuses(account: Account, given: dict[str, Any], text: str) -> None:
    with pytest.raises(ClientError, match=text):
        group(account, **given)


def test_a_delay_that_aws_refuses(account: Account) -> None:
    refused(
        "ValidationError",
        account.client("elbv2").modify_target_group_attributes,
        TargetGroupArn=group(account),
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}],
    )


def test_virtual_instances_answer_by_their_model(account: Account, emulator: Emulator) -> None:
    """No request, no HAProxy: a listener of a virtual group is a record."""
    snapshot = account.made({0: b"x" * BLOCK})
    good, bad = (account.register(snapshot, Name=name) for name in ("good", "bad"))
    emulator.ask("clock", {"stopped": True})
    models = {"*": {"sigma": 0.0}, bad: {"sigma": 0.0, "serves": 500}}
    emulator.ask("settings", {"driver": "virtual", "models": models})
    target_group = group(account, TargetType="instance", UnhealthyThresholdCount=2)
    listener(account, balancer(account), target_group)
    before = {row["listener"] for row in emulator.ask("balancers")}
    names = [account.run(image)["InstanceId"] for image in (good, bad)]
    elb = account.client("elbv2")
    rows = [{"Id": name} for name in names]
    refused("InvalidTarget", elb.register_targets, TargetGroupArn=target_group, Targets=rows)
    emulator.ask("clock", {"advance": 3})
    elb.register_targets(TargetGroupArn=target_group, Targets=rows)

    def states() -> list[str]:
        found = elb.describe_target_health(TargetGroupArn=target_group)
        return [row["TargetHealth"]["State"] for row in found["TargetHealthDescriptions"]]

    assert states() == ["initial", "initial"]
    emulator.ask("clock", {"advance": 60})
    assert states() == ["healthy", "unhealthy"]
    account.ec2.terminate_instances(InstanceIds=names[:1])
    assert states() == ["draining", "unhealthy"]
    emulator.ask("clock", {"advance": 300})
    assert states() == ["unhealthy"]
    assert {row["listener"] for row in emulator.ask("balancers")} == before
