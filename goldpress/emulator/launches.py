"""Owns what a launch is made of: request, launch template and AMI put together, and refused.

[D] "Error codes for the Amazon EC2 API"; [M] RunInstances, RequestLaunchTemplateData.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ssm.models import ssm_backends

from goldpress.emulator.images import Ec2Error, Image, usable

RESOLVE = "resolve:ssm:"


def resolved(image_id: str, *, account: str, region: str) -> str:
    """An AMI id, where ``resolve:ssm:name[:version-or-label]`` stands for a parameter's value."""
    if not image_id.startswith(RESOLVE):
        return image_id
    name = image_id.removeprefix(RESOLVE)
    parameter = ssm_backends[account][region].get_parameter(name)
    if parameter is None:
        raise Ec2Error("InvalidParameterValue", f"The SSM parameter '{name}' does not exist")
    return str(parameter.value)


def check_type(name: str, image: Image) -> None:
    """Raises Ec2Error when instances of this type cannot run the AMI."""
    kind = INSTANCE_TYPES.get(name)
    if kind is None:
        raise Ec2Error("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    architectures = kind["ProcessorInfo"]["SupportedArchitectures"]
    if image.architecture not in architectures:
        raise Ec2Error(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does "
            f"not match the architecture '{image.architecture}' of the specified AMI.",
        )
    if image.boot_mode == "uefi" and "uefi" not in kind.get("SupportedBootModes", ()):
        raise Ec2Error(
            "InvalidParameterValue",
            f"The instance type '{name}' does not support an AMI with a boot mode of UEFI.",
        )
    if image.virtualization_type not in kind.get("SupportedVirtualizationTypes", ("hvm",)):
        raise Ec2Error(
            "InvalidParameterCombination",
            f"Virtualization type '{image.virtualization_type}' is not supported by '{name}'.",
        )
    if kind["NetworkInfo"].get("EnaSupport") == "required" and not image.ena_support:
        raise Ec2Error(
            "InvalidParameterCombination",
            "Enhanced networking with the Elastic Network Adapter (ENA) is required for the "
            f"'{name}' instance type. Ensure that you are using an AMI that is enabled for ENA.",
        )
    if image.tpm_support and kind.get("NitroTpmSupport") != "supported":
        raise Ec2Error("InvalidParameterCombination", f"'{name}' does not support NitroTPM.")


def check_key(name: str | None, *, account: str, region: str) -> None:
    """Raises InvalidKeyPair.NotFound."""
    if name and name not in ec2_backends[account][region].key_pairs:
        raise Ec2Error("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def disks(
    image: Image, given: list[Mapping[str, Any]], *, account: str, region: str
) -> list[dict[str, Any]]:
    """Every volume of a launch: the AMI's, changed or extended by the request's, by device name.

    A device name that the AMI does not have makes another, empty volume: what a launch template
    with the wrong root device name does on AWS, too.
    """
    made: dict[str, dict[str, Any]] = {
        row["DeviceName"]: dict(row["Ebs"]) for row in image.block_device_mappings
    }
    for row in given:
        name = row["DeviceName"]
        if row.get("NoDevice") is not None:
            if name == image.root_device_name:
                raise Ec2Error("InvalidBlockDeviceMapping", "the root volume cannot be left out")
            made.pop(name, None)
            continue
        values = {key: value for key, value in row.get("Ebs", {}).items() if value is not None}
        base = made.setdefault(name, {"DeleteOnTermination": True, "VolumeType": "gp2"})
        if "Encrypted" in base and not values.get("Encrypted", True):
            values.pop("Encrypted")
        base.update(values)
        if "VolumeSize" not in base and "SnapshotId" not in base:
            raise Ec2Error("MissingParameter", f"the mapping of {name} has no volumeSize")
    owner = {"account": image.owner_id, "region": region}
    for name, ebs in made.items():
        if "SnapshotId" in ebs:
            inherited = ebs["SnapshotId"] in image.snapshot_ids
            least = usable(
                ebs["SnapshotId"],
                **(owner if inherited else {"account": account, "region": region}),
            ).volume_size
            if int(ebs.get("VolumeSize", least)) < least:
                raise Ec2Error(
                    "InvalidBlockDeviceMapping",
                    f"Volume of size {ebs['VolumeSize']}GB is smaller than snapshot "
                    f"'{ebs['SnapshotId']}' of {name}, expect size >= {least}GB",
                )
            ebs.setdefault("VolumeSize", least)
    return [{"DeviceName": name, "Ebs": ebs} for name, ebs in made.items()]


def metadata_options(
    image: Image, template: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """[M] Image.ImdsSupport: "HttpTokens automatically set to required ... hop limit 2"."""
    default = {"HttpTokens": "optional", "HttpPutResponseHopLimit": 1}
    if image.imds_support == "v2.0":
        default = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    return {**default, **template, **request}


def user_data_bytes(value: Any) -> bytes | None:
    """User data as the instance gets it, from moto's base64."""
    return None if value is None else base64.b64decode(str(value))
