"""Owns reading EBS snapshots: blocks by their tokens, listings in pages."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import secrets
from typing import Any

from moto.core.responses import ActionResult

from goldpress.emulator.blocks import BLOCK, read
from goldpress.emulator.refusals import completed, invalid
from goldpress.emulator.snapshots import DirectSnapshot
from goldpress.emulator.world import current

PAGE = (100, 10000)
#: "block tokens expire after seven days" (EBS user guide, "Read snapshots").
TOKEN_DAYS = 7
_SECRET = secrets.token_bytes(32)


def get_snapshot_block(self: Any) -> ActionResult:
    """[M] GetSnapshotBlock: the bytes as they are on disk now, and *their* checksum.

    What was changed behind the API's back is served like this: only a reader's own record of the
    content can tell.
    """
    found = completed(self, self._get_param("SnapshotId"))
    index = self._get_param("BlockIndex")
    block = found.blocks.get(index)
    if block is None:
        raise invalid(f"the snapshot has no block {index}", "INVALID_BLOCK")
    if not _token_holds(self._get_param("BlockToken"), found.id, index):
        raise invalid("the block token is another block's, or has expired", "INVALID_BLOCK_TOKEN")
    data = read(block, index)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return ActionResult(
        {
            "DataLength": len(data),
            "BlockData": data,
            "Checksum": checksum,
            "ChecksumAlgorithm": "SHA256",
        }
    )


def list_snapshot_blocks(self: Any) -> ActionResult:
    """[M] ListSnapshotBlocks: inherited and own blocks, in pages."""
    found = completed(self, self._get_param("SnapshotId"))
    page, following = _page(self, list(found.blocks.all))
    expires = _expiry()
    rows = [{"BlockIndex": i, "BlockToken": _token(found.id, i, expires)} for i in page]
    return _listing(found, "Blocks", rows, following, expires)


def list_changed_blocks(self: Any) -> ActionResult:
    """[M] ListChangedBlocks: what differs, between relatives only."""
    if not self._get_param("FirstSnapshotId"):
        raise invalid("FirstSnapshotId must be specified with SecondSnapshotId")
    first = completed(self, self._get_param("FirstSnapshotId"))
    second = completed(self, self._get_param("SecondSnapshotId"))
    if not set(first.lineage()) & set(second.lineage()):
        raise invalid("the snapshots are not related", "UNRELATED_SNAPSHOTS")
    before, after = first.blocks.all, second.blocks.all
    differ = [i for i in sorted({*before, *after}) if _sha(before, i) != _sha(after, i)]
    page, following = _page(self, differ)
    expires = _expiry()
    rows = []
    for index in page:
        row: dict[str, Any] = {"BlockIndex": index}
        if index in before:
            row["FirstBlockToken"] = _token(first.id, index, expires)
        if index in after:
            row["SecondBlockToken"] = _token(second.id, index, expires)
        rows.append(row)
    return _listing(second, "ChangedBlocks", rows, following, expires)


def _sha(blocks: dict[int, Any], index: int) -> bytes:
    return blocks[index].sha256 if index in blocks else b""


def _listing(
    found: DirectSnapshot, name: str, rows: list[Any], following: str | None, expires: int
) -> ActionResult:
    result: dict[str, Any] = {
        name: rows,
        "ExpiryTime": dt.datetime.fromtimestamp(expires, tz=dt.UTC),
        "VolumeSize": found.volume_size,
        "BlockSize": BLOCK,
    }
    if following:
        result["NextToken"] = following
    return ActionResult(result)


def _page(self: Any, indexes: list[int]) -> tuple[list[int], str | None]:
    """The asked page of sorted indexes, and the token of the next one."""
    most = self._get_param("MaxResults")
    if most is not None and not PAGE[0] <= most <= PAGE[1]:
        raise invalid(f"MaxResults {most} is not between {PAGE[0]} and {PAGE[1]}")
    start = self._get_param("StartingBlockIndex") or 0
    if token := self._get_param("NextToken"):
        try:
            start = int(base64.b64decode(token, validate=True).decode("ascii"))
        except (binascii.Error, ValueError):
            raise invalid("the page token is not one of ours", "INVALID_PAGE_TOKEN") from None
    rest = [index for index in indexes if index >= start]
    size = min(most or PAGE[1], current().settings.list_page)
    if len(rest) <= size:
        return rest, None
    return rest[:size], base64.b64encode(str(rest[size]).encode()).decode()


def _expiry() -> int:
    return int(current().clock.now()) + TOKEN_DAYS * 24 * 3600


def _token(snapshot_id: str, index: int, expires: int) -> str:
    head = expires.to_bytes(8, "big")
    tail = hmac.digest(_SECRET, head + f"{snapshot_id} {index}".encode(), "sha256")
    return base64.b64encode(head + tail).decode()


def _token_holds(token: str, snapshot_id: str, index: int) -> bool:
    try:
        expires = int.from_bytes(base64.b64decode(token, validate=True)[:8], "big")
    except binascii.Error:
        return False
    good = hmac.compare_digest(token, _token(snapshot_id, index, expires))
    return good and current().clock.now() < expires
