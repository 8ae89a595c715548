"""Instance types, addresses, quotas, targets, disks and keys, as a launch needs them."""

from __future__ import annotations

from typing import Any

import pytest
from fleets import TARGETS, kind
from stubbed import Stubbed

from goldpress.aws.capacity import Capacity, quota_of
from goldpress.aws.kms import lets_launch, policy_lets
from goldpress.aws.targets import Targets
from goldpress.aws.volumes import Volumes
from goldpress.errors import CloudError

ROLE = (
    "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/"
    "AWSServiceRoleForAutoScaling"
)


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


def capacity(cloud: Stubbed) -> Capacity:
    return Capacity(
        client=cloud.client("ec2"), quotas=cloud.client("service-quotas"), region="us-east-1"
    )


def described(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "InstanceType": name,
        "SupportedBootModes": ["legacy-bios", "uefi"],
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": 2},
        **changes,
    }


def test_a_type_that_the_region_has_not_is_none_and_the_others_are_known(cloud: Stubbed) -> None:
    cloud.refuses("ec2", "describe_instance_types", "InvalidInstanceType", "no t9.small")
    cloud.says(
        "ec2", "describe_instance_types", {"InstanceTypes": [described("t3.small")]},
        {"InstanceTypes": ["t3.small"]},
    )  # fmt: skip
    cloud.refuses("ec2", "describe_instance_types", "InvalidInstanceType", "no t9.small")
    found = capacity(cloud).types(["t9.small", "t3.small"])
    assert found == {"t3.small": kind(), "t9.small": None}


def test_another_refusal_is_an_error(cloud: Stubbed) -> None:
    cloud.refuses("ec2", "describe_instance_types", "UnauthorizedOperation")
    with pytest.raises(CloudError, match="AWS denies ec2:DescribeInstanceTypes"):
        capacity(cloud).types(["t3.small"])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("t3.small", "L-1216C47A"),
        ("m7i-flex.large", "L-1216C47A"),
        ("inf2.xlarge", "L-1945791B"),
        ("g5.xlarge", "L-DB2E81BA"),
        ("x2idn.16xlarge", "L-7295265B"),
        ("hpc7a.96xlarge", "L-F7808C92"),
        ("mac2.metal", ""),
        ("u-6tb1.56xlarge", ""),
    ],
)
def test_types_count_for_the_quota_of_their_family(name: str, code: str) -> None:
    assert quota_of(name) == code


def test_what_is_used_of_a_quota_is_counted_by_what_runs(cloud: Stubbed) -> None:
    cloud.says(
        "service-quotas", "get_service_quota", {"Quota": {"Value": 64.0}},
        {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"},
    )  # fmt: skip
    rows = [
        {"InstanceType": "t3.small"},
        {"InstanceType": "t3.small", "InstanceLifecycle": "spot"},
        {"InstanceType": "g5.xlarge"},
    ]
    cloud.says("ec2", "describe_instances", {"Reservations": [{"Instances": rows}]})
    cloud.says("ec2", "describe_instance_types", {"InstanceTypes": [described("t3.small")]})
    found = capacity(cloud).quota("L-1216C47A")
    assert (found.most, found.used) == (64.0, 2)


def test_free_addresses_by_subnet(cloud: Stubbed) -> None:
    row = {"SubnetId": "subnet-1", "AvailableIpAddressCount": 7}
    cloud.says("ec2", "describe_subnets", {"Subnets": [row]}, {"SubnetIds": ["subnet-1"]})
    assert capacity(cloud).addresses(["subnet-1"]) == {"subnet-1": 7}
    assert capacity(cloud).addresses([]) == {}


def test_attributes_of_a_target_group_are_part_of_it(cloud: Stubbed) -> None:
    cloud.says("elbv2", "describe_target_groups", {
        "TargetGroups": [{
            "TargetGroupArn": TARGETS, "TargetGroupName": "web", "TargetType": "instance",
            "HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 3,
        }]
    })  # fmt: skip
    cloud.says("elbv2", "describe_target_group_attributes", {
        "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}]
    })  # fmt: skip
    (found,) = Targets(client=cloud.client("elbv2"), region="us-east-1").groups([TARGETS])
    assert found.delay_seconds == 20
    assert found.healthy_seconds == 20
    assert found.dimension == "targetgroup/web/0123456789abcdef"


@pytest.mark.parametrize(
    ("state", "healthy", "draining"),
    [("healthy", True, False), ("draining", False, True), ("unhealthy.draining", False, True),
     ("initial", False, False), ("unused", False, False)],
)  # fmt: skip
def test_a_target_is_healthy_or_on_its_way_out(
    cloud: Stubbed, state: str, healthy: bool, draining: bool
) -> None:
    row = {"Target": {"Id": "i-1", "Port": 80}, "TargetHealth": {"State": state}}
    cloud.says("elbv2", "describe_target_health", {"TargetHealthDescriptions": [row]})
    cloud.says("elbv2", "describe_target_health", {"TargetHealthDescriptions": [row]})
    targets = Targets(client=cloud.client("elbv2"), region="us-east-1")
    found = targets.of(TARGETS, "i-1")
    assert found is not None
    assert (found.healthy, found.draining) == (healthy, draining)
    assert targets.of(TARGETS, "i-2") is None


def test_disks_are_told_by_instance(cloud: Stubbed) -> None:
    rows = [{
        "VolumeId": "vol-1", "SnapshotId": "snap-1",
        "Attachments": [
            {"InstanceId": "i-1", "Device": "/dev/xvda", "DeleteOnTermination": True}
        ],
    }]  # fmt: skip
    cloud.says("ec2", "describe_volumes", {"Volumes": rows})
    (found,) = Volumes(client=cloud.client("ec2"), region="us-east-1").of(["i-1"])
    assert (found.instance, found.device, found.snapshot, found.ends) == (
        "i-1", "/dev/xvda", "snap-1", True,
    )  # fmt: skip


def statement(principal: Any, *actions: str, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": list(actions), "Resource": "*"}


USE = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


@pytest.mark.parametrize(
    ("statements", "lets"),
    [
        ([statement({"AWS": ROLE}, *USE), statement({"AWS": ROLE}, "kms:CreateGrant")], True),
        ([statement({"AWS": [ROLE, "x"]}, "kms:*")], True),
        ([statement({"AWS": ROLE}, *USE)], False),
        ([statement({"AWS": "arn:aws:iam::123456789012:root"}, "kms:*")], False),
        ([statement({"AWS": ROLE}, "kms:*", effect="Deny")], False),
        ([statement({"Service": ROLE}, "kms:*")], False),
    ],
)
def test_a_keys_policy_has_to_name_the_role_itself(
    statements: list[dict[str, Any]], lets: bool
) -> None:
    """That the account may do everything is no word for the role of a service."""
    assert policy_lets({"Statement": statements}, ROLE) is lets


@pytest.mark.parametrize(
    ("operations", "lets"),
    [(["Decrypt", "CreateGrant", "GenerateDataKeyWithoutPlaintext"], True), (["Decrypt"], False)],
)
def test_a_grant_does_as_well(cloud: Stubbed, operations: list[str], lets: bool) -> None:
    cloud.says("kms", "get_key_policy", {"Policy": '{"Statement": []}'})
    cloud.says("kms", "list_grants", {
        "Grants": [{"GranteePrincipal": ROLE, "Operations": operations}], "Truncated": False,
    })  # fmt: skip
    assert lets_launch(cloud, "us-east-1", "arn:key", ROLE) is lets
