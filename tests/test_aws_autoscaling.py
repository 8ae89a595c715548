"""Calls of Auto Scaling: pages, chunks, and what its refusals mean."""

from __future__ import annotations

from typing import Any

import pytest
from fleets import described, group, ref
from stubbed import Stubbed

from goldpress.aws.autoscaling import Groups, refresh_runs
from goldpress.aws.scaling import Preferences, RefreshRequest
from goldpress.errors import CloudError

SERVICE = "autoscaling"
REQUEST = RefreshRequest(group="web-a", template=ref("4"), mixed=None, preferences=Preferences())


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


def groups(cloud: Stubbed) -> Groups:
    return Groups(client=cloud.client(SERVICE), region="us-east-1")


def test_groups_are_asked_for_by_pages(cloud: Stubbed) -> None:
    first, second = described(AutoScalingGroupName="b"), described(AutoScalingGroupName="a")
    cloud.says(
        SERVICE, "describe_auto_scaling_groups",
        {"AutoScalingGroups": [first], "NextToken": "more"}, {"MaxRecords": 100},
    )  # fmt: skip
    cloud.says(
        SERVICE, "describe_auto_scaling_groups", {"AutoScalingGroups": [second]},
        {"MaxRecords": 100, "NextToken": "more"},
    )  # fmt: skip
    assert [row.name for row in groups(cloud).every()] == ["a", "b"]
    cloud.over()


def test_a_group_that_is_not_there_is_none(cloud: Stubbed) -> None:
    cloud.says(SERVICE, "describe_auto_scaling_groups", {"AutoScalingGroups": []})
    assert groups(cloud).group("web-a") is None


def test_no_names_ask_nothing(cloud: Stubbed) -> None:
    """Without names AWS would answer with every group."""
    assert groups(cloud).named([]) == ()


def test_a_start_returns_the_id(cloud: Stubbed) -> None:
    cloud.says(SERVICE, "start_instance_refresh", {"InstanceRefreshId": "r-1"}, REQUEST.arguments())
    assert groups(cloud).start(REQUEST) == "r-1"


def test_a_second_refresh_is_told_from_other_refusals(cloud: Stubbed) -> None:
    cloud.refuses(SERVICE, "start_instance_refresh", "InstanceRefreshInProgress", "one runs")
    with pytest.raises(CloudError, match=r"web-a in us-east-1: .*one runs") as caught:
        groups(cloud).start(REQUEST)
    assert refresh_runs(caught.value)
    cloud.refuses(SERVICE, "start_instance_refresh", "ValidationError", "no")
    with pytest.raises(CloudError) as other:
        groups(cloud).start(REQUEST)
    assert not refresh_runs(other.value)


@pytest.mark.parametrize(
    ("method", "call"),
    [("cancel", "cancel_instance_refresh"), ("roll_back", "rollback_instance_refresh")],
)
def test_without_a_refresh_there_is_nothing_to_end(cloud: Stubbed, method: str, call: str) -> None:
    cloud.says(SERVICE, call, {"InstanceRefreshId": "r-1"}, {"AutoScalingGroupName": "web-a"})
    cloud.refuses(SERVICE, call, "ActiveInstanceRefreshNotFound")
    assert getattr(groups(cloud), method)("web-a") is True
    assert getattr(groups(cloud), method)("web-a") is False


def test_what_aws_cannot_take_back_is_told_with_a_way_out(cloud: Stubbed) -> None:
    cloud.refuses(SERVICE, "rollback_instance_refresh", "IrreversibleInstanceRefresh", "$Latest")
    with pytest.raises(CloudError, match="AWS cannot take this refresh back") as caught:
        groups(cloud).roll_back("web-a")
    assert "roll.adopt web-a" in caught.value.hint


@pytest.mark.parametrize(
    ("act", "call", "most"),
    [
        (lambda g, ids: g.enter_standby("web-a", ids, decrement=False), "enter_standby", 20),
        (lambda g, ids: g.exit_standby("web-a", ids), "exit_standby", 20),
        (lambda g, ids: g.detach("web-a", ids, decrement=False), "detach_instances", 20),
        (lambda g, ids: g.protect("web-a", ids, protected=True), "set_instance_protection", 50),
    ],
)
def test_many_instances_are_named_in_as_many_requests_as_aws_asks(
    cloud: Stubbed, act: Any, call: str, most: int
) -> None:
    ids = [f"i-{n:017x}" for n in range(most + 1)]
    asked: list[int] = []
    cloud.client(SERVICE).meta.events.register(
        "before-parameter-build.auto-scaling",
        lambda params, **_: asked.append(len(params["InstanceIds"])),
    )
    for _ in range(2):
        cloud.says(SERVICE, call, {})
    act(groups(cloud), ids)
    assert asked == [most, 1]


def test_a_version_is_set_and_nothing_else(cloud: Stubbed) -> None:
    cloud.says(
        SERVICE, "update_auto_scaling_group", {},
        {"AutoScalingGroupName": "web-a", "LaunchTemplate": ref("4").specification()},
    )  # fmt: skip
    groups(cloud).set_template(group(), ref("4"))
    cloud.over()


def test_activities_end_where_enough_are_known(cloud: Stubbed) -> None:
    row = {
        "ActivityId": "a", "AutoScalingGroupName": "web-a", "StatusCode": "Failed",
        "Cause": "a refresh", "StartTime": described()["CreatedTime"], "StatusMessage": "no room",
    }  # fmt: skip
    cloud.says(
        SERVICE, "describe_scaling_activities", {"Activities": [row] * 3, "NextToken": "more"}
    )
    found = groups(cloud).activities("web-a", most=2)
    assert len(found) == 2
    assert found[0].failed
    assert found[0].message == "no room"


def test_refreshes_are_the_newest_first_and_one_that_waits_before_all(cloud: Stubbed) -> None:
    moment = described()["CreatedTime"]
    rows = [
        {"InstanceRefreshId": "old", "Status": "Successful", "StartTime": moment.replace(day=1)},
        {"InstanceRefreshId": "waits", "Status": "Pending"},
        {"InstanceRefreshId": "new", "Status": "Cancelled", "StartTime": moment.replace(day=9)},
    ]
    cloud.says(SERVICE, "describe_instance_refreshes", {"InstanceRefreshes": rows})
    assert [row.id for row in groups(cloud).refreshes("web-a")] == ["waits", "new", "old"]


def test_hooks_are_told_with_what_silence_means(cloud: Stubbed) -> None:
    row = {
        "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 600, "DefaultResult": "CONTINUE",
    }  # fmt: skip
    cloud.says(SERVICE, "describe_lifecycle_hooks", {"LifecycleHooks": [row]})
    (found,) = groups(cloud).hooks("web-a")
    assert (found.launching, found.seconds, found.default) == (True, 600, "CONTINUE")


def test_the_group_of_an_instance_or_none(cloud: Stubbed) -> None:
    row = {
        "InstanceId": "i-1", "AutoScalingGroupName": "web-a", "LifecycleState": "InService",
        "AvailabilityZone": "us-east-1a", "HealthStatus": "HEALTHY", "ProtectedFromScaleIn": False,
    }  # fmt: skip
    cloud.says(SERVICE, "describe_auto_scaling_instances", {"AutoScalingInstances": [row]})
    cloud.says(SERVICE, "describe_auto_scaling_instances", {"AutoScalingInstances": []})
    assert groups(cloud).group_of("i-1") == ("web-a", "InService")
    assert groups(cloud).group_of("i-2") is None


def test_a_denied_call_names_the_right_that_is_missing(cloud: Stubbed) -> None:
    cloud.refuses(SERVICE, "describe_lifecycle_hooks", "AccessDenied", "not you")
    with pytest.raises(CloudError, match="AWS denies autoscaling:DescribeLifecycleHooks"):
        groups(cloud).hooks("web-a")
