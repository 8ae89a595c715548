"""Owns AMIs: registered once an image and region, adopted only when they are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from goldpress import progress
from goldpress.aws.ec2 import Image, Images, Registration, differences
from goldpress.errors import CloudError, ConflictError
from goldpress.manifest import ImageManifest

#: A name that RegisterImage calls taken may not be described yet.
LOOKS = 30


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is to be so of an AMI beside its content."""

    share_with: tuple[str, ...]
    deprecate_after_days: int
    protect: bool


def ami_name(manifest: ImageManifest) -> str:
    """The AMI's name: for people to its first slash but one, and the whole image digest."""
    digest = manifest.digest.removeprefix("sha256:")
    return f"{manifest.name}/{manifest.distribution}/{manifest.arch}/{digest}"


def tags(manifest: ImageManifest) -> dict[str, str]:
    """Tags for people; nothing is ever decided by them."""
    return {
        "Name": f"{manifest.name} {manifest.digest.removeprefix('sha256:')[:12]}",
        "goldpress:image": manifest.digest,
        "goldpress:name": manifest.name,
        "goldpress:distribution": manifest.distribution,
        "goldpress:stand-in": "yes" if manifest.stand_in else "no",
    }


def registration(
    manifest: ImageManifest, *, snapshot: str, volume_gib: int, root_device: str, tpm: bool
) -> Registration:
    """What the AMI of this image is registered with."""
    arch = "arm64" if manifest.arch == "aarch64" else manifest.arch
    rehearsal = ", NOT CentOS: a rehearsal" if manifest.stand_in else ""
    return Registration(
        name=ami_name(manifest),
        description=f"goldpress {manifest.name} on {manifest.distribution}{rehearsal}",
        architecture=arch,
        root_device=root_device,
        snapshot=snapshot,
        volume_gib=volume_gib,
        tpm=tpm,
        tags=tags(manifest),
    )


def register(
    images: Images, wanted: Registration, *, same_content: Callable[[Image], None]
) -> Image:
    """The AMI of this name, registered now or before, and available.

    `same_content` raises when an AMI that is there holds something else. Raises ConflictError
    for one that differs in another way, CloudError.
    """
    with progress.step(f"AMI in {images.region}") as step:
        made = images.register(wanted)
        if made is None:
            found = _taken(images, wanted.name)
            check(images, found, wanted, same_content=same_content)
            made = found.id
        image = images.wait_available(made, step.update)
        step.update(image.id)
    return image


def check(
    images: Images,
    found: Image,
    wanted: Registration,
    *,
    same_content: Callable[[Image], None],
) -> None:
    """Raises ConflictError when an AMI that has the name is not what would be registered."""
    faults = differences(found, wanted)
    if faults:
        raise ConflictError(
            f"the AMI {found.id} in {images.region} has the name {wanted.name}, but "
            f"{'; '.join(faults)}",
            hint="deregister it if nothing uses it, then run the command again",
        )
    same_content(found)


def settle(images: Images, image: Image, wishes: Wishes, *, now: datetime | None = None) -> None:
    """Share, deprecate and protect an AMI as far as it is not so yet. Raises CloudError."""
    if wishes.share_with and (added := images.share(image.id, wishes.share_with)):
        progress.note(f"{image.id} in {images.region} is shared with {', '.join(added)}")
    if wishes.deprecate_after_days and not image.deprecation:
        at = (now or datetime.now(UTC)) + timedelta(days=wishes.deprecate_after_days)
        images.deprecate(image.id, at.replace(second=0, microsecond=0))
    if wishes.protect and not image.protected:
        images.protect(image.id)


def _taken(images: Images, name: str) -> Image:
    found = images.wait_named(name, times=LOOKS)
    if found is None:
        raise CloudError(
            f"the AMI name {name} in {images.region} is taken, but no AMI of this account has it",
            hint="it may be in the recycle bin: restore it or delete it there",
        )
    return found
