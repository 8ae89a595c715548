"""AMIs: what is registered comes back, and what EC2 refuses is refused.

[M] is botocore's model of `ec2`; [D] the EC2 user guide and "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from clouds import ROOT, Account, block, image, refused
from emulated import Emulator, new_account

A = block("a")


@pytest.fixture
def snapshot(account: Account) -> str:
    return account.made({0: A}, VolumeSize=2)


def test_every_attribute_comes_back(account: Account, snapshot: str) -> None:
    """[M] RegisterImage, Image."""
    wanted = image(snapshot, VolumeSize=5)
    image_id = account.ec2.register_image(**wanted, TpmSupport="v2.0")["ImageId"]
    found = account.image(image_id)
    kept = ("Name", "Architecture", "BootMode", "ImdsSupport", "EnaSupport", "RootDeviceName",
            "VirtualizationType", "Description")  # fmt: skip
    assert {name: found[name] for name in kept} == {name: wanted[name] for name in kept}
    assert found["TpmSupport"] == "v2.0"
    assert found["BlockDeviceMappings"] == [
        {
            "DeviceName": ROOT,
            "Ebs": {
                "SnapshotId": snapshot, "VolumeSize": 5, "VolumeType": "gp3",
                "DeleteOnTermination": True, "Encrypted": False,
            },
        }
    ]  # fmt: skip
    assert found["Tags"] == [{"Key": "image", "Value": "web"}]
    assert (found["State"], found["Public"], found["OwnerId"]) == ("available", False, account.id)
    assert found["DeregistrationProtection"] == "disabled"


def test_defaults_are_amazons(account: Account, snapshot: str) -> None:
    """[M] RegisterImage: "Default: ... i386", "Default: paravirtual"."""
    rows = image(snapshot)["BlockDeviceMappings"]
    image_id = account.ec2.register_image(
        Name="old", RootDeviceName=ROOT, BlockDeviceMappings=rows
    )["ImageId"]
    found = account.image(image_id)
    assert (found["Architecture"], found["VirtualizationType"]) == ("i386", "paravirtual")
    assert not found["EnaSupport"]
    assert not {"BootMode", "ImdsSupport", "TpmSupport", "Tags"} & set(found)


def test_a_name_is_taken_until_it_is_given_up(account: Account, snapshot: str) -> None:
    """[D] InvalidAMIName.Duplicate."""
    image_id = account.register(snapshot)
    message = refused("InvalidAMIName.Duplicate", account.register, snapshot)
    assert message == f"AMI name web {snapshot} is already in use by AMI {image_id}"
    account.ec2.deregister_image(ImageId=image_id)
    assert account.register(snapshot) != image_id


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Name": "web*1"}, "InvalidAMIName.Malformed"),
        ({"Name": "web:1"}, "InvalidAMIName.Malformed"),
        ({"Architecture": "x86"}, "InvalidParameterValue"),
        ({"BootMode": "bios"}, "InvalidParameterValue"),
        ({"ImdsSupport": "v1.0"}, "InvalidParameterValue"),
        ({"TpmSupport": "v2.0", "BootMode": "legacy-bios"}, "InvalidParameterCombination"),
        ({"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
        ({"BlockDeviceMappings": []}, "InvalidBlockDeviceMapping"),
        (
            {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": []}]},
            "InvalidParameterValue",
        ),
    ],
)
def test_bad_registrations(
    account: Account, snapshot: str, given: dict[str, Any], code: str
) -> None:
    refused(code, account.register, snapshot, **given)
    assert account.ec2.describe_images(Owners=["self"])["Images"] == []


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        ({"VolumeSize": 1}, "InvalidBlockDeviceMapping"),
        ({"Encrypted": True}, "InvalidBlockDeviceMapping"),
        ({"SnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
    ],
)
def test_bad_disks(account: Account, snapshot: str, disk: dict[str, Any], code: str) -> None:
    refused(code, account.ec2.register_image, **image(**{"snapshot": snapshot, **disk}))


def test_a_pending_snapshot_is_refused(account: Account) -> None:
    message = refused("IncorrectState", account.register, account.start())
    assert message == "Snapshot is in invalid state - pending"


def test_another_accounts_snapshot_is_refused(snapshot: str, emulator: Emulator) -> None:
    other = Account(emulator=emulator, id=new_account())
    refused("InvalidSnapshot.NotFound", other.register, snapshot)
    refused("InvalidSnapshot.NotFound", other.ec2.delete_snapshot, SnapshotId=snapshot)


def test_sharing(account: Account, snapshot: str, emulator: Emulator) -> None:
    """[M] ModifyImageAttribute, launchPermission; DescribeImages, ExecutableUsers."""
    other = Account(emulator=emulator, id=new_account())
    image_id = account.register(snapshot)
    refused("InvalidAMIID.NotFound", other.image, image_id)
    account.ec2.modify_image_attribute(
        ImageId=image_id, LaunchPermission={"Add": [{"UserId": other.id}]}
    )
    assert other.image(image_id)["OwnerId"] == account.id
    explicit = other.ec2.describe_images(ExecutableUsers=["self"])["Images"]
    assert [row["ImageId"] for row in explicit] == [image_id]
    assert other.ec2.describe_images(Owners=["self"])["Images"] == []
    told = account.ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    assert told["LaunchPermissions"] == [{"UserId": other.id}]
    refused("AuthFailure", other.ec2.deregister_image, ImageId=image_id)
    account.ec2.modify_image_attribute(
        ImageId=image_id, OperationType="remove", UserIds=[other.id], Attribute="launchPermission"
    )
    refused("InvalidAMIID.NotFound", other.image, image_id)
    refused(
        "InvalidAMIAttributeItemValue", account.ec2.modify_image_attribute,
        ImageId=image_id, LaunchPermission={"Add": [{"UserId": "12"}]},
    )  # fmt: skip


def test_encrypted_with_the_default_key_is_not_shared(account: Account) -> None:
    """[D] "Share an AMI with specific accounts": not with the default KMS key, never public."""
    kms = account.client("kms")
    for given, users, fails in (
        ({"Encrypted": True}, [{"UserId": "1" * 12}], True),
        ({"Encrypted": True, "KmsKeyArn": kms.create_key()["KeyMetadata"]["Arn"]},
         [{"UserId": "1" * 12}], False),
        ({"Encrypted": True, "KmsKeyArn": kms.create_key()["KeyMetadata"]["Arn"]},
         [{"Group": "all"}], True),
    ):  # fmt: skip
        image_id = account.register(account.made({0: A}, **given))
        call = account.ec2.modify_image_attribute
        add = {"ImageId": image_id, "LaunchPermission": {"Add": users}}
        if fails:
            assert "is encrypted" in refused("InvalidParameter", call, **add)
        else:
            call(**add)


def test_deprecation(account: Account, snapshot: str, emulator: Emulator) -> None:
    """[D] "Deprecate an AMI": only the owner still sees it."""
    other = Account(emulator=emulator, id=new_account())
    image_id = account.register(snapshot)
    account.ec2.modify_image_attribute(
        ImageId=image_id, LaunchPermission={"Add": [{"UserId": other.id}]}
    )
    at = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=30)
    account.ec2.enable_image_deprecation(ImageId=image_id, DeprecateAt=at)
    told = account.image(image_id)["DeprecationTime"]
    assert told.startswith(at.strftime("%Y-%m-%dT"))
    assert len(other.ec2.describe_images()["Images"]) == 1
    emulator.ask("clock", {"advance": 31 * 24 * 3600})
    assert other.ec2.describe_images()["Images"] == []
    assert len(other.ec2.describe_images(IncludeDeprecated=True)["Images"]) == 1
    assert len(account.ec2.describe_images(Owners=["self"])["Images"]) == 1
    past = dt.datetime.now(tz=dt.UTC)
    refused(
        "InvalidParameterValue", account.ec2.enable_image_deprecation,
        ImageId=image_id, DeprecateAt=past,
    )  # fmt: skip
    account.ec2.disable_image_deprecation(ImageId=image_id)
    assert "DeprecationTime" not in account.image(image_id)


def test_protection(account: Account, snapshot: str, emulator: Emulator) -> None:
    """[D] "Protect an AMI from deregistration", with and without the 24-hour cooldown."""
    image_id = account.register(snapshot)
    enable = account.ec2.enable_image_deregistration_protection
    disable = account.ec2.disable_image_deregistration_protection
    assert enable(ImageId=image_id)["Return"] == "enabled"
    assert account.image(image_id)["DeregistrationProtection"] == "enabled"
    refused("OperationNotPermitted", account.ec2.deregister_image, ImageId=image_id)
    disable(ImageId=image_id)
    assert enable(ImageId=image_id, WithCooldown=True)["Return"] == "enabled-with-cooldown"
    disable(ImageId=image_id)
    refused("OperationNotPermitted", account.ec2.deregister_image, ImageId=image_id)
    emulator.ask("clock", {"advance": 24 * 3600})
    account.ec2.deregister_image(ImageId=image_id)


def test_deregistering_with_and_without_its_snapshot(account: Account, snapshot: str) -> None:
    """[M] DeleteAssociatedSnapshots, DeleteSnapshotReturnCode."""
    one, two = account.register(snapshot), account.register(snapshot, Name="second")
    message = refused("InvalidSnapshot.InUse", account.ec2.delete_snapshot, SnapshotId=snapshot)
    assert message == f"The snapshot {snapshot} is currently in use by {one}"
    answer = account.ec2.deregister_image(ImageId=one, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "skipped"}]
    refused("InvalidAMIID.Unavailable", account.ec2.deregister_image, ImageId=one)
    answer = account.ec2.deregister_image(ImageId=two, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    assert account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_finding(account: Account, snapshot: str) -> None:
    """[M] DescribeImages: filters and pages."""
    ids = [account.register(snapshot, Name=f"web-{number}") for number in range(7)]
    account.register(snapshot, Name="other")
    describe = account.ec2.describe_images

    def found(name: str, value: str) -> int:
        return len(describe(Owners=["self"], Filters=[{"Name": name, "Values": [value]}])["Images"])

    assert found("name", "web-*") == 7
    assert found("tag:image", "web") == 8
    assert found("block-device-mapping.snapshot-id", snapshot) == 8
    assert found("ena-support", "true") == 8
    assert found("boot-mode", "legacy-bios") == 0
    pages = account.ec2.get_paginator("describe_images").paginate(
        Owners=["self"], PaginationConfig={"PageSize": 5}
    )
    assert [len(page["Images"]) for page in pages] == [5, 3]
    refused("InvalidParameterValue", describe, MaxResults=4)
    refused("InvalidAMIID.Malformed", describe, ImageIds=["ami-x"])
    missing = refused("InvalidAMIID.NotFound", describe, ImageIds=["ami-0123456789abcdef0"])
    assert "ami-0123456789abcdef0" in missing
    assert len(describe(ImageIds=ids[:3])["Images"]) == 3


def test_disabled(account: Account, snapshot: str, emulator: Emulator) -> None:
    """[D] "Disable an AMI": hidden, not launched, no longer shared."""
    other = Account(emulator=emulator, id=new_account())
    image_id = account.register(snapshot)
    account.ec2.modify_image_attribute(
        ImageId=image_id, LaunchPermission={"Add": [{"UserId": other.id}]}
    )
    account.ec2.disable_image(ImageId=image_id)
    assert account.ec2.describe_images(Owners=["self"])["Images"] == []
    hidden = account.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert [row["State"] for row in hidden] == ["disabled"]
    assert other.ec2.describe_images(IncludeDisabled=True)["Images"] == []
    account.ec2.enable_image(ImageId=image_id)
    assert account.image(image_id)["State"] == "available"


def test_it_takes_time(account: Account, snapshot: str, emulator: Emulator) -> None:
    """Eventual consistency: RegisterImage answers before DescribeImages knows."""
    emulator.ask("settings", {"image_invisible_seconds": 10.0, "image_pending_seconds": 20.0})
    emulator.ask("clock", {"stopped": True})
    image_id = account.register(snapshot)
    refused("InvalidAMIID.NotFound", account.image, image_id)
    emulator.ask("clock", {"advance": 10})
    assert account.image(image_id)["State"] == "pending"
    emulator.ask("clock", {"advance": 10})
    assert account.image(image_id)["State"] == "available"


def test_attributes_change(account: Account, snapshot: str) -> None:
    """[M] ModifyImageAttribute: description, imdsSupport."""
    image_id = account.register(snapshot, ImdsSupport="v2.0")
    modify = account.ec2.modify_image_attribute
    modify(ImageId=image_id, Description={"Value": "new"})
    assert account.image(image_id)["Description"] == "new"
    refused("InvalidParameterValue", modify, ImageId=image_id, ImdsSupport={"Value": "v1.0"})


def test_what_is_not_imitated_says_so(account: Account, snapshot: str) -> None:
    image_id = account.register(snapshot)
    message = refused(
        "UnsupportedOperation", account.ec2.copy_image,
        Name="copy", SourceImageId=image_id, SourceRegion="us-east-1",
    )  # fmt: skip
    assert message == "the embedded cloud has no CopyImage"
    refused(
        "UnsupportedOperation", account.ec2.copy_snapshot,
        SourceSnapshotId=snapshot, SourceRegion="us-east-1",
    )  # fmt: skip
