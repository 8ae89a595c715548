"""Owns EBS snapshots as blocks: begun, written, sealed, listed and read, without an instance.

The EBS direct API checks every block against its sha256, and their number and common checksum
when a snapshot is sealed. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-accessing-snapshot.html
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import cause_code, told_by, translated
from goldpress.errors import CloudError, TrustError

#: The only size there is (PutSnapshotBlock: DataLength).
BLOCK_BYTES = 512 * 1024
GIB = 1 << 30
#: A snapshot that was just begun may be unknown to other servers of AWS for so long.
UNKNOWN_SECONDS = 120.0
PAUSE_SECONDS = 2.0
PAGE = 10_000
READ_ATTEMPTS = 5
BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
#: AWS cancels a snapshot that gets no block for so many minutes (10 to 4320; its default is 60).
IDLE_MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a snapshot is begun with; sent again unchanged, it is the same snapshot.

    With `parent`, encryption is the parent's, and `kms_key` is empty. `kms_key` without a parent
    encrypts; `encrypted` without a key does so by the account's default key.
    """

    volume_gib: int
    description: str
    tags: Mapping[str, str]
    parent: str = ""
    kms_key: str = ""
    encrypted: bool = False

    def arguments(self, token: str) -> dict[str, Any]:
        """The arguments of StartSnapshot."""
        given: dict[str, Any] = {
            "VolumeSize": self.volume_gib,
            "Description": self.description,
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(self.tags.items())],
            "ClientToken": token,
            "Timeout": IDLE_MINUTES,
        }
        if self.parent:
            # Encrypted beside ParentSnapshotId is refused; the child inherits.
            given["ParentSnapshotId"] = self.parent
        elif self.kms_key:
            given |= {"Encrypted": True, "KmsKeyArn": self.kms_key}
        elif self.encrypted:
            given["Encrypted"] = True
        return given


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """The EBS direct API of one region."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str, *, connections: int) -> Blocks:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ebs", region, connections=connections), region=region)

    def start(self, request: Request, token: str) -> str:
        """Begin a snapshot, or find the one that this token began; its id. Raises CloudError."""
        with translated(f"an EBS snapshot in {self.region}", service="ebs"):
            answer = self.client.start_snapshot(**request.arguments(token))
        if answer["BlockSize"] != BLOCK_BYTES:
            raise TrustError(
                f"{answer['SnapshotId']} in {self.region} has blocks of {answer['BlockSize']} "
                f"bytes, expected {BLOCK_BYTES}"
            )
        return str(answer["SnapshotId"])

    def put(self, snapshot: str, index: int, data: bytes, sha256: bytes) -> int:
        """Write a block; returns how often the call was tried again. Raises CloudError.

        That the snapshot does not exist is not believed for the first two minutes.
        """
        checksum = base64.b64encode(sha256).decode()
        began = time.monotonic()
        retries = 0
        while True:
            try:
                with translated(f"block {index} of {snapshot} in {self.region}", service="ebs"):
                    answer = self.client.put_snapshot_block(
                        SnapshotId=snapshot,
                        BlockIndex=index,
                        BlockData=data,
                        DataLength=BLOCK_BYTES,
                        Checksum=checksum,
                        ChecksumAlgorithm="SHA256",
                    )
            except CloudError as error:
                if not _is_unknown(error) or time.monotonic() - began > UNKNOWN_SECONDS:
                    raise
                retries += 1
                time.sleep(PAUSE_SECONDS)
                continue
            if answer["Checksum"] != checksum:
                raise TrustError(
                    f"block {index} of {snapshot} in {self.region}: AWS has another checksum, "
                    f"{answer['Checksum']}, than was sent, {checksum}"
                )
            return retries + int(answer["ResponseMetadata"].get("RetryAttempts", 0))

    def complete(self, snapshot: str, blocks: Mapping[int, bytes]) -> None:
        """Seal a snapshot into which exactly these blocks (sha256 by index) were written."""
        given: dict[str, Any] = {"SnapshotId": snapshot, "ChangedBlocksCount": len(blocks)}
        if blocks:
            given |= {
                "Checksum": linear_checksum(blocks),
                "ChecksumAlgorithm": "SHA256",
                "ChecksumAggregationMethod": "LINEAR",
            }
        with translated(f"sealing {snapshot} in {self.region}", service="ebs"):
            self.client.complete_snapshot(**given)

    def listed(self, snapshot: str) -> Iterator[tuple[int, str]]:
        """(index, token) of every block that was ever written, in order. Raises CloudError."""
        following: dict[str, str] = {}
        while True:
            with translated(f"the blocks of {snapshot} in {self.region}", service="ebs"):
                page = self.client.list_snapshot_blocks(
                    SnapshotId=snapshot, MaxResults=PAGE, **following
                )
            if page["BlockSize"] != BLOCK_BYTES:
                raise TrustError(
                    f"{snapshot} in {self.region} has blocks of {page['BlockSize']} bytes, "
                    f"expected {BLOCK_BYTES}"
                )
            for row in page["Blocks"]:
                yield int(row["BlockIndex"]), str(row["BlockToken"])
            if not page.get("NextToken"):
                return
            following = {"NextToken": page["NextToken"]}

    def get(self, snapshot: str, index: int, token: str) -> bytes:
        """The bytes of a block. What they hash to is the caller's to judge. Raises CloudError."""
        for attempt in range(READ_ATTEMPTS):
            try:
                with translated(f"block {index} of {snapshot} in {self.region}", service="ebs"):
                    answer = self.client.get_snapshot_block(
                        SnapshotId=snapshot, BlockIndex=index, BlockToken=token
                    )
                    return bytes(answer["BlockData"].read())
            except CloudError as error:
                # botocore tries requests again, but not answers that break off.
                if not isinstance(error.__cause__, BROKEN) or attempt == READ_ATTEMPTS - 1:
                    raise
        raise AssertionError


def linear_checksum(blocks: Mapping[int, bytes]) -> str:
    """The common checksum of blocks: sha256 over their sha256 in order of index, in base64."""
    whole = hashlib.sha256()
    for _, sha256 in sorted(blocks.items()):
        whole.update(sha256)
    return base64.b64encode(whole.digest()).decode()


def _is_unknown(error: CloudError) -> bool:
    code = cause_code(error)
    return code == "ResourceNotFoundException" or (
        code == "ValidationException" and "does not exist" in told_by(error)
    )
