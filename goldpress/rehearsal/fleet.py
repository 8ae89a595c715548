"""Owns the fleet of a rehearsal: what a team has before goldpress comes, in the embedded cloud.

A launch template, an Auto Scaling group of instances, an Application Load Balancer in front of it,
and an alarm on its errors: made by AWS's own API, as Terraform would.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.cloud import Cloud
from goldpress.errors import CloudError
from goldpress.machine import loghost

NAME, ALARM = "shop", "shop-errors"
#: Whom the image serves, see images/web/image.yaml.
HOST = "app.example.com"
INSTANCE_TYPE = "t3.small"
#: From registration until a target is healthy, twice this; longer than a machine without KVM needs.
CHECK_SECONDS = 5
GRACE_SECONDS = 900
WARMUP_SECONDS = 10
#: Longer than the slowest page takes.
DRAIN_SECONDS = 60
#: One that serves, one more that takes its place, and one that nobody asks yet.
SPARE_MACHINES = 2
IN_SERVICE_SECONDS = 900
POLL_SECONDS = 2.0


def template_data(ami: Ami, key: str = "") -> dict[str, Any]:
    """What the launch template's first version says; `key` names the pair that lets people in."""
    return {
        "ImageId": ami.ami,
        **({"KeyName": key} if key else {}),
        "InstanceType": INSTANCE_TYPE,
        "UserData": base64.b64encode(loghost.USER_DATA).decode(),
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    }


def group_request(template: str, target_group: str, subnets: str, *, size: int) -> dict[str, Any]:
    """CreateAutoScalingGroup: a numbered version, and health as the load balancer sees it."""
    return {
        "AutoScalingGroupName": NAME,
        "MinSize": 1,
        "MaxSize": 2 * size,
        "DesiredCapacity": size,
        "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"},
        "VPCZoneIdentifier": subnets,
        "TargetGroupARNs": [target_group],
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": GRACE_SECONDS,
        "DefaultInstanceWarmup": WARMUP_SECONDS,
    }


def target_group_request(vpc: str) -> dict[str, Any]:
    """CreateTargetGroup: the image's own page of health, asked often."""
    return {
        "Name": NAME,
        "Protocol": "HTTP",
        "Port": 80,
        "VpcId": vpc,
        "TargetType": "instance",
        "HealthCheckPath": "/healthz",
        "HealthCheckIntervalSeconds": CHECK_SECONDS,
        "HealthCheckTimeoutSeconds": CHECK_SECONDS - 1,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 3,
    }


def alarm_request(load_balancer: str, target_group: str) -> dict[str, Any]:
    """PutMetricAlarm: more than a few errors in a minute; without any there is no data."""
    return {
        "AlarmName": ALARM,
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HTTPCode_Target_5XX_Count",
        "Dimensions": [
            {"Name": "LoadBalancer", "Value": load_balancer.partition(":loadbalancer/")[2]},
            {"Name": "TargetGroup", "Value": target_group.rpartition(":")[2]},
        ],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The group and what is in front of it; `url` is where its load balancer listens.

    It is empty where machines are virtual: nothing listens in front of those.
    """

    cloud: Cloud
    access: Access
    region: str
    target_group: str
    url: str

    def members(self) -> dict[str, str]:
        """The AMI of each instance of the group that EC2 runs or starts."""
        return self._instances({"Name": "instance-state-name", "Values": ["pending", "running"]})

    def launched(self) -> dict[str, str]:
        """The AMI of each instance that the group ever launched."""
        return self._instances()

    def desired(self) -> int:
        """How many instances the group is to have."""
        rows = self._client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[NAME]
        )["AutoScalingGroups"]
        return int(rows[0]["DesiredCapacity"])

    def _instances(self, *filters: dict[str, Any]) -> dict[str, str]:
        mine = {"Name": "tag:aws:autoscaling:groupName", "Values": [NAME]}
        rows = self._client("ec2").describe_instances(Filters=[mine, *filters])["Reservations"]
        return {i["InstanceId"]: i["ImageId"] for row in rows for i in row["Instances"]}

    def healthy(self) -> frozenset[str]:
        """The instances that the load balancer sends requests to."""
        rows = self._client("elbv2").describe_target_health(TargetGroupArn=self.target_group)
        return frozenset(
            row["Target"]["Id"]
            for row in rows["TargetHealthDescriptions"]
            if row["TargetHealth"]["State"] == "healthy"
        )

    def wait(
        self, size: int, *, now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """Until so many instances are healthy. Raises CloudError."""
        end = now() + IN_SERVICE_SECONDS
        with progress.step(f"{NAME}: {size} instances", self.url) as step:
            while (found := len(self.healthy())) < size:
                if now() > end:
                    raise CloudError(
                        f"{NAME}: {found} of {size} instances are healthy after "
                        f"{IN_SERVICE_SECONDS} s",
                        hint=f"their consoles are below {self.cloud.directory / 'machines'}",
                    )
                step.update(f"{found} healthy")
                sleep(POLL_SECONDS)
            step.update(f"{found} healthy")

    def machines(self) -> Mapping[str, Mapping[str, Any]]:
        """What the embedded cloud tells of every machine that it ever started, by instance."""
        return {row["instance"]: row for row in self.cloud.ask("instances")}

    def _client(self, service: str) -> Any:
        return self.access.client(service, self.region)


def find_fleet(cloud: Cloud, *, region: str) -> Fleet | None:
    """The fleet that `make_fleet` made in this cloud, if it did."""
    access = Access(endpoint=cloud.url)
    groups = access.client("autoscaling", region).describe_auto_scaling_groups(
        AutoScalingGroupNames=[NAME]
    )["AutoScalingGroups"]
    if not groups:
        return None
    (target_group,) = groups[0]["TargetGroupARNs"]
    elbv2 = access.client("elbv2", region)
    made = elbv2.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]["LoadBalancerArn"]
    (row,) = elbv2.describe_listeners(LoadBalancerArn=made)["Listeners"]
    return _fleet(cloud, access, region, target_group, row["ListenerArn"])


def make_fleet(
    cloud: Cloud,
    ami: Ami,
    *,
    region: str,
    size: int = 2,
    key: Path | None = None,
    driver: str = "qemu",
) -> Fleet:
    """A group of `size` instances of an AMI behind a load balancer. Raises CloudError.

    `key` is a private key, beside which its public half is: its owner can log in.
    """
    cloud.ask("settings", {"driver": driver, "most_machines": size + SPARE_MACHINES})
    access = Access(endpoint=cloud.url)
    ec2, elbv2 = access.client("ec2", region), access.client("elbv2", region)
    subnets = [row["SubnetId"] for row in ec2.describe_subnets()["Subnets"][:2]]
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    (group,) = elbv2.create_target_group(**target_group_request(vpc["VpcId"]))["TargetGroups"]
    target_group = str(group["TargetGroupArn"])
    elbv2.modify_target_group_attributes(
        TargetGroupArn=target_group,
        Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": str(DRAIN_SECONDS)},
        ],
    )
    made = elbv2.create_load_balancer(Name=NAME, Subnets=subnets)["LoadBalancers"][0]
    listener = elbv2.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )["Listeners"][0]["ListenerArn"]
    access.client("cloudwatch", region).put_metric_alarm(
        **alarm_request(made["LoadBalancerArn"], target_group)
    )
    if key is not None:
        public = key.with_suffix(".pub").read_bytes()
        ec2.import_key_pair(KeyName=NAME, PublicKeyMaterial=public)
    template = ec2.create_launch_template(
        LaunchTemplateName=NAME, LaunchTemplateData=template_data(ami, NAME if key else "")
    )["LaunchTemplate"]["LaunchTemplateId"]
    access.client("autoscaling", region).create_auto_scaling_group(
        **group_request(template, target_group, ",".join(subnets), size=size)
    )
    return _fleet(cloud, access, region, target_group, listener)


def _fleet(cloud: Cloud, access: Access, region: str, target_group: str, listener: str) -> Fleet:
    places = [row for row in cloud.ask("balancers") if row["listener"] == listener]
    return Fleet(
        cloud=cloud,
        access=access,
        region=region,
        target_group=target_group,
        url=f"http://{places[0]['address']}:{places[0]['port']}" if places else "",
    )
