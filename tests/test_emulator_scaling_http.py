"""Auto Scaling over HTTP, virtual instances: boto3 asks, botocore's model checks each answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from clouds import Account, block, refused
from emulated import Emulator
from fronts import balancer, group, listener, network

MODEL = {"sigma": 0.0, "median_seconds": 30.0}
PREFERENCES = {
    "MinHealthyPercentage": 100, "MaxHealthyPercentage": 110, "SkipMatching": True,
    "AutoRollback": True,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A group `web` of two behind a load balancer, and the two AMIs of its template's versions."""

    account: Account
    template: str
    images: tuple[str, str]
    target_group: str

    @property
    def asg(self) -> Any:
        return self.account.client("autoscaling")

    @property
    def described(self) -> dict[str, Any]:
        (row,) = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])[
            "AutoScalingGroups"
        ]
        found: dict[str, Any] = row
        return found

    @property
    def refresh(self) -> dict[str, Any]:
        rows = self.asg.describe_instance_refreshes(AutoScalingGroupName="web")
        found: dict[str, Any] = rows["InstanceRefreshes"][0]
        return found

    def advance(self, seconds: float) -> None:
        self.account.emulator.ask("clock", {"advance": seconds})

    def start(self, version: str = "2", **preferences: Any) -> str:
        wanted = {"LaunchTemplateId": self.template, "Version": version}
        answer = self.asg.start_instance_refresh(
            AutoScalingGroupName="web", DesiredConfiguration={"LaunchTemplate": wanted},
            Preferences={**PREFERENCES, **preferences},
        )  # fmt: skip
        return str(answer["InstanceRefreshId"])

    def until(self, status: str) -> dict[str, Any]:
        for _ in range(120):
            if (found := self.refresh)["Status"] == status:
                return found
            self.advance(60)
        raise AssertionError(f"not {status}: {self.refresh}")

    def running(self) -> dict[str, str]:
        """The AMI of each of the group's instances in EC2."""
        wanted = [{"Name": "tag:aws:autoscaling:groupName", "Values": ["web"]},
                  {"Name": "instance-state-name", "Values": ["pending", "running"]}]  # fmt: skip
        rows = self.account.ec2.describe_instances(Filters=wanted)["Reservations"]
        return {i["InstanceId"]: i["ImageId"] for row in rows for i in row["Instances"]}


@pytest.fixture
def fleet(account: Account, emulator: Emulator) -> Iterator[Fleet]:
    emulator.ask("settings", {"driver": "virtual", "models": {"*": MODEL}})
    emulator.ask("clock", {"stopped": True})
    snapshot = account.start()
    account.put(snapshot, 0, block("a"))
    account.complete(snapshot, {0: block("a")})
    emulator.ask("clock", {"advance": 1})
    images = account.register(snapshot, Name="one"), account.register(snapshot, Name="two")
    template = account.ec2.create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={"ImageId": images[0], "InstanceType": "t3.small"},
    )["LaunchTemplate"]["LaunchTemplateId"]
    account.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": images[1]}
    )
    target_group = group(account, TargetType="instance")
    account.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=target_group,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}],
    )
    arn = balancer(account)
    listener(account, arn, target_group)
    account.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=0, MaxSize=4, DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        VPCZoneIdentifier=",".join(network(account)["subnets"]), TargetGroupARNs=[target_group],
        HealthCheckType="ELB", HealthCheckGracePeriod=90, DefaultInstanceWarmup=30,
        Tags=[{"Key": "role", "Value": "web", "PropagateAtLaunch": True}],
    )  # fmt: skip
    found = Fleet(account=account, template=template, images=images, target_group=target_group)
    found.advance(120)
    yield found
    found.asg.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    found.advance(120)
    account.client("elbv2").delete_load_balancer(LoadBalancerArn=arn)


def test_a_group_of_ec2_instances(fleet: Fleet) -> None:
    rows = fleet.described["Instances"]
    assert [row["LifecycleState"] for row in rows] == ["InService"] * 2
    assert len({row["AvailabilityZone"] for row in rows}) == 2
    assert rows[0]["LaunchTemplate"]["Version"] == "1"
    assert fleet.running() == {row["InstanceId"]: fleet.images[0] for row in rows}
    tags = {t["Key"]: t["Value"] for t in fleet.account.instance(rows[0]["InstanceId"])["Tags"]}
    assert tags == {
        "aws:autoscaling:groupName": "web", "aws:ec2launchtemplate:id": fleet.template,
        "aws:ec2launchtemplate:version": "1", "role": "web",
    }  # fmt: skip
    health = fleet.account.client("elbv2").describe_target_health(
        TargetGroupArn=fleet.target_group
    )["TargetHealthDescriptions"]
    assert {row["TargetHealth"]["State"] for row in health} == {"healthy"}
    (row,) = fleet.asg.describe_auto_scaling_instances(InstanceIds=[rows[0]["InstanceId"]])[
        "AutoScalingInstances"
    ]
    assert row["HealthStatus"] == "HEALTHY"


def test_a_refresh_and_back(fleet: Fleet) -> None:
    before = fleet.running()
    refresh = fleet.start(BakeTime=120)
    assert fleet.refresh["Status"] == "Pending"
    refused("InstanceRefreshInProgress", fleet.start)
    fleet.advance(20)
    assert len(fleet.running()) == 3
    assert fleet.until("Successful")["InstanceRefreshId"] == refresh
    assert set(fleet.running().values()) == {fleet.images[1]}
    assert not set(before) & set(fleet.running())
    assert fleet.described["LaunchTemplate"]["Version"] == "2"
    # The versions of instances are their own, not the template's default one.
    versions = {row["LaunchTemplate"]["Version"] for row in fleet.described["Instances"]}
    assert versions == {"2"}
    activities = fleet.asg.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
    assert any("instance refresh" in row["Cause"] for row in activities)


def test_a_broken_image_is_rolled_back_and_a_checkpoint_cancelled(fleet: Fleet) -> None:
    fleet.start(CheckpointPercentages=[50, 100], CheckpointDelay=172_800)
    for _ in range(10):
        fleet.advance(60)
    assert "Waiting at the checkpoint of 50 percent" in fleet.refresh["StatusReason"]
    fleet.asg.cancel_instance_refresh(AutoScalingGroupName="web")
    fleet.until("Cancelled")
    assert sorted(fleet.running().values()) == sorted(fleet.images)
    models = {"*": MODEL, fleet.images[1]: {**MODEL, "serves": 500}}
    fleet.account.emulator.ask("settings", {"models": models})
    fleet.start()
    fleet.advance(60)
    fleet.asg.rollback_instance_refresh(AutoScalingGroupName="web")
    fleet.until("RollbackSuccessful")
    assert set(fleet.running().values()) == {fleet.images[0]}


def test_an_alarm_that_someone_sets_is_seen_at_once(fleet: Fleet) -> None:
    watch = fleet.account.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName="errors", Namespace="test", MetricName="errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=5.0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    fleet.start(AlarmSpecification={"Alarms": ["errors"]})
    fleet.advance(30)
    assert fleet.refresh["Status"] == "InProgress"
    watch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a test")
    details = fleet.refresh["RollbackDetails"]
    assert details["RollbackReason"].endswith("alarm errors went into ALARM state.")
    fleet.until("RollbackSuccessful")
    # Those that were ended for it may still be draining.
    fleet.advance(60)
    assert set(fleet.running().values()) == {fleet.images[0]}


def test_the_group_sees_what_happens_past_it(fleet: Fleet) -> None:
    one = next(iter(fleet.running()))
    fleet.account.ec2.terminate_instances(InstanceIds=[one])
    fleet.advance(1)
    ids = {row["InstanceId"]: row["LifecycleState"] for row in fleet.described["Instances"]}
    assert ids.get(one, "Terminating:Proceed").startswith("Terminating")
    assert list(ids.values()).count("Pending") == 1
    fleet.advance(200)
    assert len(fleet.running()) == 2
    assert one not in fleet.running()


def test_standby_protection_hooks_and_health(fleet: Fleet) -> None:
    one, two = fleet.running()
    asg = fleet.asg
    asg.enter_standby(
        AutoScalingGroupName="web", InstanceIds=[one], ShouldDecrementDesiredCapacity=True
    )
    fleet.advance(30)
    states = {row["InstanceId"]: row["LifecycleState"] for row in fleet.described["Instances"]}
    assert states == {one: "Standby", two: "InService"}
    asg.exit_standby(AutoScalingGroupName="web", InstanceIds=[one])
    asg.set_instance_protection(
        AutoScalingGroupName="web", InstanceIds=[one], ProtectedFromScaleIn=True
    )
    asg.put_lifecycle_hook(
        AutoScalingGroupName="web", LifecycleHookName="hook", HeartbeatTimeout=60,
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING", DefaultResult="CONTINUE",
    )  # fmt: skip
    assert asg.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
    asg.set_instance_health(
        InstanceId=two, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
    )
    fleet.advance(30)
    states = {row["InstanceId"]: row["LifecycleState"] for row in fleet.described["Instances"]}
    assert states[two] == "Terminating:Wait"
    asg.complete_lifecycle_action(
        AutoScalingGroupName="web", LifecycleHookName="hook", InstanceId=two,
        LifecycleActionResult="CONTINUE",
    )  # fmt: skip
    fleet.advance(60)
    assert two not in fleet.running()
    assert one in fleet.running()


def test_refusals_are_awss(fleet: Fleet) -> None:
    asg = fleet.asg
    message = refused("ValidationError", asg.set_desired_capacity,
                      AutoScalingGroupName="none", DesiredCapacity=1)  # fmt: skip
    assert message == "AutoScalingGroup name not found - no such group: none"
    message = refused("ValidationError", fleet.start, MinHealthyPercentage=101)
    assert "less than or equal to 100" in message
    refused(
        "ActiveInstanceRefreshNotFound", asg.rollback_instance_refresh, AutoScalingGroupName="web"
    )
    message = refused("ValidationError", fleet.start, "9")
    assert "version 9, does not exist" in message
    message = refused("ValidationError", asg.describe_policies)
    assert message == "the embedded cloud has no autoscaling DescribePolicies"


def test_no_capacity_is_an_activity(fleet: Fleet) -> None:
    fleet.account.emulator.ask("settings", {"zone_capacity": 1})
    fleet.asg.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    activity = fleet.asg.describe_scaling_activities(AutoScalingGroupName="web")["Activities"][0]
    assert activity["StatusCode"] == "Failed"
    assert "do not have sufficient capacity" in activity["StatusMessage"]
    fleet.account.emulator.ask("settings", {"zone_capacity": 0})
    fleet.advance(120)
    assert len(fleet.running()) == 3


def test_without_a_moved_clock_time_goes_on_by_itself(fleet: Fleet) -> None:
    """A group needs nobody who asks: its beat launches what is missing."""
    fleet.account.emulator.ask("clock", {"stopped": False})
    one = next(iter(fleet.running()))
    fleet.account.ec2.terminate_instances(InstanceIds=[one])
    end = time.monotonic() + 20
    while len(fleet.running()) < 2:
        assert time.monotonic() < end
        time.sleep(0.2)
    fleet.account.emulator.ask("clock", {"stopped": True})


def test_an_hour_passes_event_by_event(fleet: Fleet) -> None:
    """A jump of the clock is no jump of what happens: the times in between are their own."""
    fleet.start()
    fleet.advance(3600)
    refresh = fleet.refresh
    assert refresh["Status"] == "Successful"
    took = (refresh["EndTime"] - refresh["StartTime"]).total_seconds()
    assert 60 < took < 400
