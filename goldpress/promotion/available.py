"""Owns availability: what a channel needs in a region, what is there, and the difference.

    AMI         launch permission, protection from deregistration (the one before, too), tags
    SSM         /goldpress/<image>/<channel>/<64 hex of the digest>   the AMI, for good
                /goldpress/<image>/<channel>/current                  the AMI that consumers take

All of it is derived from the record and can be made again; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.aws.ec2 import Images
from goldpress.aws.ssm import Parameters
from goldpress.errors import CloudError, PromotionError

Kind = Literal["share", "protect", "tag", "parameter", "pointer"]
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be so in one region; `before` is the AMI of the digest before, empty for none.

    `pointer`: whether consumers are to take it at once.
    """

    image: str
    channel: str
    digest: str
    ami: Ami
    before: str
    accounts: tuple[str, ...]
    tag: str
    pointer: bool

    @property
    def region(self) -> str:
        """Which region."""
        return self.ami.region


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is so: `before_protected` is None when there is none before, or it is gone.

    Parameters are the AMIs that they name, empty for none.
    """

    launchers: frozenset[str]
    protected: bool
    before_protected: bool | None
    tags: Mapping[str, str]
    parameter: str
    pointer: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing to be changed, from what to what."""

    region: str
    kind: Kind
    target: str
    before: str
    after: str

    def document(self) -> dict[str, str]:
        """For `tasks.py` to print."""
        return {name: str(value) for name, value in vars(self).items()}


def parameter_name(image: str, channel: str, digest: str) -> str:
    """The parameter that names a digest's AMI for good. SSM takes no colon."""
    return f"/goldpress/{image}/{channel}/{digest.removeprefix('sha256:')}"


def pointer_name(image: str, channel: str) -> str:
    """The parameter that consumers read."""
    return f"/goldpress/{image}/{channel}/current"


def tag_name(channel: str) -> str:
    """The AMI's tag that tells people which approval brought it to a channel."""
    return f"goldpress:channel:{channel}"


def changes(wanted: Wanted, found: Found) -> Iterator[Change]:
    """What has to be changed, in order: what consumers read comes last."""
    ami, region = wanted.ami.ami, wanted.region

    def change(kind: Kind, target: str, before: str, after: str) -> Change:
        return Change(region=region, kind=kind, target=target, before=before, after=after)

    missing = sorted(set(wanted.accounts) - found.launchers - {wanted.ami.account})
    if missing:
        had = ",".join(sorted(found.launchers)) or NONE
        yield change("share", ami, had, ",".join(missing))
    if not found.protected:
        yield change("protect", ami, "not protected", "protected")
    if found.before_protected is False:
        yield change("protect", wanted.before, "not protected", "protected")
    name = tag_name(wanted.channel)
    if found.tags.get(name) != wanted.tag:
        yield change("tag", ami, found.tags.get(name, NONE), wanted.tag)
    named = parameter_name(wanted.image, wanted.channel, wanted.digest)
    if found.parameter != ami:
        yield change("parameter", named, found.parameter or NONE, ami)
    if wanted.pointer and found.pointer != ami:
        pointer = pointer_name(wanted.image, wanted.channel)
        yield change("pointer", pointer, found.pointer or NONE, ami)


def look(access: Access, wanted: Wanted) -> Found:
    """What is so in a region now. Raises CloudError."""
    images, parameters = Images.at(access, wanted.region), Parameters.at(access, wanted.region)
    image = images.image(wanted.ami.ami)
    if image is None:
        raise CloudError(
            f"{wanted.ami.ami} is gone from {wanted.region}", hint="run `./inv publish` again"
        )
    before = images.image(wanted.before) if wanted.before else None
    names = (
        parameter_name(wanted.image, wanted.channel, wanted.digest),
        pointer_name(wanted.image, wanted.channel),
    )
    parameter, pointer = (parameters.get(name) for name in names)
    return Found(
        launchers=images.launchers(image.id),
        protected=image.protected,
        before_protected=before.protected if before else None,
        tags=image.tags,
        parameter=parameter.value if parameter else "",
        pointer=pointer.value if pointer else "",
    )


def make(access: Access, wanted: Wanted, change: Change) -> None:
    """Carry out one change, until it is so. Raises CloudError, ConflictError.

    Raises PromotionError (`written`) for a parameter that AWS took and did not keep.
    """
    images = Images.at(access, wanted.region)
    if change.kind == "share":
        images.share(change.target, change.after.split(","))
    elif change.kind == "protect":
        images.protect(change.target)
    elif change.kind == "tag":
        images.tag(change.target, {tag_name(wanted.channel): change.after})
    else:
        tags = {"goldpress:image": wanted.digest, "goldpress:channel": wanted.channel}
        try:
            Parameters.at(access, wanted.region).write(
                change.target, change.after, tags={} if change.kind == "pointer" else tags
            )
        except CloudError as error:
            if error.__cause__ is not None:
                raise
            raise PromotionError("written", error.message, hint=error.hint) from None
