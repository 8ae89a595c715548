"""Owns the disks of instances: what they were made from, and whether they go with the instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Client
from goldpress.aws.errors import translated

#: EC2 takes at most so many values of one filter.
VALUES = 200
PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A volume that is attached to an instance; `snapshot` is empty for one that began empty.

    `ends`: it is deleted when the instance ends.
    """

    volume: str
    instance: str
    device: str
    snapshot: str
    ends: bool


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """EBS volumes of one region, of the account that calls."""

    client: Client
    region: str

    def of(self, instances: Iterable[str]) -> tuple[Disk, ...]:
        """Every disk of these instances, by instance and device. Raises CloudError."""
        wanted = sorted(set(instances))
        found: list[Disk] = []
        for start in range(0, len(wanted), VALUES):
            found += self._attached(wanted[start : start + VALUES])
        return tuple(sorted(found, key=lambda row: (row.instance, row.device)))

    def let_end(self, instance: str, devices: Iterable[str], *, ends: bool) -> None:
        """Say of disks whether they go with their instance. Raises CloudError."""
        rows = [
            {"DeviceName": device, "Ebs": {"DeleteOnTermination": ends}}
            for device in sorted(devices)
        ]
        if not rows:
            return
        with self._about(instance):
            self.client.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=rows)

    def _attached(self, instances: list[str]) -> Iterator[Disk]:
        filters = [{"Name": "attachment.instance-id", "Values": instances}]
        following: dict[str, str] = {}
        while True:
            with self._about("volumes"):
                answer = self.client.describe_volumes(Filters=filters, MaxResults=PAGE, **following)
            for row in answer["Volumes"]:
                yield from _disks(row, instances)
            if not answer.get("NextToken"):
                return
            following = {"NextToken": str(answer["NextToken"])}

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="ec2")


def _disks(row: Mapping[str, Any], instances: list[str]) -> Iterator[Disk]:
    for attached in row.get("Attachments", ()):
        if attached.get("InstanceId") in instances:
            yield Disk(
                volume=str(row["VolumeId"]),
                instance=str(attached["InstanceId"]),
                device=str(attached.get("Device", "")),
                snapshot=str(row.get("SnapshotId") or ""),
                ends=bool(attached.get("DeleteOnTermination")),
            )
