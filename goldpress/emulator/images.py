"""Owns AMIs: every attribute that was registered, who may see one, when it may be deregistered.

They are kept where moto keeps its own. Sources: [M] botocore's model of `ec2`, [D] the EC2 user
guide and "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_ami_id

from goldpress.emulator.snapshots import find
from goldpress.emulator.world import World, current

#: [M] RegisterImage: "3-128 alphanumeric characters, parentheses, square brackets, spaces,
#: periods, slashes, dashes, single quotes, at-signs, or underscores".
NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
CHOICES = {
    "Architecture": ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"),
    "BootMode": ("legacy-bios", "uefi", "uefi-preferred"),
    "VirtualizationType": ("hvm", "paravirtual"),
    "TpmSupport": ("v2.0",),
    "ImdsSupport": ("v2.0",),
    "SriovNetSupport": ("simple",),
}
#: [D] "Enable deregistration protection": the optional cooldown.
COOLDOWN_SECONDS = 24 * 3600
UTC_FORMAT = "%Y-%m-%dT%H:%M:%S.000Z"


class Ec2Error(ServiceException):  # type: ignore[misc,unused-ignore]
    """An error of EC2."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


class Image(Ami):  # type: ignore[misc,unused-ignore]
    """An AMI made by RegisterImage. moto's own constructor would invent a 15 GiB snapshot."""

    def __init__(self, backend: Any, asked: Mapping[str, Any]) -> None:
        self.world: World = current()
        self.ec2_backend = backend
        self.id = random_ami_id()
        self.registered = self.world.clock.now()
        self.disabled = False
        self.name = asked["Name"]
        self.description = asked.get("Description") or ""
        self.owner_id = backend.account_id
        self.owner_alias = None
        # [M] the defaults of RegisterImage, which nobody wants: i386 and paravirtual.
        self.architecture: str = asked.get("Architecture") or "i386"
        self.virtualization_type = asked.get("VirtualizationType") or "paravirtual"
        self.boot_mode = asked.get("BootMode") or ""
        self.tpm_support = asked.get("TpmSupport")
        self.imds_support = asked.get("ImdsSupport")
        self.ena_support = bool(asked.get("EnaSupport"))
        self.sriov_net_support = asked.get("SriovNetSupport")
        self.root_device_name = asked["RootDeviceName"]
        self.root_device_type = "ebs"
        self.mappings: list[dict[str, Any]] = asked["BlockDeviceMappings"]
        self.image_type, self.image_location = "machine", f"{backend.account_id}/{self.name}"
        self.hypervisor, self.platform, self.kernel_id, self.instance_id = "xen", None, None, None
        self.platform_details, self.usage_operation = "Linux/UNIX", "RunInstances"
        self.product_codes: set[str] = set()
        self.launch_permissions: list[dict[str, str]] = []
        self.creation_date = self.world.clock.utc()
        self.deprecation: dt.datetime | None = None
        self.protection = "disabled"
        self.protected_until = 0.0

    @property
    def state(self) -> str:
        """``pending`` for a while, then ``available``, unless ``disabled``."""
        if self.disabled:
            return "disabled"
        pending = self.world.settings.image_pending_seconds
        return "pending" if self.world.clock.now() < self.registered + pending else "available"

    @state.setter
    def state(self, value: str) -> None:
        self.disabled = value == "disabled"

    @property
    def visible(self) -> bool:
        """Whether DescribeImages shows it already."""
        lag = self.world.settings.image_invisible_seconds
        return self.world.clock.now() >= self.registered + lag

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """As they were registered."""
        return self.mappings

    @property
    def snapshot_ids(self) -> list[str]:
        """The EBS snapshots behind it."""
        return [row["Ebs"]["SnapshotId"] for row in self.mappings if "SnapshotId" in row["Ebs"]]

    @property
    def root_mapping(self) -> dict[str, Any]:
        """The mapping of the root volume."""
        return next(row for row in self.mappings if row["DeviceName"] == self.root_device_name)

    @property
    def deprecation_time(self) -> str | None:
        """As DescribeImages prints it."""
        return self.deprecation.strftime(UTC_FORMAT) if self.deprecation else None

    @property
    def deprecated(self) -> bool:
        """Whether its time has come."""
        return self.deprecation is not None and self.world.clock.utc() >= self.deprecation

    @property
    def deregistration_protection(self) -> str:
        """``disabled``, ``enabled``, ``enabled-with-cooldown``, or when a cooldown ends."""
        if self.protection == "disabled" and self.world.clock.now() < self.protected_until:
            until = dt.datetime.fromtimestamp(self.protected_until, tz=dt.UTC)
            return f"disabled after {until.strftime(UTC_FORMAT)}"
        return self.protection

    def document(self) -> dict[str, Any]:
        """What DescribeImages says of it, with the members that AWS has for such an AMI."""
        made: dict[str, Any] = {
            "Architecture": self.architecture, "BlockDeviceMappings": self.mappings,
            "CreationDate": self.creation_date, "Description": self.description,
            "DeregistrationProtection": self.deregistration_protection,
            "EnaSupport": self.ena_support, "Hypervisor": self.hypervisor, "ImageId": self.id,
            "ImageLocation": self.image_location, "ImageType": self.image_type,
            "Name": self.name, "OwnerId": self.owner_id, "PlatformDetails": self.platform_details,
            "Public": self.is_public, "RootDeviceName": self.root_device_name,
            "RootDeviceType": self.root_device_type, "State": self.state,
            "UsageOperation": self.usage_operation,
            "VirtualizationType": self.virtualization_type,
        }  # fmt: skip
        optional = {
            "BootMode": self.boot_mode, "DeprecationTime": self.deprecation_time,
            "ImdsSupport": self.imds_support, "SriovNetSupport": self.sriov_net_support,
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in self.get_tags()],
            "TpmSupport": self.tpm_support,
        }  # fmt: skip
        return {**made, **{key: value for key, value in optional.items() if value}}

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """A filter's value; [M] DescribeImages, Filters."""
        first, _, rest = filter_name.partition(".")
        if first == "block-device-mapping" and rest:
            name = {"snapshot-id": "SnapshotId", "volume-size": "VolumeSize"}.get(rest)
            if name:
                return [str(row["Ebs"].get(name)) for row in self.mappings]
        if filter_name in {"boot-mode", "ena-support", "description", "root-device-name"}:
            return getattr(self, filter_name.replace("-", "_"))
        return super().get_filter_value(filter_name, method_name)


def check_choices(asked: Mapping[str, Any]) -> None:
    """Raises InvalidParameterValue for a value that [M] does not list, or that excludes another."""
    for name, values in CHOICES.items():
        value = asked.get(name)
        if value is not None and value not in values:
            raise Ec2Error("InvalidParameterValue", f"Value ({value}) for {name} is invalid.")
    if asked.get("TpmSupport") and asked.get("BootMode") not in {"uefi", "uefi-preferred"}:
        raise Ec2Error("InvalidParameterCombination", "TpmSupport needs the boot mode uefi")
    if asked.get("Architecture") == "arm64" and asked.get("BootMode") == "legacy-bios":
        raise Ec2Error("InvalidParameterCombination", "arm64 has no boot mode legacy-bios")


def mapped(
    rows: list[dict[str, Any]], root: str | None, *, account: str, region: str
) -> list[dict[str, Any]]:
    """The block device mappings as DescribeImages returns them. Raises Ec2Error."""
    if not root or all(row.get("DeviceName") != root for row in rows):
        raise Ec2Error("InvalidBlockDeviceMapping", "No root snapshot specified in device mapping")
    names = [row.get("DeviceName") for row in rows]
    if len(set(names)) != len(names):
        raise Ec2Error("InvalidBlockDeviceMapping", "a device name is mapped twice")
    return [_mapping(row, account=account, region=region) for row in rows]


def _mapping(row: dict[str, Any], *, account: str, region: str) -> dict[str, Any]:
    ebs = dict(row.get("Ebs") or {})
    name = row["DeviceName"]
    snapshot_id = ebs.get("SnapshotId")
    if not snapshot_id:
        raise Ec2Error("MissingParameter", f"the mapping of {name} has no snapshotId")
    if "Encrypted" in ebs or "KmsKeyId" in ebs:
        # [M] "you can't specify the encryption state of the volume"
        raise Ec2Error(
            "InvalidBlockDeviceMapping", "encryption follows from the snapshot, not from a mapping"
        )
    found = usable(snapshot_id, account=account, region=region)
    size = int(ebs.get("VolumeSize") or found.volume_size)
    if size < found.volume_size:
        raise Ec2Error(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', "
            f"expect size >= {found.volume_size}GB",
        )
    made = {
        "DeviceName": name,
        "Ebs": {
            "SnapshotId": snapshot_id,
            "VolumeSize": size,
            "VolumeType": ebs.get("VolumeType") or "standard",
            "DeleteOnTermination": bool(ebs.get("DeleteOnTermination", True)),
            "Encrypted": bool(found.encrypted),
        },
    }
    made["Ebs"].update({key: int(ebs[key]) for key in ("Iops", "Throughput") if key in ebs})
    return made


def usable(snapshot_id: str, *, account: str, region: str) -> Snapshot:
    """A completed EBS snapshot that the account may use. Raises Ec2Error."""
    found = find(account, region, snapshot_id)
    if found is None:
        raise Ec2Error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    if found.status != "completed":
        raise Ec2Error("IncorrectState", f"Snapshot is in invalid state - {found.status}")
    return found


def may_see(image: Ami, account: str) -> bool:
    """Whether the AMI is the account's, shared with it, or public."""
    return (
        image.owner_id == account
        or image.is_public
        or any(row.get("UserId") == account for row in image.launch_permissions)
    )


def images_of(account: str, region: str) -> list[Ami]:
    """Every AMI of the region that the account may see, in order of its registration."""
    found = [
        image
        for other in list(ec2_backends)
        for image in list(ec2_backends[other][region].amis.values())
        if may_see(image, account) and getattr(image, "visible", True)
    ]
    return sorted(found, key=lambda image: getattr(image, "registered", 0.0))


def users_of(snapshot_id: str, region: str) -> list[str]:
    """The AMIs, of any account, that are backed by this EBS snapshot."""
    return [
        image.id
        for account in list(ec2_backends)
        for image in list(ec2_backends[account][region].amis.values())
        if isinstance(image, Image) and snapshot_id in image.snapshot_ids
    ]


def own(account: str, region: str, image_id: str) -> Image:
    """An AMI that the account may change. Raises Ec2Error."""
    backend = ec2_backends[account][region]
    found = backend.amis.get(image_id)
    if isinstance(found, Image):
        return found
    if image_id in backend.deleted_amis:
        raise Ec2Error(
            "InvalidAMIID.Unavailable", f"The image ID '{image_id}' is no longer available"
        )
    if any(image.id == image_id for image in images_of(account, region)):
        raise Ec2Error("AuthFailure", f"Not authorized for image:{image_id}")
    if not re.fullmatch(r"ami-[0-9a-f]{8,17}", image_id):
        raise Ec2Error("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    raise Ec2Error("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")


def launchable(account: str, region: str, image_id: str) -> Image:
    """An AMI to launch from. Raises Ec2Error when there is none, or not in a state for it."""
    for image in images_of(account, region):
        if image.id == image_id and isinstance(image, Image):
            if image.state != "available":
                raise Ec2Error(
                    "InvalidAMIID.Unavailable",
                    f"The image ID '{image_id}' is {image.state} and cannot be launched",
                )
            return image
    return own(account, region, image_id)
