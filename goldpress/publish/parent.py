"""Owns the choice of a parent: the EBS snapshot on top of which only changed blocks are sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from goldpress.ami import Ami
from goldpress.aws.ec2 import Images, Snapshot


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """What the new snapshot has to be: the key's ARN, empty for none.

    `by_default` says that the account encrypts with this key what does not name one.
    """

    kms_key: str
    by_default: bool = False


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The AMI to build upon (None: nothing), and why no newer one."""

    ami: Ami | None
    why_not: str


def choose(
    candidates: Iterable[Ami], images: Images, encryption: Encryption, volume_gib: int
) -> Parent:
    """The newest AMI whose EBS snapshot AWS accepts as a parent. Raises CloudError."""
    why = "no earlier AMI of it here"
    reasons: list[str] = []
    for ami in candidates:
        found = images.snapshot(ami.snapshot)
        reason = refusal(found, encryption, volume_gib)
        if not reason:
            return Parent(ami=ami, why_not="; ".join(reasons))
        reasons.append(f"{ami.snapshot} {reason}")
    return Parent(ami=None, why_not="; ".join(reasons[:1]) or why)


def refusal(found: Snapshot | None, encryption: Encryption, volume_gib: int) -> str:
    """Why AWS's rules do not let this snapshot be the parent; empty when they do.

    A child inherits its parent's encryption and cannot have another; an account that encrypts by
    default refuses a parent that is not; a volume cannot become smaller.
    """
    if found is None:
        return "is gone"
    if found.state != "completed":
        return f"is {found.state}"
    if found.archived:
        return "is archived"
    if found.volume_gib > volume_gib:
        return f"has {found.volume_gib} GiB, more than {volume_gib}"
    if found.kms_key != encryption.kms_key:
        had = f"is encrypted with {found.kms_key}" if found.kms_key else "is not encrypted"
        wanted = encryption.kms_key or "no key"
        return f"{had}, and a child inherits that; wanted: {wanted}"
    return ""
