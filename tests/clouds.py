"""Owns making what tests of the embedded cloud start from: EBS snapshots, AMIs, their pieces."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251
from emulated import Emulator, new_account

from goldpress.machine import process
from goldpress.machine.process import Process

BLOCK = 524288
ROOT = "/dev/xvda"


def block(text: str) -> bytes:
    return text.encode().ljust(BLOCK, b".")


def sha(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def aggregate(blocks: Mapping[int, bytes]) -> str:
    return sha(b"".join(hashlib.sha256(blocks[i]).digest() for i in sorted(blocks)))


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account of the embedded cloud in one region."""

    emulator: Emulator
    id: str
    region: str = "us-east-1"

    @property
    def ebs(self) -> Any:
        return self.emulator.client("ebs", account=self.id, region=self.region)

    @property
    def ec2(self) -> Any:
        return self.emulator.client("ec2", account=self.id, region=self.region)

    def client(self, service: str) -> Any:
        return self.emulator.client(service, account=self.id, region=self.region)

    def start(self, **given: Any) -> str:
        return str(self.ebs.start_snapshot(**{"VolumeSize": 1, **given})["SnapshotId"])

    def put(self, snapshot: str, index: int, data: bytes, **given: Any) -> Any:
        asked = {
            "DataLength": len(data), "Checksum": sha(data), "ChecksumAlgorithm": "SHA256", **given
        }  # fmt: skip
        return self.ebs.put_snapshot_block(
            SnapshotId=snapshot, BlockIndex=index, BlockData=data, **asked
        )

    def complete(self, snapshot: str, blocks: Mapping[int, bytes], **given: Any) -> Any:
        asked = {
            "ChangedBlocksCount": len(blocks), "Checksum": aggregate(blocks),
            "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR", **given,
        }  # fmt: skip
        return self.ebs.complete_snapshot(SnapshotId=snapshot, **asked)

    def made(self, blocks: Mapping[int, bytes], **given: Any) -> str:
        """A completed EBS snapshot of these blocks."""
        snapshot = self.start(**given)
        for index, data in blocks.items():
            self.put(snapshot, index, data)
        self.complete(snapshot, blocks)
        self.wait(snapshot)
        return snapshot

    def wait(self, snapshot: str) -> None:
        end = time.monotonic() + 30
        while self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] != (
            "completed"
        ):
            assert time.monotonic() < end
            time.sleep(0.05)

    def listed(self, snapshot: str, **given: Any) -> dict[int, str]:
        rows = self.ebs.list_snapshot_blocks(SnapshotId=snapshot, **given)["Blocks"]
        return {row["BlockIndex"]: row["BlockToken"] for row in rows}

    def read(self, snapshot: str, index: int) -> bytes:
        token = self.listed(snapshot)[index]
        answer = self.ebs.get_snapshot_block(
            SnapshotId=snapshot, BlockIndex=index, BlockToken=token
        )
        data: bytes = answer["BlockData"].read()
        assert answer["Checksum"] == sha(data)
        return data

    def register(self, snapshot: str, **given: Any) -> str:
        return str(self.ec2.register_image(**{**image(snapshot), **given})["ImageId"])

    def image(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_images(ImageIds=[image_id])["Images"][0]
        return found

    def run(self, image_id: str, **given: Any) -> dict[str, Any]:
        asked = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", **given}
        found: dict[str, Any] = self.ec2.run_instances(ImageId=image_id, **asked)["Instances"][0]
        return found

    def status(self, instance_id: str) -> str:
        """The instance's own check, `none` while it does not run."""
        rows = self.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return str(rows[0]["InstanceStatus"]["Status"]) if rows else "none"

    def instance(self, instance_id: str) -> dict[str, Any]:
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found


def waited(what: str, probe: Callable[[], Any], seconds: float = 400) -> Any:
    """What `probe` finds, asked once a second."""
    end = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(1)
    return found


def qemu_of(machine: Mapping[str, Any]) -> Process:
    """The process of a machine that `/_goldpress/instances` tells of."""
    return process.identify(int((Path(machine["directory"]) / "qemu.pid").read_text()))


def image(snapshot: str, **given: Any) -> dict[str, Any]:
    """The request that registers an AMI as goldpress does."""
    disk = {
        "SnapshotId": snapshot, "VolumeType": "gp3", "DeleteOnTermination": True,
        **given,
    }  # fmt: skip
    return {
        "Name": f"web {snapshot}", "Architecture": "x86_64", "BootMode": "uefi",
        "ImdsSupport": "v2.0", "EnaSupport": True, "VirtualizationType": "hvm",
        "RootDeviceName": ROOT, "Description": "a test",
        "BlockDeviceMappings": [{"DeviceName": ROOT, "Ebs": disk}],
        "TagSpecifications": [
            {"ResourceType": "image", "Tags": [{"Key": "image", "Value": "web"}]}
        ],
    }  # fmt: skip


def refused(code: str, call: Any, *arguments: Any, **given: Any) -> str:
    """The message of the refusal, which has to be this one."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **given)
    error = caught.value.response
    found = error["Error"]["Code"]
    assert found == code, f"{found}: {error['Error'].get('Message')}"
    return f"{error.get('Reason', '')} {error['Error'].get('Message', '')}".strip()


@pytest.fixture
def account(emulator: Emulator) -> Account:
    return Account(emulator=emulator, id=new_account())
