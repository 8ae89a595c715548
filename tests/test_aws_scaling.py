"""Groups and refreshes as they are read, and the requests that are made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fleets import TEMPLATE, described, described_member, group, ref
from stubbed import Stubbed

from goldpress.aws.scaled import parse_group, parse_refresh
from goldpress.aws.scaling import Preferences, RefreshRequest, active_of, parse_preferences

NAMED = {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "web", "Version": "3"}


def parsed(**changes: Any) -> Any:
    return parse_group(described(**changes), region="us-east-1")


def refresh(**changes: Any) -> Any:
    return parse_refresh({
        "InstanceRefreshId": "r-1", "AutoScalingGroupName": "web-a", "Status": "InProgress",
        "StartTime": datetime(2026, 11, 1, 12, tzinfo=UTC), "PercentageComplete": 50,
        "InstancesToUpdate": 2, "DesiredConfiguration": {"LaunchTemplate": NAMED}, **changes,
    })  # fmt: skip


def test_a_group_is_read_with_its_account_from_its_arn() -> None:
    found = parsed()
    assert found.key == "123456789012/us-east-1/web-a"
    assert found.template == ref("3")
    assert found.template.numeric
    assert found.subnets == ("subnet-1", "subnet-2")
    assert found.warmup_seconds is None
    assert [row.id for row in found.serving] == ["i-00000000000000001"]


@pytest.mark.parametrize("version", ["$Latest", "$Default", "", "٣"])
def test_only_a_number_is_a_version_for_good(version: str) -> None:
    assert not ref(version).numeric


def test_a_template_without_version_is_the_default_one() -> None:
    assert parsed(LaunchTemplate={"LaunchTemplateId": TEMPLATE}).template.version == "$Default"


def test_a_group_with_mixed_instances_launches_from_its_policy() -> None:
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": NAMED,
            "Overrides": [{"InstanceType": "t3.small"}, {"InstanceRequirements": {}}],
        },
        "InstancesDistribution": {"SpotAllocationStrategy": "price-capacity-optimized"},
    }
    found = parsed(LaunchTemplate=None, MixedInstancesPolicy=policy)
    assert found.template == ref("3")
    assert found.overrides == ("t3.small",)
    other = found.mixed_at(ref("4"))
    assert other["LaunchTemplate"]["LaunchTemplateSpecification"] == {
        "LaunchTemplateId": TEMPLATE,
        "Version": "4",
    }
    assert other["InstancesDistribution"] == policy["InstancesDistribution"]
    assert group().mixed_at(ref("4")) is None


def test_an_overrides_own_template_is_named_once_in_a_request() -> None:
    """AWS answers with id and name, and refuses a request that has both."""
    rows = [{"InstanceType": "t3.small", "LaunchTemplateSpecification": dict(NAMED)}]
    found = group(
        mixed={"LaunchTemplate": {"LaunchTemplateSpecification": NAMED, "Overrides": rows}}
    )
    made = found.mixed_at(ref("4"))
    assert made is not None
    (row,) = made["LaunchTemplate"]["Overrides"]
    assert row["LaunchTemplateSpecification"] == {"LaunchTemplateId": TEMPLATE, "Version": "3"}


def test_a_group_of_a_launch_configuration_has_no_template() -> None:
    found = parsed(LaunchTemplate=None, LaunchConfigurationName="old")
    assert found.launch_configuration == "old"
    assert found.template.text == "no launch template"
    assert not found.template.numeric


def test_a_warmup_that_was_taken_away_is_none() -> None:
    assert parsed(DefaultInstanceWarmup=-1).warmup_seconds is None
    assert parsed(DefaultInstanceWarmup=0).warmup_seconds == 0


def test_target_groups_are_those_of_both_ways_to_attach_them_each_once() -> None:
    found = parsed(
        TargetGroupARNs=["arn:one"],
        TrafficSources=[
            {"Identifier": "arn:one", "Type": "elbv2"},
            {"Identifier": "arn:two", "Type": "elbv2"},
            {"Identifier": "lattice", "Type": "vpc-lattice"},
        ],
    )
    assert found.target_groups == ("arn:one", "arn:two")


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ({}, True),
        ({"HealthStatus": "UNHEALTHY"}, False),
        ({"LifecycleState": "Pending"}, False),
        ({"LifecycleState": "Standby"}, False),
        ({"LifecycleState": "Terminating:Wait"}, False),
    ],
)
def test_only_what_is_in_service_and_healthy_serves(change: dict[str, Any], serves: bool) -> None:
    found = parsed(Instances=[described_member(**change)])
    assert bool(found.serving) is serves


def test_a_refresh_is_read_with_what_it_brings() -> None:
    found = refresh()
    assert found.active
    assert not found.over
    assert found.desired == ref("3")
    assert found.started == "2026-11-01T12:00:00Z"
    assert found.ended == ""
    assert not found.rollback


@pytest.mark.parametrize("status", ["Successful", "Failed", "Cancelled", "RollbackSuccessful"])
def test_a_refresh_that_ended_is_not_the_active_one(status: str) -> None:
    assert active_of([refresh(Status=status)]) is None
    assert active_of([refresh(Status=status), refresh(Status="Baking")]) is not None


def test_a_status_that_is_not_known_counts_as_active() -> None:
    """Of what nobody knows, nobody may take it for ended."""
    assert refresh(Status="Paused").active


def test_a_refresh_that_goes_back_is_not_the_one_to_go_on_with() -> None:
    request = RefreshRequest(
        group="web-a", template=ref("3"), mixed=None, preferences=Preferences()
    )
    assert request.is_of(refresh())
    assert not request.is_of(refresh(Status="RollbackInProgress"))
    assert not request.is_of(refresh(DesiredConfiguration=None))
    assert not replace(request, template=ref("4")).is_of(refresh())


def test_a_refresh_of_a_mixed_group_is_told_by_its_policy() -> None:
    mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": NAMED}}
    assert refresh(DesiredConfiguration={"MixedInstancesPolicy": mixed}).desired == ref("3")


def test_every_preference_is_said_and_none_left_to_a_default() -> None:
    """B3.1, B3.2: automatic rollback needs a DesiredConfiguration; a launch comes first."""
    request = RefreshRequest(
        group="web-a", template=ref("4"), mixed=None, preferences=Preferences()
    )
    assert request.arguments() == {
        "AutoScalingGroupName": "web-a",
        "Strategy": "Rolling",
        "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": "4"}},
        "Preferences": {
            "MinHealthyPercentage": 100,
            "MaxHealthyPercentage": 110,
            "SkipMatching": True,
            "AutoRollback": True,
            "ScaleInProtectedInstances": "Refresh",
            "StandbyInstances": "Ignore",
            "BakeTime": 0,
        },
    }


def test_a_request_with_everything_is_one_that_aws_takes() -> None:
    preferences = Preferences(
        checkpoints=(20, 100), bake_seconds=60, warmup_seconds=0, alarms=("a", "b")
    )
    given = RefreshRequest(
        group="web-a", template=ref("4"), mixed=None, preferences=preferences
    ).arguments()
    assert given["Preferences"]["CheckpointDelay"] == 172_800
    assert given["Preferences"]["InstanceWarmup"] == 0
    cloud = Stubbed()
    cloud.says("autoscaling", "start_instance_refresh", {"InstanceRefreshId": "r-1"}, given)
    cloud.client("autoscaling").start_instance_refresh(**given)
    cloud.over()


def test_preferences_come_back_from_a_document() -> None:
    made = Preferences(checkpoints=(5, 100), alarms=("a",), protected="Ignore")
    assert parse_preferences(made.document()) == made
    with pytest.raises(TypeError, match="colour"):
        parse_preferences({**made.document(), "colour": 1})
