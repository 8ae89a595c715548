"""Owns EBS snapshots and AMIs as EC2 knows them: states, registration, sharing, protection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import cause_code, translated
from goldpress.aws.waiting import wait_until
from goldpress.errors import CloudError

SNAPSHOT_SECONDS = 1800.0
IMAGE_SECONDS = 900.0
POLL_SECONDS = 1.0
#: Servers of EC2 know of an image at different times: one that answers is not enough.
SEEN = 3
NO_SNAPSHOT = frozenset({"InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed"})
NO_IMAGE = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"})
NAME_TAKEN = "InvalidAMIName.Duplicate"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An EBS snapshot as EC2 describes it; `kms_key` is an ARN, empty when not encrypted."""

    id: str
    state: str
    why: str
    volume_gib: int
    kms_key: str
    encrypted: bool
    archived: bool


@dataclass(frozen=True, kw_only=True)
class Image:
    """An AMI as EC2 describes it."""

    id: str
    name: str
    state: str
    why: str
    snapshot: str
    protected: bool
    deprecation: str
    facts: Mapping[str, Any]

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags; nothing is decided by them."""
        return {str(row["Key"]): str(row["Value"]) for row in self.facts.get("Tags", [])}


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What an AMI is registered with."""

    name: str
    description: str
    architecture: str
    root_device: str
    snapshot: str
    volume_gib: int
    tpm: bool
    tags: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        """What EC2 has to say of such an image, beside its disk."""
        return {
            "Architecture": self.architecture,
            "BootMode": "uefi",
            "EnaSupport": True,
            "ImdsSupport": "v2.0",
            "RootDeviceName": self.root_device,
            "VirtualizationType": "hvm",
            **({"TpmSupport": "v2.0"} if self.tpm else {}),
        }

    def disk(self) -> dict[str, Any]:
        """The one disk."""
        return {
            "SnapshotId": self.snapshot,
            "VolumeSize": self.volume_gib,
            "VolumeType": "gp3",
            "DeleteOnTermination": True,
        }

    def arguments(self) -> dict[str, Any]:
        """The arguments of RegisterImage."""
        tags = [{"Key": key, "Value": value} for key, value in sorted(self.tags.items())]
        return {
            "Name": self.name,
            "Description": self.description,
            **self.facts(),
            "BlockDeviceMappings": [{"DeviceName": self.root_device, "Ebs": self.disk()}],
            "TagSpecifications": [{"ResourceType": "image", "Tags": tags}],
        }


@dataclass(frozen=True, kw_only=True)
class Images:
    """EBS snapshots and AMIs of one region."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Images:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ec2", region), region=region)

    def snapshot(self, snapshot: str) -> Snapshot | None:
        """An EBS snapshot, or None when EC2 knows none of this id."""
        with self._about(snapshot):
            try:
                rows = self.client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in NO_SNAPSHOT:
                    return None
                raise
        for row in rows:
            return Snapshot(
                id=str(row["SnapshotId"]),
                state=str(row["State"]),
                why=str(row.get("StateMessage", "")),
                volume_gib=int(row["VolumeSize"]),
                kms_key=str(row.get("KmsKeyId", "")),
                encrypted=bool(row.get("Encrypted")),
                archived=row.get("StorageTier", "standard") != "standard",
            )
        return None

    def wait_completed(self, snapshot: str, told: Callable[[str], None]) -> Snapshot:
        """The snapshot, when AWS has stored it. Raises CloudError when it never will."""
        what = f"{snapshot} in {self.region}"

        def probe() -> tuple[Snapshot | None, str]:
            found = self.snapshot(snapshot)
            if found is None:
                return None, "not known yet"
            if found.state == "error":
                raise CloudError(f"{what}: AWS could not store it: {found.why or 'no reason told'}")
            return (found if found.state == "completed" else None), found.state

        return wait_until(what, probe, seconds=SNAPSHOT_SECONDS, poll=POLL_SECONDS, told=told)

    def is_completed_within(self, snapshot: str, seconds: float) -> bool:
        """Whether AWS has stored it within so many seconds."""
        end = time.monotonic() + seconds
        while (found := self.snapshot(snapshot)) is None or found.state == "pending":
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        return found.state == "completed"

    def delete_snapshot(self, snapshot: str) -> None:
        """Delete an EBS snapshot; one that is not there is no failure."""
        with self._about(snapshot):
            try:
                self.client.delete_snapshot(SnapshotId=snapshot)
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] not in NO_SNAPSHOT:
                    raise

    def image(self, image: str) -> Image | None:
        """An AMI by its id, or None."""
        return next(iter(self._images(image, ImageIds=[image])), None)

    def named(self, name: str) -> Image | None:
        """This account's AMI of this name, also a disabled one, or None."""
        filters = [{"Name": "name", "Values": [name]}]
        found = self._images(name, Owners=["self"], Filters=filters, IncludeDisabled=True)
        return next(iter(found), None)

    def wait_named(self, name: str, *, times: int) -> Image | None:
        """This account's AMI of a name that is taken; it is asked for so many times."""
        for _ in range(times):
            if (found := self.named(name)) is not None:
                return found
            time.sleep(POLL_SECONDS)
        return None

    def register(self, wanted: Registration) -> str | None:
        """Register an AMI; returns its id, or None when its name is taken."""
        with self._about(wanted.name):
            try:
                return str(self.client.register_image(**wanted.arguments())["ImageId"])
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == NAME_TAKEN:
                    return None
                raise

    def wait_available(self, image: str, told: Callable[[str], None]) -> Image:
        """The AMI, when EC2 says several times that it is available. Raises CloudError."""
        what = f"{image} in {self.region}"

        def probe() -> tuple[Image | None, str]:
            found = self.image(image)
            if found is None:
                return None, "not known yet"
            if found.state in {"failed", "error", "invalid", "deregistered", "disabled"}:
                raise CloudError(f"{what} is {found.state}: {found.why or 'no reason told'}")
            return (found if found.state == "available" else None), found.state

        return wait_until(
            what, probe, seconds=IMAGE_SECONDS, poll=POLL_SECONDS, times=SEEN, told=told
        )

    def deregister(self, image: str) -> None:
        """Deregister an AMI; its EBS snapshot stays."""
        with self._about(image):
            try:
                self.client.deregister_image(ImageId=image)
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] not in NO_IMAGE:
                    raise

    def launchers(self, image: str) -> frozenset[str]:
        """The accounts, besides its own, that may launch the AMI."""
        with self._about(image):
            answer = self.client.describe_image_attribute(
                ImageId=image, Attribute="launchPermission"
            )
        rows = answer.get("LaunchPermissions", [])
        return frozenset(str(row["UserId"]) for row in rows if "UserId" in row)

    def share(self, image: str, accounts: Iterable[str]) -> tuple[str, ...]:
        """Let these accounts launch the AMI; returns those that could not before."""
        missing = tuple(sorted(set(accounts) - self.launchers(image)))
        if missing:
            with self._about(image):
                self.client.modify_image_attribute(
                    ImageId=image,
                    LaunchPermission={"Add": [{"UserId": account} for account in missing]},
                )
        return missing

    def tag(self, image: str, tags: Mapping[str, str]) -> None:
        """Set these tags of an AMI; the others stay."""
        rows = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        with self._about(image):
            self.client.create_tags(Resources=[image], Tags=rows)

    def deprecate(self, image: str, at: datetime) -> None:
        """Say from when on nobody should start anything new from the AMI."""
        with self._about(image):
            self.client.enable_image_deprecation(ImageId=image, DeprecateAt=at)

    def protect(self, image: str) -> None:
        """Let nobody deregister the AMI before the protection was switched off."""
        with self._about(image):
            self.client.enable_image_deregistration_protection(ImageId=image, WithCooldown=False)

    def default_encryption(self) -> str | None:
        """The account's default key when it encrypts everything in this region, else None."""
        with self._about("encryption by default"):
            if not self.client.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]:
                return None
            return str(self.client.get_ebs_default_kms_key_id()["KmsKeyId"])

    def _images(self, what: str, **arguments: Any) -> list[Image]:
        with self._about(what):
            try:
                rows = self.client.describe_images(**arguments)["Images"]
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in NO_IMAGE:
                    return []
                raise
        return [_image(row) for row in rows]

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="ec2")


def differences(found: Image, wanted: Registration) -> list[str]:
    """Where an AMI is not what would be registered; its EBS snapshot is not looked at."""
    pairs = [(name, found.facts.get(name), value) for name, value in wanted.facts().items()]
    mappings = found.facts.get("BlockDeviceMappings", [])
    disks = {row["DeviceName"]: row["Ebs"] for row in mappings if "Ebs" in row}
    pairs.append(("disks", sorted(disks), [wanted.root_device]))
    if disk := disks.get(wanted.root_device):
        wish = {name: value for name, value in wanted.disk().items() if name != "SnapshotId"}
        pairs += [(name, disk.get(name), value) for name, value in wish.items()]
    return [f"{name} is {had!r}, not {wish!r}" for name, had, wish in pairs if had != wish]


def is_not_found(error: CloudError) -> bool:
    """Whether EC2 has said that there is no such snapshot or image."""
    return cause_code(error) in NO_SNAPSHOT | NO_IMAGE


def _image(row: Mapping[str, Any]) -> Image:
    root = row.get("RootDeviceName")
    disks = {m["DeviceName"]: m.get("Ebs", {}) for m in row.get("BlockDeviceMappings", [])}
    return Image(
        id=str(row["ImageId"]),
        name=str(row.get("Name", "")),
        state=str(row.get("State", "")),
        why=str(row.get("StateReason", {}).get("Message", "")),
        snapshot=str(disks.get(root, {}).get("SnapshotId", "")),
        protected=str(row.get("DeregistrationProtection", "")).startswith("enabled"),
        deprecation=str(row.get("DeprecationTime", "")),
        facts=row,
    )
