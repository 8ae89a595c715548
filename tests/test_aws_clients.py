"""The clients of AWS's services, where no cloud is needed: requests, errors, waits, keys."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251 - what botocore raises

from goldpress.aws import checkip, waiting
from goldpress.aws.client import Access, is_loopback
from goldpress.aws.ebs import Request, linear_checksum
from goldpress.aws.ec2 import Image, Registration, differences
from goldpress.aws.errors import client_error, is_permanent, translated
from goldpress.aws.instances import Launch
from goldpress.aws.kms import allowed_principals
from goldpress.errors import CloudError

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
REGISTRATION = Registration(
    name="n", description="d", architecture="x86_64", root_device="/dev/xvda", snapshot="snap-1",
    volume_gib=2, tpm=False, tags={},
)  # fmt: skip


def request(**changes: Any) -> dict[str, Any]:
    return Request(
        **{"volume_gib": 2, "description": "d", "tags": {"a": "b"}, **changes}
    ).arguments("t")


def test_a_child_leaves_encryption_to_its_parent() -> None:
    given = request(parent="snap-1", kms_key=KEY, encrypted=True)
    assert given["ParentSnapshotId"] == "snap-1"
    assert not {"Encrypted", "KmsKeyArn"} & given.keys()


def test_a_snapshot_is_begun_with_a_time_limit_and_a_token() -> None:
    assert request() == {
        "VolumeSize": 2,
        "Description": "d",
        "Tags": [{"Key": "a", "Value": "b"}],
        "ClientToken": "t",
        "Timeout": 60,
    }
    assert request(kms_key=KEY)["KmsKeyArn"] == KEY
    assert request(kms_key=KEY)["Encrypted"]
    assert request(encrypted=True)["Encrypted"]


def test_the_common_checksum_is_over_sha256_in_order() -> None:
    blocks = {9: hashlib.sha256(b"9").digest(), 1: hashlib.sha256(b"1").digest()}
    # sha256 of (sha256("1") + sha256("9")), in base64
    assert linear_checksum(blocks) == "d4eqK0rSYFNDvc85UMBpTnkhp0mRKBS18Hk/2jNfeKo="


def found(**changes: Any) -> Image:
    facts = {
        **REGISTRATION.facts(),
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": REGISTRATION.disk()}],
        **changes,
    }
    return Image(
        id="ami-1", name="n", state="available", why="", snapshot="snap-1", protected=False,
        deprecation="", facts=facts,
    )  # fmt: skip


def test_an_ami_that_is_as_registered_has_no_differences() -> None:
    assert differences(found(), REGISTRATION) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BootMode": "legacy-bios"}, "BootMode is 'legacy-bios', not 'uefi'"),
        ({"ImdsSupport": None}, "ImdsSupport is None, not 'v2.0'"),
        ({"BlockDeviceMappings": []}, "disks is [], not ['/dev/xvda']"),
        (
            {
                "BlockDeviceMappings": [
                    {"DeviceName": "/dev/xvda", "Ebs": {**REGISTRATION.disk(), "VolumeType": "gp2"}}
                ]
            },
            "VolumeType is 'gp2', not 'gp3'",
        ),
    ],
)
def test_an_ami_that_differs_is_told_by_its_attribute(change: dict[str, Any], message: str) -> None:
    assert differences(found(**change), REGISTRATION) == [message]


def test_an_instance_has_one_group_one_disk_and_tokens_only() -> None:
    given = Launch(
        token="t", ami="ami-1", instance_type="t3.small", key="k", group="sg-1",  # noqa: S106
        subnet="subnet-1", root_device="/dev/xvda", volume_gib=3, public=False, tags={},
    ).arguments()  # fmt: skip
    assert given["NetworkInterfaces"] == [
        {"DeviceIndex": 0, "Groups": ["sg-1"], "SubnetId": "subnet-1"}
    ]
    assert given["MetadataOptions"]["HttpTokens"] == "required"
    (disk,) = given["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"]
    assert (given["MinCount"], given["MaxCount"], given["ClientToken"]) == (1, 1, "t")


def answer(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "RunInstances")


@pytest.mark.parametrize(
    ("code", "told", "permanent"),
    [
        ("UnauthorizedOperation", "AWS denies ec2:RunInstances: You may not.", True),
        ("RequestLimitExceeded", "AWS is too busy for RunInstances", False),
        ("VcpuLimitExceeded", "RunInstances: a quota of this account is used up", True),
        ("InsufficientInstanceCapacity", "RunInstances: AWS has no capacity", True),
        ("ExpiredToken", "the AWS credentials have expired", False),
        ("AuthFailure", "AWS does not accept the credentials", False),
        ("InvalidAMIID.NotFound", "RunInstances failed: InvalidAMIID.NotFound: You may", True),
    ],
)
def test_errors_say_what_and_whether_it_can_get_better(
    code: str, told: str, permanent: bool
) -> None:
    said = answer(code, "You may not. Encoded authorization failure message: aGVsbG8")
    with pytest.raises(CloudError) as caught, translated("an instance", service="ec2"):
        raise said
    assert caught.value.message.startswith(f"an instance: {told}")
    assert "aGVsbG8" not in str(caught.value)
    assert is_permanent(caught.value) is permanent


def test_what_s3_says_is_as_before() -> None:
    assert "needed: s3:GetObject" in client_error(answer("AccessDenied"), "x").hint


def test_a_wait_ends_after_enough_in_a_row() -> None:
    answers = iter([None, "a", None, "b", "c"])
    told: list[str] = []

    def probe() -> tuple[str | None, str]:
        value = next(answers)
        return value, "there" if value else "pending"

    assert waiting.wait_until("x", probe, seconds=9, poll=0, times=2, told=told.append) == "c"
    assert told[0] == "pending, 0 s"


def test_a_wait_is_bounded_and_says_for_what() -> None:
    with pytest.raises(CloudError, match="snap-1: still pending after 0 s") as caught:
        waiting.wait_until("snap-1", lambda: (None, "pending"), seconds=0.01, poll=0.01)
    assert "to go on waiting" in caught.value.hint


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ({"Effect": "Allow", "Principal": {"AWS": "a"}, "Action": "kms:*"}, {"a"}),
        (
            {"Effect": "Allow", "Principal": {"AWS": ["a", "b"]}, "Action": ["kms:Decrypt"]},
            {"a", "b"},
        ),
        ({"Effect": "Allow", "Principal": {"AWS": "a"}, "Action": "kms:ListKeys"}, set()),
        ({"Effect": "Deny", "Principal": {"AWS": "a"}, "Action": "kms:*"}, set()),
        ({"Effect": "Allow", "Principal": {"Service": "x"}, "Action": "kms:*"}, set()),
    ],
)
def test_a_key_policy_is_read_as_far_as_a_launch_needs_it(
    statement: dict[str, Any], names: set[str]
) -> None:
    assert allowed_principals({"Statement": [statement]}) == names
    assert allowed_principals({"Statement": statement}) == names


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://localhost:4566/", True),
        ("https://ec2.us-east-1.amazonaws.com", False),
        ("https://127.0.0.1.example.com", False),
        ("https://vpce-1.ec2.us-east-1.vpce.amazonaws.com", False),
    ],
)
def test_an_embedded_cloud_is_on_this_machine(url: str, here: bool) -> None:
    assert is_loopback(url) is here


def test_a_bad_profile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(CloudError, match=r"no AWS credentials: .*no-such-profile"):
        Access().client("ec2", "sa-east-1")


def test_an_unknown_address_names_the_setting() -> None:
    with pytest.raises(CloudError, match="does not tell this machine's address") as caught:
        checkip.caller_cidr("http://127.0.0.1:9/")
    assert "trial.from_cidr" in caught.value.hint
