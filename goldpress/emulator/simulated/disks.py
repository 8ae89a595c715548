"""Owns the disks of simulated instances: one each, made from its AMI's EBS snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.simulated.machines import Instance
from goldpress.emulator.simulated.place import Place

ATTACHED = "attachment.instance-id"
#: Where an instance keeps what was changed of its disk.
STAYS, MADE_FROM = "goldpress:disk-stays", "goldpress:disk-from"
Call = Callable[[Place, Mapping[str, Any]], dict[str, Any]]


def describe_volumes(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeVolumes, of instances."""
    wanted = [row for row in request.get("Filters", ()) if row["Name"] == ATTACHED]
    if len(wanted) != 1 or len(request.get("Filters", ())) != 1:
        raise ScalingError("InvalidParameterValue", f"volumes are told by {ATTACHED} only")
    found = (place.machines.every.get(name) for name in wanted[0]["Values"])
    return {"Volumes": list(_volumes(place, (row for row in found if row is not None)))}


def modify_attribute(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] ModifyInstanceAttribute: whether the disk goes with its instance."""
    row = place.machines.every.get(request["InstanceId"])
    if row is None:
        raise ScalingError("InvalidInstanceID.NotFound", f"no instance {request['InstanceId']}")
    for disk in request.get("BlockDeviceMappings", ()):
        if disk["DeviceName"] != _root(place, row):
            raise ScalingError("InvalidInstanceAttributeValue", f"no {disk['DeviceName']}")
        row.extra = {**row.extra, STAYS: not disk["Ebs"]["DeleteOnTermination"]}
    return {}


def encryption(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetEbsEncryptionByDefault: it is off."""
    del place, request
    return {"EbsEncryptionByDefault": False}


def replace_root(place: Place, instance: str, snapshot: str) -> None:
    """What ReplaceRootVolume does to an instance: its disk is another one."""
    row = place.machines.every[instance]
    row.extra = {**row.extra, MADE_FROM: snapshot}


def _volumes(place: Place, rows: Iterator[Instance]) -> Iterator[dict[str, Any]]:
    for row in rows:
        root = _root(place, row)
        mapped = place.images.get(row.image, {}).get("BlockDeviceMappings", ())
        disks = {disk["DeviceName"]: disk.get("Ebs", {}) for disk in mapped}
        yield {
            "VolumeId": f"vol-{row.id.removeprefix('i-')}",
            "SnapshotId": row.extra.get(MADE_FROM) or disks.get(root, {}).get("SnapshotId", ""),
            "Attachments": [
                {
                    "InstanceId": row.id,
                    "Device": root,
                    "DeleteOnTermination": not row.extra.get(STAYS),
                }
            ],
        }


def _root(place: Place, row: Instance) -> str:
    return str(place.images.get(row.image, {}).get("RootDeviceName", "/dev/xvda"))


CALLS: Mapping[str, Call] = {
    "DescribeVolumes": describe_volumes,
    "ModifyInstanceAttribute": modify_attribute,
    "GetEbsEncryptionByDefault": encryption,
}
