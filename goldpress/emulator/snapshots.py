"""Owns EBS snapshots: their states in time, their encryption, their lineage, who may use them.

They are kept where moto keeps its own, so that EC2's actions (describe, tag, share) find them.
Sources: [M] botocore's model of `ebs`, [D] the EBS user guide ("EBS direct APIs").
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_snapshot_id
from moto.kms.models import Key, kms_backends

from goldpress.emulator.blocks import Blocks, Written
from goldpress.emulator.world import World, current

MINUTE = 60
#: "If no value is specified, the timeout defaults to 60 minutes." [M: StartSnapshot]
DEFAULT_TIMEOUT_MINUTES = 60
DEFAULT_KEY_ALIAS = "alias/aws/ebs"
#: What describes a volume that there never was, as snapshots of the direct API have it.
NO_VOLUME = "vol-ffffffff"


class DirectSnapshot(Snapshot):  # type: ignore[misc,unused-ignore]
    """An EBS snapshot that was written through the EBS direct API."""

    def __init__(
        self,
        backend: Any,
        *,
        size_gib: int,
        description: str,
        key_arn: str | None,
        parent: DirectSnapshot | None,
        timeout_minutes: int,
    ) -> None:
        world = current()
        volume = types.SimpleNamespace(id=NO_VOLUME, size=size_gib, encrypted=key_arn is not None)
        super().__init__(
            backend,
            random_snapshot_id(),
            volume,
            description,
            encrypted=key_arn is not None,
            kms_key_id=key_arn,
        )
        self.world: World = world
        self.parent = parent
        self.timeout_seconds = timeout_minutes * MINUTE
        self.started = self.touched = world.clock.now()
        self.sealed: float | None = None
        inherited: dict[int, Written] = parent.blocks.all if parent else {}
        self.blocks: Blocks = Blocks(
            path=world.blocks / self.id / "blocks",
            size_gib=size_gib,
            inherited=inherited,
        )
        self.blocks.make()
        if parent:
            parent.blocks.shared = True

    @property
    def status(self) -> str:
        """``pending``, ``completed`` some time after it was sealed, ``error`` when timed out."""
        now = self.world.clock.now()
        if self.sealed is not None:
            done = now >= self.sealed + self.world.settings.complete_seconds
            return "completed" if done else "pending"
        return "error" if now > self.touched + self.timeout_seconds else "pending"

    @status.setter
    def status(self, value: str) -> None:
        """moto sets it once; it follows from the clock here."""

    @property
    def state(self) -> str:
        """What EC2 calls the status."""
        return self.status

    @property
    def progress(self) -> str:
        """EC2's percentage."""
        return "100%" if self.status == "completed" else "0%"

    @property
    def visible(self) -> bool:
        """Whether the EBS direct API knows it already."""
        return self.world.clock.now() >= self.started + self.world.settings.invisible_seconds

    def lineage(self) -> Iterator[str]:
        """The ids of this EBS snapshot and all its ancestors."""
        found: DirectSnapshot | None = self
        while found is not None:
            yield found.id
            found = found.parent


def find(account: str, region: str, snapshot_id: str) -> Snapshot | None:
    """An EBS snapshot that this account owns, or that is shared with it."""
    own = ec2_backends[account][region].snapshots.get(snapshot_id)
    if own is not None:
        return own
    for other in list(ec2_backends):
        found = ec2_backends[other][region].snapshots.get(snapshot_id)
        if found is not None:
            users = found.create_volume_permission_userids
            shared = account in users or "all" in found.create_volume_permission_groups
            return found if shared else None
    return None


def key_of(arn: str, *, account: str, region: str) -> Key | None:
    """The KMS key, if it is in this region and `account` may use it.

    A key of another account is usable when its policy, or a grant, names this account: with
    [D] "Permissions to use KMS keys".
    """
    parts = arn.split(":")
    if len(parts) < 6 or parts[3] != region:  # noqa: PLR2004 - arn:aws:kms:region:account:key/id
        return None
    key = kms_backends[parts[4]][region].keys.get(parts[5].removeprefix("key/"))
    if key is None or key.account_id == account:
        return key
    grants = [grant.grantee_principal for grant in key.grants.values()]
    return key if any(account in text for text in (key.policy, *grants)) else None


def default_key(account: str, region: str) -> str:
    """The ARN of the key that EBS uses by default: ``aws/ebs`` unless the account chose another."""
    backend = ec2_backends[account][region]
    return str(backend.default_kms_key_id or backend.modify_ebs_default_kms_key_id(""))


def is_default_key(arn: str | None) -> bool:
    """Whether this is some account's key `aws/ebs`, which cannot be shared."""
    if not arn:
        return False
    parts = arn.split(":")
    kms = kms_backends[parts[4]][parts[3]]
    aliased = kms.alias_exists(DEFAULT_KEY_ALIAS)
    return aliased and kms.describe_key(DEFAULT_KEY_ALIAS).arn == arn
