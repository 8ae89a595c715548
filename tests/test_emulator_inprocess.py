"""The cloud inside a process: its clients, faults, deaths, weather, and what thousands cost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError  # noqa: TID251
from scaled import ACCOUNT, GOOD, REGION, Stage, stage

from goldpress.aws.autoscaling import Groups
from goldpress.aws.metrics import Metrics
from goldpress.aws.running import Runs
from goldpress.aws.targets import Targets
from goldpress.aws.templates import LaunchTemplates
from goldpress.emulator.inprocess import Death, Fault, InProcessCloud, writes
from goldpress.emulator.settings import Model, Settings
from goldpress.errors import CloudError

REGIONS = (
    "us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "ap-northeast-1",
)  # fmt: skip
#: Processor seconds for 5,000 instances; a quarter of it is what it takes alone.
BOUND = 40.0


def test_goldpress_aws_works_on_it_unchanged() -> None:
    found = stage(desired=3)
    access = found.cloud.access(ACCOUNT)
    group = Groups.at(access, REGION).group("web")
    assert group is not None
    assert (group.desired, len(group.members), group.template.version) == (3, 3, "1")
    source = group.template
    made = LaunchTemplates.at(access, REGION).create(
        source, ami="ami-c", digest="d" * 64, description="a test"
    )
    assert (made.ami, made.ref.version) == ("ami-c", "4")
    again = LaunchTemplates.at(access, REGION).create(
        source, ami="ami-c", digest="d" * 64, description="a test"
    )
    assert again.ref == made.ref
    running = Runs.at(access, REGION).of_groups(["web"])
    assert {(row.ami, row.state, row.group) for row in running} == {("ami-a", "running", "web")}
    targets = Targets.at(access, REGION)
    (target_group,) = targets.groups(group.target_groups)
    assert (target_group.check_path, target_group.delay_seconds) == ("/healthz", 30)
    assert [row.state for row in targets.health(target_group.arn)] == ["healthy"] * 3
    assert Metrics.at(access, REGION).alarms(["none"]) == {"none": None}


def test_what_botocore_refuses_is_refused_here() -> None:
    found = stage(desired=1)
    with pytest.raises(ParamValidationError, match='Unknown parameter in input: "Gruop"'):
        found.service("autoscaling").start_instance_refresh(AutoScalingGroupName="web", Gruop=1)
    with pytest.raises(ParamValidationError, match="Missing required parameter"):
        found.service("autoscaling").set_desired_capacity(AutoScalingGroupName="web")
    assert found.cloud.calls == []


def test_what_is_not_here_says_so() -> None:
    found = stage(desired=1)
    with pytest.raises(NotImplementedError, match="no autoscaling:put_scaling_policy: add it"):
        found.service("autoscaling").put_scaling_policy()
    with pytest.raises(CloudError, match="has no service rds"):
        found.service("rds")
    with pytest.raises(AttributeError, match="no_such_call"):
        found.service("autoscaling").no_such_call()


def test_every_call_is_recorded_with_its_outcome() -> None:
    found = stage(desired=1)
    found.start()
    found.refused("InstanceRefreshInProgress", "start_instance_refresh")
    assert found.status == "Pending"
    rows = [(call.operation, call.outcome) for call in found.cloud.calls]
    assert rows == [
        ("StartInstanceRefresh", ""),
        ("StartInstanceRefresh", "InstanceRefreshInProgress"),
        ("DescribeInstanceRefreshes", ""),
    ]
    assert [call.operation for call in writes(found.cloud.calls)] == ["StartInstanceRefresh"]
    assert found.cloud.calls[0].request["Preferences"]["AutoRollback"] is True


def test_throttling_is_tried_again_as_botocore_does() -> None:
    found = stage(desired=1)
    found.cloud.faults = [Fault(service="autoscaling", times=3)]
    assert found.described["DesiredCapacity"] == 1
    assert [call.outcome for call in found.cloud.calls] == ["Throttling"] * 3 + [""]
    found.cloud.faults = [Fault(service="autoscaling", times=0)]
    with pytest.raises(ClientError, match="Rate exceeded"):
        found.described  # noqa: B018 - the call is made
    assert len(found.cloud.calls) == 4 + found.cloud.attempts


def test_a_fault_meets_by_place_and_operation_and_share() -> None:
    found = stage(desired=1)
    found.cloud.faults = [
        Fault(operation="SetDesiredCapacity", region="eu-west-1", code="AccessDenied", times=0),
        Fault(operation="DescribeAutoScalingGroups", code="AccessDenied", times=0, rate=0.5),
    ]
    found.asg("set_desired_capacity", DesiredCapacity=2)
    outcomes = []
    for _ in range(40):
        try:
            found.described  # noqa: B018 - the call is made
            outcomes.append("")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert 8 < outcomes.count("AccessDenied") < 32


def test_an_answer_can_be_lost_after_the_call_was_done() -> None:
    """StartInstanceRefresh has no client token: whoever tries again finds it running."""
    found = stage(desired=1)
    found.cloud.faults = [Fault(operation="StartInstanceRefresh", code="Lost", way="after")]
    with pytest.raises(ClientError, match="Lost"):
        found.start()
    found.refused("InstanceRefreshInProgress", "start_instance_refresh")


def test_faults_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="way 'before' is none of"):
        Fault(way="before")


def test_the_caller_can_be_killed_at_each_call() -> None:
    found = stage(desired=1)
    found.cloud.kill = 0
    with pytest.raises(Death, match="killed before call 0, autoscaling:StartInstanceRefresh"):
        found.start()
    assert not found.group.refreshes
    found.cloud.kill_after = True
    with pytest.raises(Death, match="killed after call 0"):
        found.start()
    assert found.group.refreshes
    found.cloud.kill = None
    assert found.status == "Pending"


def test_the_same_seed_is_the_same_story() -> None:
    def story(seed: int) -> list[Any]:
        models = {"ami-b": Model(median_seconds=80.0, sigma=0.8, never_healthy=0.2)}
        found = stage(desired=5, models=models, settings={"seed": seed})
        found.start()
        found.cloud.advance(7200)
        return [found.refresh, found.ids, found.causes()]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_an_autoscaler_and_weather_are_scheduled() -> None:
    found = stage(desired=2, most=8)
    wanted = iter([4, 6, 3])

    def autoscale() -> None:
        found.asg("set_desired_capacity", DesiredCapacity=next(wanted, 3))

    found.cloud.every(600, autoscale)
    found.cloud.at(found.cloud.clock.at + 900, lambda: found.place.machines.capacity.update(
        dict.fromkeys(found.place.networks.zones(), 0)))  # fmt: skip
    found.cloud.advance(890)
    assert found.group.members.live == 4
    found.cloud.advance(400)
    assert (found.group.desired, found.group.members.live) == (6, 4)
    found.cloud.advance(700)
    assert found.group.members.live == 3


@pytest.mark.parametrize(
    ("model", "errors"),
    [(GOOD, None), (Model(median_seconds=60.0, sigma=0.0, errors=0.25), 1500.0)],
)
def test_traffic_is_counted_by_the_minute(model: Model, errors: float | None) -> None:
    found = stage(desired=2, models={"ami-a": model})
    arn = found.group.target_groups[0]
    found.place.target_groups[arn].requests = 6000.0
    found.cloud.traffic()
    found.cloud.advance(61)
    metrics = Metrics.at(found.cloud.access(ACCOUNT), REGION)
    groups = Targets.at(found.cloud.access(ACCOUNT), REGION).groups([arn])
    end = found.cloud.clock.utc()
    traffic = metrics.traffic(groups, start=end.replace(hour=0, minute=0), end=end)
    assert traffic.requests == 6000.0
    assert traffic.errors == (errors or 0.0)
    assert traffic.latency_seconds == pytest.approx(0.05)


def test_a_slow_leak_kills_each_at_its_own_time() -> None:
    leaky = Model(median_seconds=60.0, sigma=0.0, leaks_after_seconds=7200.0)
    found = stage(desired=6, models={"ami-a": leaky})
    found.watch()
    found.cloud.advance(3600)
    assert len(found.group.members.ready) == 6
    found.cloud.advance(9000)
    assert found.lowest < 6
    assert found.group.launches >= 11


def test_a_canary_runs_outside_the_group() -> None:
    found = stage(desired=1)
    ec2, elb = found.service("ec2"), found.service("elbv2")
    asked = {
        "MinCount": 1, "MaxCount": 1, "ClientToken": "one",
        "LaunchTemplate": {"LaunchTemplateId": found.template, "Version": "2"},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "goldpress:trial", "Value": "one"}]}
        ],
    }  # fmt: skip
    one = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    assert ec2.run_instances(**asked)["Instances"][0]["InstanceId"] == one
    found.cloud.advance(90)
    arn = found.group.target_groups[0]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": one}])
    found.cloud.advance(30)
    assert found.place.targets.health(arn, one) == "healthy"
    assert ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"][0][
        "InstanceStatus"
    ] == {"Status": "ok"}
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": one}])
    assert found.place.targets.health(arn, one) == "draining"
    ec2.terminate_instances(InstanceIds=[one])
    found.cloud.advance(60)
    assert found.place.machines.state(one) == "terminated"
    assert found.group.members.live == 1
    with pytest.raises(ClientError, match="The instance ID 'i-0' does not exist"):
        ec2.terminate_instances(InstanceIds=["i-0"])


def test_a_bucket_of_launches_slows_a_group_down() -> None:
    found = stage(desired=1, most=30)
    found.place.machines.bucket = (10.0, 0.05)
    found.asg("set_desired_capacity", DesiredCapacity=30)
    assert found.group.members.live == 11
    assert found.activities()[0]["StatusMessage"].startswith("Request limit exceeded.")
    found.cloud.advance(900)
    assert found.group.members.live == 30


def test_five_thousand_instances_in_thirty_places() -> None:
    """6 regions of 5 accounts are rolled, looked at every half minute, in seconds."""
    began = time.process_time()
    models = {"*": Model(median_seconds=60.0, sigma=0.3)}
    cloud = InProcessCloud(settings=Settings(models=models, pending_seconds=8.0))
    stages: list[Stage] = []
    for account in (str(digit) * 12 for digit in range(1, 6)):
        for region in REGIONS:
            place = cloud.place(account, region)
            place.add_image("ami-a")
            place.add_image("ami-b")
            arn = place.add_target_group("web", requests=6000.0)
            group = place.add_group("web", image="ami-a", desired=167, target_groups=(arn,))
            template = place.templates.by_name["web"].id
            stages.append(Stage(cloud=cloud, place=place, group=group, template=template))
    cloud.traffic()
    cloud.advance(900)
    assert sum(len(one.group.members.ready) for one in stages) == 5010
    for one in stages:
        access = cloud.access(one.place.account)
        access.client("ec2", one.place.region).create_launch_template_version(
            LaunchTemplateId=one.template, SourceVersion="1",
            LaunchTemplateData={"ImageId": "ami-b"},
        )  # fmt: skip
        wanted = {"LaunchTemplateId": one.template, "Version": "2"}
        access.client("autoscaling", one.place.region).start_instance_refresh(
            AutoScalingGroupName="web", DesiredConfiguration={"LaunchTemplate": wanted},
            Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110},
        )  # fmt: skip
    lowest, highest = [200], [0]

    def look(_: InProcessCloud) -> None:
        lowest.append(min(len(one.group.members.ready) for one in stages))
        highest.append(max(one.group.members.live for one in stages))

    cloud.watchers.append(look)
    for _ in range(200):
        cloud.advance(30)
        rows = [
            cloud.access(one.place.account)
            .client("autoscaling", one.place.region)
            .describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]
            for one in stages
        ]
        if all(row["Status"] == "Successful" for row in rows):
            break
    assert all(one.versions == {"2": 167} for one in stages)
    assert (min(lowest), max(highest)) == (167, 183)
    assert time.process_time() - began < BOUND
