"""Owns writing EBS snapshots: what the EBS direct API accepts, in which state, with which key."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse
from moto.ec2.models import ec2_backends

from goldpress.emulator import patches
from goldpress.emulator.blocks import BLOCK
from goldpress.emulator.reading import get_snapshot_block, list_changed_blocks, list_snapshot_blocks
from goldpress.emulator.refusals import EbsError, completed, invalid, known
from goldpress.emulator.snapshots import (
    DEFAULT_TIMEOUT_MINUTES,
    DirectSnapshot,
    default_key,
    key_of,
)
from goldpress.emulator.world import current

MOST_GIB = 65536
TIMEOUT_MINUTES = (10, 4320)
MOST_TAGS = 50


def extend_ebs() -> None:
    """Teach moto's EBS what the real one checks. Raises RuntimeError when moto has changed."""
    patches.replace(
        EBSResponse,
        {
            "start_snapshot": start_snapshot,
            "put_snapshot_block": put_snapshot_block,
            "complete_snapshot": complete_snapshot,
            "get_snapshot_block": get_snapshot_block,
            "list_snapshot_blocks": list_snapshot_blocks,
            "list_changed_blocks": list_changed_blocks,
        },
    )


def start_snapshot(self: Any) -> ActionResult:
    """A new EBS snapshot, or the one that the same token started."""
    world = current()
    asked = {
        name: self._get_param(name)
        for name in (
            "VolumeSize", "ParentSnapshotId", "Tags", "Description", "Encrypted", "KmsKeyArn",
            "Timeout",
        )
    }  # fmt: skip
    token = self._get_param("ClientToken")
    place = ("StartSnapshot", self.current_account, self.region, token)
    with world.lock:
        if token and place in world.tokens:
            before, result = world.tokens[place]
            if before != asked:
                raise EbsError(
                    "ConflictException", "the client token was used with other parameters"
                )
            # [M] "return the result from the original successful request", also when it is gone.
            return ActionResult(result)
        made = _start(self, asked)
        result = {
            "SnapshotId": made.id,
            "OwnerId": made.owner_id,
            "Status": "pending",
            "StartTime": made.start_time,
            "VolumeSize": made.volume_size,
            "BlockSize": BLOCK,
            "Tags": asked["Tags"] or [],
        }
        if made.description:
            result["Description"] = made.description
        if made.parent:
            result["ParentSnapshotId"] = made.parent.id
        if made.kms_key_id:
            result["KmsKeyArn"] = made.kms_key_id
        if token:
            world.tokens[place] = (asked, result)
    return ActionResult(result)


def _start(self: Any, asked: dict[str, Any]) -> DirectSnapshot:
    size, timeout = asked["VolumeSize"], asked["Timeout"]
    if not isinstance(size, int) or not 1 <= size <= MOST_GIB:
        raise invalid(f"VolumeSize {size} is not between 1 and {MOST_GIB}", "INVALID_VOLUME_SIZE")
    if timeout is not None and not TIMEOUT_MINUTES[0] <= timeout <= TIMEOUT_MINUTES[1]:
        raise invalid(f"Timeout {timeout} is not between {TIMEOUT_MINUTES}")
    tags = {tag["Key"]: tag.get("Value", "") for tag in asked["Tags"] or []}
    if len(tags) > MOST_TAGS or any(not k or k.lower().startswith("aws:") for k in tags):
        raise invalid("the tags are too many, or a key is reserved", "INVALID_TAG")
    parent = None
    if asked["ParentSnapshotId"]:
        parent = completed(self, asked["ParentSnapshotId"])
        if size < parent.volume_size:
            raise invalid("VolumeSize is less than the parent's", "INVALID_VOLUME_SIZE")
    backend = ec2_backends[self.current_account][self.region]
    made = DirectSnapshot(
        backend,
        size_gib=size,
        description=asked["Description"] or "",
        key_arn=_encryption(self, asked, parent),
        parent=parent,
        timeout_minutes=timeout or DEFAULT_TIMEOUT_MINUTES,
    )
    backend.snapshots[made.id] = made
    made.add_tags(tags)
    return made


def _encryption(self: Any, asked: dict[str, Any], parent: DirectSnapshot | None) -> str | None:
    """The key that the new EBS snapshot is encrypted with (user guide, "Encryption outcomes")."""
    wanted, arn = asked["Encrypted"], asked["KmsKeyArn"]
    account, region = self.current_account, self.region
    always = ec2_backends[account][region].get_ebs_encryption_by_default()
    if parent is not None:
        if wanted is not None:
            raise invalid("ParentSnapshotId and Encrypted cannot be specified together")
        if arn is not None:
            raise invalid("ParentSnapshotId and KmsKeyArn cannot be specified together")
        if always and not parent.encrypted:
            raise invalid("the parent is not encrypted, but this account encrypts by default")
        if parent.kms_key_id:
            _usable(parent.kms_key_id, account, region)
        return str(parent.kms_key_id) if parent.kms_key_id else None
    if wanted is False and always:
        raise invalid("this account encrypts by default; Encrypted cannot be false")
    if not (wanted or always):
        if arn is not None:
            raise invalid("KmsKeyArn needs Encrypted")
        return None
    if arn is None:
        return default_key(account, region)
    _usable(arn, account, region)
    return str(arn)


def _usable(arn: str, account: str, region: str) -> None:
    key = key_of(arn, account=account, region=region)
    if key is None:
        # [M] the reason for a denial by a service that EBS depends on.
        raise EbsError(
            "AccessDeniedException",
            f"the KMS key {arn} does not exist in {region}, or access to it is denied",
            "DEPENDENCY_ACCESS_DENIED",
        )
    if not key.enabled or key.key_state != "Enabled":
        raise invalid(f"the KMS key {arn} is {key.key_state}", "INVALID_CUSTOMER_KEY")


def _writable(self: Any, snapshot_id: str) -> DirectSnapshot:
    found = known(self, snapshot_id)
    if found.owner_id != self.current_account:
        raise EbsError(
            "AccessDeniedException", "the snapshot is another account's", "UNAUTHORIZED_ACCOUNT"
        )
    if found.sealed is not None or found.status != "pending":
        what = "sealed" if found.sealed is not None else found.status
        raise invalid(f"the snapshot '{snapshot_id}' is {what}", "INVALID_SNAPSHOT_ID")
    return found


def put_snapshot_block(self: Any) -> ActionResult:
    """[M] PutSnapshotBlock: whole blocks with their sha256, into a pending EBS snapshot."""
    found = _writable(self, self._get_param("SnapshotId"))
    index, data = self._get_param("BlockIndex"), self._get_param("BlockData") or b""
    checksum = self._get_param("Checksum")
    if self._get_param("ChecksumAlgorithm") != "SHA256":
        raise invalid("the checksum algorithm is not SHA256")
    if self._get_param("DataLength") != BLOCK or len(data) != BLOCK:
        raise invalid(f"a block has {BLOCK} bytes; these are {len(data)}", "INVALID_BLOCK")
    if not 0 <= index < found.blocks.count:
        raise invalid(f"block {index} is outside of the volume", "INVALID_BLOCK")
    sha256 = hashlib.sha256(data).digest()
    if base64.b64encode(sha256).decode() != checksum:
        raise invalid("the checksum does not match the data")
    found.blocks.put(index, data, sha256)
    found.touched = found.world.clock.now()
    return ActionResult({"Checksum": checksum, "ChecksumAlgorithm": "SHA256"})


def complete_snapshot(self: Any) -> ActionResult:
    """[M] CompleteSnapshot: seal it if as many blocks are there as the caller believes."""
    snapshot_id = self._get_param("SnapshotId")
    world = current()
    with world.lock:
        found = known(self, snapshot_id)
        count, checksum = self._get_param("ChangedBlocksCount"), self._get_param("Checksum")
        if found.sealed is None:
            found = _writable(self, snapshot_id)
        if count != len(found.blocks.own):
            raise invalid(
                f"ChangedBlocksCount is {count}, but {len(found.blocks.own)} blocks were written"
            )
        if checksum is not None:
            method = self._get_param("ChecksumAggregationMethod")
            if self._get_param("ChecksumAlgorithm") != "SHA256" or method != "LINEAR":
                raise invalid("a checksum needs the algorithm SHA256 and the aggregation LINEAR")
            if base64.b64encode(found.blocks.aggregate()).decode() != checksum:
                raise invalid("the checksum does not match the checksums of the written blocks")
        if found.sealed is None:
            found.sealed = world.clock.now()
    return ActionResult({"Status": found.status})
