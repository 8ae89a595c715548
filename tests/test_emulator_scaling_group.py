"""Groups: sizes, zones, health, standby, protection, processes, as AWS documents them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251 - what a refusal is
from scaled import stage

from goldpress.emulator.settings import Model


def test_a_group_is_launched_over_its_zones_and_goes_into_service() -> None:
    found = stage(desired=7, settled=False)
    assert found.states() == {"Pending": 7}
    found.cloud.advance(6)
    assert found.states() == {"InService": 7}
    zones = [row["AvailabilityZone"] for row in found.described["Instances"]]
    assert sorted(zones.count(zone) for zone in set(zones)) == [2, 2, 3]
    row = found.described["Instances"][0]
    assert row["LaunchTemplate"] == {
        "LaunchTemplateId": found.template, "LaunchTemplateName": "web", "Version": "1",
    }  # fmt: skip
    cause = found.causes()[-1]
    assert "a user request created an AutoScalingGroup" in cause
    assert "increasing the capacity from 0 to 1." in cause


def test_names_are_used_once() -> None:
    found = stage(desired=1)
    message = found.refused(
        "AlreadyExists", "create_auto_scaling_group", MinSize=0, MaxSize=1,
        LaunchTemplate={"LaunchTemplateId": found.template}, AvailabilityZones=["us-east-1a"],
    )  # fmt: skip
    assert message.endswith("A group with the name web already exists")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"MinSize": 2, "MaxSize": 1}, "Max bound, 1, must be greater than or equal to min bound"),
        ({"DesiredCapacity": 9}, "Desired capacity:9 must be between the specified min size:0"),
        ({"AvailabilityZones": ["us-east-1z"]}, "Invalid Availability Zone: [us-east-1z]"),
        ({"AvailabilityZones": []}, "At least one Availability Zone or VPC Subnet is required."),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-no"}}, "template lt-no and version $Default"),
        ({"LaunchConfigurationName": "old"}, "has no LaunchConfigurationName for groups"),
        ({"TargetGroupARNs": ["arn:no"]}, "Provided Target Groups may not be valid: arn:no"),
        ({"AutoScalingGroupName": "x" * 256}, "less than or equal to 255"),
    ],
)
def test_groups_that_cannot_be(given: dict[str, Any], wanted: str) -> None:
    found = stage(desired=1)
    request = {
        "AutoScalingGroupName": "two", "MinSize": 0, "MaxSize": 1,
        "LaunchTemplate": {"LaunchTemplateId": found.template},
        "AvailabilityZones": ["us-east-1a"], **given,
    }  # fmt: skip
    assert wanted in found.refused("ValidationError", "create_auto_scaling_group", **request)


def test_an_ami_that_is_gone_is_refused_for_a_group() -> None:
    found = stage(desired=1)
    found.place.images.pop("ami-b")
    message = found.refused(
        "ValidationError", "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": "2"},
    )  # fmt: skip
    assert message == (
        "You must use a valid fully-formed launch template. The image id '[ami-b]' does not exist"
    )


def test_desired_capacity_goes_up_and_down() -> None:
    found = stage(desired=4)
    found.asg("set_desired_capacity", DesiredCapacity=6)
    assert found.states() == {"InService": 4, "Pending": 2}
    found.cloud.advance(300)
    found.asg("set_desired_capacity", DesiredCapacity=3)
    assert found.states()["Terminating"] == 3
    assert "shrinking the capacity from 6 to 5" in "".join(found.causes())
    found.cloud.advance(60)
    assert found.states() == {"InService": 3}
    zones = {member.zone for member in found.group.members.every.values()}
    assert len(zones) == 3


def test_desired_capacity_has_bounds() -> None:
    found = stage(desired=4)
    message = found.refused("ValidationError", "set_desired_capacity", DesiredCapacity=9)
    assert message == (
        "New SetDesiredCapacity value 9 is above max value 8 for the AutoScalingGroup."
    )
    found.asg("update_auto_scaling_group", MinSize=2)
    message = found.refused("ValidationError", "set_desired_capacity", DesiredCapacity=1)
    assert "is below min value 2" in message


def test_the_sizes_follow_each_other() -> None:
    """[M] UpdateAutoScalingGroup: a new minimum or maximum moves the desired capacity."""
    found = stage(desired=4)
    found.asg("update_auto_scaling_group", MinSize=6, MaxSize=10)
    assert found.described["DesiredCapacity"] == 6
    found.asg("update_auto_scaling_group", MinSize=1, MaxSize=3)
    assert found.described["DesiredCapacity"] == 3


def test_an_instance_that_dies_is_replaced_by_the_groups_own_version() -> None:
    found = stage(desired=3)
    found.asg(
        "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": "2"},
    )
    assert found.versions == {"1": 3}
    found.service("ec2").terminate_instances(InstanceIds=[found.ids[0]])
    found.cloud.advance(120)
    assert found.versions == {"1": 2, "2": 1}
    assert any("EC2 health check indicating it has been terminated" in c for c in found.causes())


def test_status_checks_count_after_the_grace_period_only() -> None:
    """[D] "Health check grace period": checks that fail within it change nothing."""
    bad = Model(median_seconds=60.0, sigma=0.0, dies=1.0, dies_after_seconds=20.0)
    found = stage(desired=2, elb=False, settled=False, models={"ami-a": bad}, grace=900)
    found.cloud.advance(850)
    assert found.group.launches == 2
    assert found.place.machines.impaired(found.ids[0])
    found.cloud.advance(120)
    assert found.group.launches > 2
    assert any("an EC2 instance status check failure" in cause for cause in found.causes())


def test_target_health_counts_where_the_health_check_type_says_so() -> None:
    """An image that boots and serves 500: seen by ELB, not by EC2's checks."""
    broken = Model(median_seconds=60.0, sigma=0.0, serves=500)
    blind = stage(desired=2, models={"ami-a": broken}, HealthCheckType="EC2", settled=False)
    blind.cloud.advance(1800)
    assert blind.group.launches == 2
    assert len(blind.group.members.ready) == 2
    seeing = stage(desired=2, models={"ami-a": broken}, settled=False)
    seeing.cloud.advance(1800)
    assert seeing.group.launches > 4
    assert any("an ELB system health check failure" in cause for cause in seeing.causes())


def test_health_that_someone_sets_respects_the_grace_period() -> None:
    found = stage(desired=2, grace=2000)
    victim = found.ids[0]
    found.asg("set_instance_health", InstanceId=victim, HealthStatus="Unhealthy")
    assert victim in found.ids
    found.asg(
        "set_instance_health", InstanceId=victim, HealthStatus="Unhealthy",
        ShouldRespectGracePeriod=False,
    )  # fmt: skip
    assert victim not in found.ids
    assert any("a user health-check" in cause for cause in found.causes())
    message = found.refused(
        "ValidationError", "set_instance_health", InstanceId="i-0", HealthStatus="Unhealthy"
    )
    assert message == "Instance Id not found - No managed instance found for instance ID: i-0"


def test_a_terminated_instance_is_drained_first() -> None:
    found = stage(desired=2)
    victim = found.ids[0]
    answer = found.asg(
        "terminate_instance_in_auto_scaling_group", InstanceId=victim,
        ShouldDecrementDesiredCapacity=False,
    )  # fmt: skip
    assert answer["Activity"]["StatusCode"] == "WaitingForELBConnectionDraining"
    assert found.place.machines.state(victim) == "running"
    found.cloud.advance(20)
    assert found.place.machines.state(victim) == "running"
    found.cloud.advance(20)
    assert found.place.machines.state(victim) == "terminated"
    assert found.states() == {"InService": 2}


def test_the_last_ones_are_not_taken_from_the_minimum() -> None:
    found = stage(desired=2, least=2)
    message = found.refused(
        "ValidationError", "terminate_instance_in_auto_scaling_group", InstanceId=found.ids[0],
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip
    assert message.startswith("Currently, desiredSize equals minSize (2).")
    message = found.refused(
        "ValidationError", "enter_standby", InstanceIds=found.ids[:1],
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip
    assert "the desired capacity would fall below the minimum" in message


def test_standby_and_back() -> None:
    found = stage(desired=3)
    one = found.ids[0]
    found.asg("enter_standby", InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    assert found.states() == {"InService": 2, "EnteringStandby": 1}
    found.cloud.advance(60)
    assert found.states() == {"InService": 2, "Standby": 1}
    assert found.described["DesiredCapacity"] == 2
    found.asg("exit_standby", InstanceIds=[one])
    assert found.states() == {"InService": 3}
    assert found.described["DesiredCapacity"] == 3
    assert found.refused("ValidationError", "exit_standby", InstanceIds=[one]) == (
        f"The instance {one} is not in Standby."
    )


def test_standby_without_decrement_is_replaced() -> None:
    """keikoproj/upgrade-manager#347: an instance left in standby costs its place twice."""
    found = stage(desired=3)
    found.asg("enter_standby", InstanceIds=found.ids[:1], ShouldDecrementDesiredCapacity=False)
    found.cloud.advance(300)
    assert found.states() == {"InService": 3, "Standby": 1}


def test_detached_instances_live_on_and_can_come_back() -> None:
    found = stage(desired=3)
    one = found.ids[0]
    found.asg("detach_instances", InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    found.cloud.advance(60)
    assert found.states() == {"InService": 2}
    assert found.place.machines.state(one) == "running"
    found.asg("attach_instances", InstanceIds=[one])
    assert found.described["DesiredCapacity"] == 3
    row = next(row for row in found.described["Instances"] if row["InstanceId"] == one)
    assert "LaunchTemplate" not in row
    found.asg("update_auto_scaling_group", MaxSize=3)
    assert "increase the max size" in found.refused(
        "ValidationError", "attach_instances", InstanceIds=["i-0"]
    )


def test_protected_instances_survive_a_scale_in() -> None:
    found = stage(desired=4)
    kept = found.ids[:3]
    found.asg("set_instance_protection", InstanceIds=kept, ProtectedFromScaleIn=True)
    found.asg("set_desired_capacity", DesiredCapacity=1)
    found.cloud.advance(120)
    assert found.ids == kept
    assert "part of Auto Scaling group web" in found.refused(
        "ValidationError", "set_instance_protection", InstanceIds=["i-0"],
        ProtectedFromScaleIn=True,
    )  # fmt: skip
    many = found.refused(
        "LimitExceeded", "set_instance_protection", InstanceIds=["i-0"] * 51,
        ProtectedFromScaleIn=True,
    )  # fmt: skip
    assert many == "You can specify up to 50 instances, not 51."


@pytest.mark.parametrize("process", ["HealthCheck", "ReplaceUnhealthy", "Terminate"])
def test_processes_that_are_suspended_replace_nobody(process: str) -> None:
    found = stage(desired=2)
    found.asg("suspend_processes", ScalingProcesses=[process])
    found.service("ec2").terminate_instances(InstanceIds=[found.ids[0]])
    found.cloud.advance(600)
    assert found.group.launches == 2
    assert found.described["SuspendedProcesses"][0]["ProcessName"] == process
    found.asg("resume_processes")
    found.cloud.advance(300)
    assert found.group.launches == 3
    assert found.states() == {"InService": 2}


def test_launch_suspended_launches_nobody() -> None:
    found = stage(desired=2)
    found.asg("suspend_processes", ScalingProcesses=["Launch"])
    found.asg("set_desired_capacity", DesiredCapacity=3)
    found.cloud.advance(600)
    assert found.states() == {"InService": 2}
    assert "Invalid scaling process: Lunch" in found.refused(
        "ValidationError", "suspend_processes", ScalingProcesses=["Lunch"]
    )


def test_add_to_load_balancer_suspended_registers_nobody() -> None:
    """[D] "You must register those instances manually" later."""
    found = stage(desired=2)
    found.asg("suspend_processes", ScalingProcesses=["AddToLoadBalancer"])
    found.asg("set_desired_capacity", DesiredCapacity=3)
    found.cloud.advance(400)
    arn = found.group.target_groups[0]
    health = [found.place.targets.health(arn, name) for name in found.ids]
    assert sorted(health) == ["healthy", "healthy", "unused"]
    assert len(found.group.members.ready) == 2


def test_a_zone_without_capacity_is_avoided() -> None:
    found = stage(desired=3)
    found.place.machines.capacity["us-east-1a"] = 0
    found.asg("set_desired_capacity", DesiredCapacity=6)
    found.cloud.advance(120)
    zones = [row["AvailabilityZone"] for row in found.described["Instances"]]
    assert zones.count("us-east-1a") == 1
    assert found.states() == {"InService": 6}


def test_no_capacity_anywhere_is_tried_again_later_and_told() -> None:
    found = stage(desired=3)
    for zone in found.place.networks.zones():
        found.place.machines.capacity[zone] = 1
    found.asg("set_desired_capacity", DesiredCapacity=4)
    found.cloud.advance(900)
    failed = [row for row in found.activities() if row["StatusCode"] == "Failed"]
    assert 3 <= len(failed) <= 8
    assert "We currently do not have sufficient t3.small capacity" in failed[0]["StatusMessage"]
    assert "Launching EC2 instance failed." in failed[0]["Description"]
    found.place.machines.capacity.clear()
    found.cloud.advance(900)
    assert found.states() == {"InService": 4}


def test_instances_that_never_run_are_failed_launches() -> None:
    never = stage(desired=2, settled=False, models={"ami-a": Model(never_runs=1.0)})
    never.cloud.advance(300)
    assert never.group.launches > 2
    assert not never.ids
    failed = [row for row in never.activities() if row["StatusCode"] == "Failed"]
    assert "it went from pending to" in failed[0]["StatusMessage"]


def test_a_maintenance_policy_launches_before_it_replaces() -> None:
    """[D] "Instance maintenance policies": a sick instance stays until its replacement is ready."""
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    found = stage(desired=2, InstanceMaintenancePolicy=policy)
    victim = found.ids[0]
    found.asg(
        "set_instance_health", InstanceId=victim, HealthStatus="Unhealthy",
        ShouldRespectGracePeriod=False,
    )  # fmt: skip
    assert found.states() == {"InService": 2, "Pending": 1}
    found.cloud.advance(300)
    assert found.states() == {"InService": 2}
    assert victim not in found.ids
    plain = stage(desired=2)
    plain.asg(
        "set_instance_health", InstanceId=plain.ids[0], HealthStatus="Unhealthy",
        ShouldRespectGracePeriod=False,
    )  # fmt: skip
    assert plain.states() == {"InService": 1, "Terminating": 1, "Pending": 1}


def test_mixed_instances_split_types_and_purchases() -> None:
    found = stage(desired=1)
    policy: dict[str, Any] = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": found.template, "Version": "1"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}],
        },
        "InstancesDistribution": {
            "OnDemandBaseCapacity": 2, "OnDemandPercentageAboveBaseCapacity": 50,
        },
    }  # fmt: skip
    client = found.service("autoscaling")
    client.create_auto_scaling_group(
        AutoScalingGroupName="mixed", MinSize=0, MaxSize=10, DesiredCapacity=10,
        AvailabilityZones=["us-east-1a", "us-east-1b"], MixedInstancesPolicy=policy,
    )  # fmt: skip
    group = found.place.scaling.group("mixed")
    members = list(group.members.every.values())
    assert sum(member.spot for member in members) == 4
    assert {member.type for member in members} == {"m5.large", "m5a.large"}
    refused = {**policy, "LaunchTemplate": {**policy["LaunchTemplate"], "Overrides": [
        {"InstanceType": "m5.large", "WeightedCapacity": "2"}]}}  # fmt: skip
    assert "without weights only" in found.refused(
        "ValidationError", "create_auto_scaling_group", AutoScalingGroupName="w", MinSize=0,
        MaxSize=1, AvailabilityZones=["us-east-1a"], MixedInstancesPolicy=refused,
    )  # fmt: skip


def test_spot_instances_are_lost_and_replaced() -> None:
    lossy = {"spot_loss_per_hour": 0.5}
    found = stage(desired=1, settings=lossy)
    spec = {"LaunchTemplateId": found.template, "Version": "1"}
    policy = {
        "LaunchTemplate": {"LaunchTemplateSpecification": spec},
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0},
    }
    found.service("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="spot", MinSize=0, MaxSize=10, DesiredCapacity=10,
        AvailabilityZones=["us-east-1a"], MixedInstancesPolicy=policy,
    )  # fmt: skip
    group = found.place.scaling.group("spot")
    found.cloud.advance(3600)
    assert 13 <= group.launches <= 24
    assert group.members.live == 10
    assert found.group.launches == 1


def test_deleting_needs_an_empty_group_or_force() -> None:
    found = stage(desired=2)
    message = found.refused("ResourceInUse", "delete_auto_scaling_group")
    assert "while there are instances" in message
    found.asg("delete_auto_scaling_group", ForceDelete=True)
    assert found.described["Status"] == "Delete in progress"
    found.cloud.advance(120)
    assert found.service("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert found.refused("ValidationError", "set_desired_capacity", DesiredCapacity=1) == (
        "AutoScalingGroup name not found - no such group: web"
    )


def test_pages_and_filters() -> None:
    found = stage(desired=1)
    client = found.service("autoscaling")
    for number in range(4):
        client.create_auto_scaling_group(
            AutoScalingGroupName=f"g{number}", MinSize=0, MaxSize=0,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateId": found.template},
            Tags=[{"Key": "even", "Value": str(number % 2 == 0)}],
        )  # fmt: skip
    first = client.describe_auto_scaling_groups(MaxRecords=3)
    second = client.describe_auto_scaling_groups(MaxRecords=3, NextToken=first["NextToken"])
    rows = first["AutoScalingGroups"] + second["AutoScalingGroups"]
    assert [row["AutoScalingGroupName"] for row in rows] == ["g0", "g1", "g2", "g3", "web"]
    assert "NextToken" not in second
    even = client.describe_auto_scaling_groups(Filters=[{"Name": "tag:even", "Values": ["True"]}])
    assert [row["AutoScalingGroupName"] for row in even["AutoScalingGroups"]] == ["g0", "g2"]
    assert found.service("autoscaling").describe_account_limits()["NumberOfAutoScalingGroups"] == 5
    with pytest.raises(ClientError, match="The token '99' is invalid"):
        client.describe_auto_scaling_groups(NextToken="99")
    with pytest.raises(ClientError, match="1 to 100 only"):
        client.describe_auto_scaling_groups(MaxRecords=101)


def test_instances_carry_the_groups_tags() -> None:
    found = stage(desired=1)
    client = found.service("autoscaling")
    row = {
        "ResourceId": "web", "ResourceType": "auto-scaling-group", "Key": "role", "Value": "web",
        "PropagateAtLaunch": True,
    }  # fmt: skip
    client.create_or_update_tags(Tags=[row])
    found.asg("set_desired_capacity", DesiredCapacity=2)
    rows = found.service("ec2").describe_instances(
        Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": ["web"]}]
    )["Reservations"][0]["Instances"]
    tags = [{tag["Key"]: tag["Value"] for tag in row["Tags"]} for row in rows]
    assert [found.get("role", "") for found in tags] == ["", "web"]
    assert {found["aws:ec2launchtemplate:version"] for found in tags} == {"1"}
