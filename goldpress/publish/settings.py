"""Owns `images/<name>/publish.yaml`: where an image is published, for whom, and how it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from goldpress.document import Part, nearest, parse, read_yaml, shown
from goldpress.errors import DocumentError

NAME = "publish.yaml"
Account = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Reach = Literal["direct", "eice", "in-vpc"]


class Region(Part):
    """One region: its key (id, alias or ARN; empty: the account's default) and its subnet."""

    kms_key: str = ""
    subnet: Annotated[str, Field(pattern=r"^(subnet-[0-9a-f]+)?$")] = ""


class Trial(Part):
    """How an instance is launched to be verified.

    `reach` is how its ssh is reached: `direct` (its public address, or its private one where it
    has no public one), `in-vpc` (its private address, from inside), or `eice` (an EC2 Instance
    Connect Endpoint). `from_cidr` may open port 22 to, empty: to the caller alone.
    """

    instance_type: str = "t3.small"
    reach: Reach = "direct"
    from_cidr: str = ""
    extra_gib: Annotated[int, Field(ge=0, le=1024)] = 1
    boot_seconds: Annotated[int, Field(ge=1, le=3600)] = 600
    keep_hours: Annotated[int, Field(ge=1, le=168)] = 4


class Settings(Part):
    """The whole file. Deprecation is in days from publishing; 0 means never."""

    regions: Annotated[dict[str, Region], Field(min_length=1)]
    share_with: tuple[Account, ...] = ()
    role: Annotated[str, Field(pattern=r"^(arn:[a-z-]+:iam::[0-9]{12}:role/\S+)?$")] = ""
    root_device: Annotated[str, Field(pattern=r"^/dev/[a-z0-9]+$")] = "/dev/xvda"
    tpm: bool = False
    deprecate_after_days: Annotated[int, Field(ge=0, le=3650)] = 0
    protect: bool = False
    trial: Trial = Trial()


@dataclass(frozen=True, kw_only=True)
class Target:
    """One region to publish to."""

    region: str
    kms_key: str
    subnet: str


def load_settings(directory: Path) -> Settings:
    """The settings in `directory` (`images/<name>`). Raises MissingError or DocumentError."""
    path = directory / NAME
    return parse(Settings, read_yaml(path), name=shown(path))


def targets(settings: Settings, regions: Sequence[str], *, emulated: bool) -> tuple[Target, ...]:
    """The regions of the file, or those of it that are named. Raises DocumentError.

    Keys and subnets are AWS's: the embedded cloud does without them.
    """
    for region in regions:
        if region not in settings.regions:
            raise DocumentError(
                f"--regions: {NAME} has no region {region!r}{nearest(region, settings.regions)}"
            )
    chosen = regions or tuple(settings.regions)
    return tuple(
        Target(
            region=region,
            kms_key="" if emulated else settings.regions[region].kms_key,
            subnet="" if emulated else settings.regions[region].subnet,
        )
        for region in chosen
    )
