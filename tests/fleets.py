"""Owns groups of tests: as Auto Scaling and EC2 answer, and as goldpress reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stubbed import ACCOUNT, REGION, Stubbed

from goldpress.ami import Ami
from goldpress.aws.capacity import InstanceType, Quota
from goldpress.aws.ec2 import Image
from goldpress.aws.running import Running
from goldpress.aws.scaling import Group, Member, TemplateRef
from goldpress.aws.targets import Target, TargetGroup
from goldpress.aws.templates import TemplateVersion
from goldpress.fleet.observed import Observed
from goldpress.fleet.preflight_facts import Facts, KeyUse, Wish
from goldpress.terms import Fleet

OLD, NEW = "ami-00000000000000001", "ami-00000000000000002"
OLD_IMAGE, NEW_IMAGE = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
SNAPSHOT = "snap-00000000000000002"
TEMPLATE = "lt-0123456789abcdef0"
ROOT = "/dev/xvda"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/0123456789abcdef"
BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/web/0123456789abcdef"
LAUNCHED = datetime(2026, 10, 1, tzinfo=UTC)


def ref(version: str = "3") -> TemplateRef:
    return TemplateRef(id=TEMPLATE, name="web", version=version)


def member(number: int = 1, **changes: Any) -> Member:
    made = Member(
        id=f"i-{number:017x}", state="InService", healthy=True, protected=False, template=ref(),
        type="t3.small", zone=f"{REGION}a",
    )  # fmt: skip
    return replace(made, **changes)


def group(count: int = 4, **changes: Any) -> Group:
    made = Group(
        account=ACCOUNT, region=REGION, name="web-a", min=1, max=8, desired=count,
        members=tuple(member(n) for n in range(1, count + 1)), template=ref(), health_check="ELB",
        grace_seconds=300, target_groups=(TARGETS,), warmup_seconds=60, subnets=("subnet-1",),
    )  # fmt: skip
    return replace(made, **changes)


def version(number: str = "3", *, ami: str = OLD, **data: Any) -> TemplateVersion:
    return TemplateVersion(
        ref=ref(number),
        data={"ImageId": ami, "InstanceType": "t3.small", **data},
        description="",
        by="arn:aws:iam::123456789012:user/ops",
        made="2026-09-01T00:00:00Z",
    )


def running(row: Member, ami: str = OLD, **changes: Any) -> Running:
    made = Running(
        id=row.id, ami=ami, state="running", launched="2026-10-01T00:00:00Z", group="web-a",
        trial="",
    )  # fmt: skip
    return replace(made, **changes)


def observed(of: Group | None = None, *, ami: str = OLD, **changes: Any) -> Observed:
    found = of or group()
    made = Observed(
        group=found,
        refreshes=(),
        running={row.id: running(row, ami) for row in found.members},
        template=version(),
        targets={
            arn: tuple(
                Target(id=row.id, port=80, state="healthy", reason="", why="")
                for row in found.members
            )
            for arn in found.target_groups
        },
    )
    return replace(made, **changes)


def ami(**changes: Any) -> Ami:
    made = Ami(
        image=NEW_IMAGE, name="web", distribution="centos-stream-9", stand_in=False, arch="x86_64",
        account=ACCOUNT, region=REGION, emulated=False, ami=NEW, ami_name="web-2",
        snapshot=SNAPSHOT, kms_key="", volume_gib=2, root_device=ROOT, block_root="0", blocks="0",
        promises="0",
    )  # fmt: skip
    return replace(made, **changes)


def image(name: str = NEW, **changes: Any) -> Image:
    made = Image(
        id=name, name="web", state="available", why="", snapshot=SNAPSHOT, protected=True,
        deprecation="", facts={"RootDeviceName": ROOT, "BootMode": "uefi"},
    )  # fmt: skip
    return replace(made, **changes)


def kind(name: str = "t3.small", **changes: Any) -> InstanceType:
    made = InstanceType(
        name=name, architectures=frozenset({"x86_64"}),
        boot_modes=frozenset({"legacy-bios", "uefi"}), vcpus=2,
    )  # fmt: skip
    return replace(made, **changes)


def target_group(**changes: Any) -> TargetGroup:
    made = TargetGroup(
        arn=TARGETS, name="web", kind="instance", protocol="HTTP", port=80, check_path="/healthz",
        interval_seconds=10, healthy_count=3, unhealthy_count=2, delay_seconds=300,
        slow_start_seconds=0, balancers=(BALANCER,),
    )  # fmt: skip
    return replace(made, **changes)


def fleet(**changes: Any) -> Fleet:
    return Fleet(
        **{"name": "web", "region": REGION, "silo": "blue", "groups": ("web-a",), **changes}
    )


def wish(**changes: Any) -> Wish:
    made = Wish(ami=ami(), boot_seconds=40, stop_seconds=310, held=frozenset(), owner=Stubbed())
    return replace(made, **changes)


def facts(**changes: Any) -> Facts:
    """Those of a group that may be rolled, but for the changes."""
    made = Facts(
        wish=wish(),
        fleet=fleet(),
        observed=observed(),
        image=image(),
        before=image(OLD),
        coming="",
        types={"t3.small": kind()},
        addresses={"subnet-1": 200},
        quotas=(Quota(code="L-1216C47A", most=64, used=8),),
        keys=(KeyUse(arn="arn:key", what="the AMI's EBS snapshot", state="Enabled", allowed=True),),
        hooks=(),
        target_groups=(target_group(),),
        alarms={},
        same_template=(),
    )
    return replace(made, **changes)


def described(**changes: Any) -> dict[str, Any]:
    """A group of DescribeAutoScalingGroups."""
    return {
        "AutoScalingGroupName": "web-a",
        "AutoScalingGroupARN": f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:"
        "11111111-2222-3333-4444-555555555555:autoScalingGroupName/web-a",
        "LaunchTemplate": {
            "LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "web", "Version": "3",
        },
        "MinSize": 1,
        "MaxSize": 8,
        "DesiredCapacity": 1,
        "DefaultCooldown": 300,
        "AvailabilityZones": [f"{REGION}a"],
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 300,
        "CreatedTime": LAUNCHED,
        "VPCZoneIdentifier": "subnet-1,subnet-2",
        "TargetGroupARNs": [TARGETS],
        "Instances": [described_member()],
        **changes,
    }  # fmt: skip


def described_member(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An instance of it."""
    return {
        "InstanceId": f"i-{number:017x}",
        "InstanceType": "t3.small",
        "AvailabilityZone": f"{REGION}a",
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": False,
        "LaunchTemplate": {
            "LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "web", "Version": "3",
        },
        **changes,
    }  # fmt: skip


def described_version(number: int = 3, ami: str = OLD, **changes: Any) -> dict[str, Any]:
    """A version of DescribeLaunchTemplateVersions."""
    return {
        "LaunchTemplateId": TEMPLATE,
        "LaunchTemplateName": "web",
        "VersionNumber": number,
        "CreatedBy": "arn:aws:iam::123456789012:user/ops",
        "CreateTime": LAUNCHED,
        "LaunchTemplateData": {"ImageId": ami, "InstanceType": "t3.small"},
        **changes,
    }


def described_instance(number: int = 1, ami: str = OLD, **tags: str) -> dict[str, Any]:
    """An instance of DescribeInstances."""
    given = {"aws:autoscaling:groupName": "web-a", **tags}
    return {
        "InstanceId": f"i-{number:017x}",
        "ImageId": ami,
        "InstanceType": "t3.small",
        "State": {"Code": 16, "Name": "running"},
        "LaunchTime": LAUNCHED,
        "Tags": [{"Key": key, "Value": value} for key, value in given.items() if value],
    }
