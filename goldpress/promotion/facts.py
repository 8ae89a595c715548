"""Owns the facts of a promotion: all that its rules judge, read from the store and from AWS.

What cannot be read is a `Missing` fact with its reason, and fails the rules that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from goldpress import ami as amis
from goldpress.ami import Ami
from goldpress.aws import kms
from goldpress.aws.client import Access, checked_region
from goldpress.aws.ec2 import Image, Images
from goldpress.aws.sts import caller
from goldpress.channel import Channel
from goldpress.digest import short
from goldpress.errors import GoldpressError, MissingError
from goldpress.holds import Hold, held
from goldpress.manifest import ImageManifest
from goldpress.mirror.roots import IMAGE
from goldpress.promotion.record import Promotion, history
from goldpress.statements.chain import Chain, chain
from goldpress.statements.trust import Trust
from goldpress.store import Store

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A fact that is not known, and why."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """One region: the AMI's document, what EC2 says of it, and who could not decrypt its disk."""

    ami: Ami
    image: Image | None
    locked_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about promoting the digest of `channel`, whose other lines are the policy.

    `past` are the channel's promotions, `earlier` those of the channel that has to come before
    (none without such a one). `pressed` is when each image of the name was first pressed.
    """

    channel: Channel
    at: datetime
    expedited: str
    emulated: bool | Missing
    chain: Chain | Missing
    past: tuple[Promotion, ...] | Missing
    earlier: tuple[Promotion, ...] | Missing
    hold: Hold | Missing | None
    pressed: Mapping[str, str] | Missing
    places: Mapping[str, Place | Missing]

    @property
    def digest(self) -> str:
        """The image digest in question."""
        return self.channel.digest

    @property
    def in_force(self) -> str:
        """The digest that the channel has now; empty for none, or when that is not known."""
        return self.past[-1].digest if isinstance(self.past, tuple) and self.past else ""

    @property
    def way_back(self) -> str:
        """The recorded digest before that, approved then already; empty likewise."""
        return self.past[-1].previous if isinstance(self.past, tuple) and self.past else ""

    @property
    def recorded(self) -> tuple[Promotion, ...]:
        """Every promotion that any rule goes by."""
        return tuple(
            row for rows in (self.past, self.earlier) if isinstance(rows, tuple) for row in rows
        )

    @property
    def approved_before(self) -> bool:
        """Whether the channel has the digest, or goes back to the one before."""
        return bool(self.digest) and self.digest in {self.in_force, self.way_back}


def known(read: Callable[[], Value]) -> Value | Missing:
    """What `read` returns, or why it could not."""
    try:
        return read()
    except GoldpressError as error:
        return Missing(why=error.message)
    except OSError as error:
        return Missing(why=f"{error.filename or 'the store'}: {error.strerror or error}")


def gather(
    store: Store, trust: Trust, channel: Channel, access: Access, *, at: datetime, expedited: str
) -> Facts:
    """Every fact about the digest of this channel. Raises nothing that a rule can tell."""
    policy = channel.policy
    found = known(lambda: chain(store, channel.digest, trust))
    manifest = None if isinstance(found, Missing) else found.manifest
    after = policy.after
    return Facts(
        channel=channel,
        at=at,
        expedited=expedited,
        emulated=known(lambda: access.emulated),
        chain=found,
        past=known(lambda: history(store, trust, channel.image, channel.name)),
        earlier=known(lambda: history(store, trust, channel.image, after)) if after else (),
        hold=known(lambda: held(store, trust, channel.digest)),
        pressed=known(lambda: _pressed(store, channel.image)),
        places={
            region: known(lambda r=region: place(store, manifest, access, r, policy.accounts))  # type: ignore[misc]
            for region in policy.regions
        },
    )


def place(
    store: Store,
    manifest: ImageManifest | None,
    access: Access,
    region: str,
    accounts: tuple[str, ...],
) -> Place:
    """An image's AMI in a region, recorded and as EC2 has it. Raises MissingError, CloudError."""
    if manifest is None:
        raise MissingError("nobody knows which image it is")
    account = caller(access, checked_region(region)).account
    ami = recorded(store, manifest, account, region)
    image = Images.at(access, region).image(ami.ami)
    others = tuple(other for other in accounts if other != account)
    locked = (
        kms.without_access(access, region, ami.kms_key, others) if ami.kms_key and others else ()
    )
    return Place(ami=ami, image=image, locked_out=locked)


def recorded(store: Store, manifest: ImageManifest, account: str, region: str) -> Ami:
    """The newest AMI document of an image in an account and region. Raises MissingError."""
    name = amis.series(
        name=manifest.name, distribution=manifest.distribution, arch=manifest.arch,
        account=account, region=region,
    )  # fmt: skip
    for ami in amis.newest_first(store, name):
        if ami.image == manifest.digest:
            return ami
    raise MissingError(
        f"no AMI of {short(manifest.digest)} was published to {region} in account {account}",
        hint=f"run `./inv publish --regions={region}`",
    )


def _pressed(store: Store, image: str) -> dict[str, str]:
    names = [name for name in store.names(IMAGE) if name.startswith(f"{image}.")]
    return {row.digest: row.at for name in names for row in store.history(IMAGE, name)}
