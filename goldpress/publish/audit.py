"""Owns the audit: every block of an EBS snapshot is read back and compared with what was sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from goldpress import progress
from goldpress.aws.ebs import BLOCK_BYTES, Blocks
from goldpress.errors import TrustError
from goldpress.progress import Transfers
from goldpress.publish.blocks import ZEROS_SHA256, BlockIndex
from goldpress.publish.pace import at_pace

WORKERS = 32
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A block that is not what was sent: sha256 in hex, empty for a block that is all zero."""

    index: int
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"block {self.index}: expected {self.expected or 'zeros'}, "
            f"found {self.found or 'zeros'}"
        )


def read_back(blocks: Blocks, snapshot: str) -> BlockIndex:
    """The index of what an EBS snapshot holds; absent blocks are zeros. Raises CloudError."""
    rows = list(blocks.listed(snapshot))
    size = len(rows) * BLOCK_BYTES
    name = f"read back {snapshot} in {blocks.region}"
    with progress.step(name, f"{len(rows)} blocks, {progress.megabytes(size)}") as step:
        shown = Transfers(step=step, files=len(rows), size=size, noun="blocks")

        def read(row: tuple[int, str]) -> tuple[tuple[int, bytes], int]:
            index, token = row
            data = blocks.get(snapshot, index, token)
            if len(data) != BLOCK_BYTES:
                raise TrustError(
                    f"block {index} of {snapshot} in {blocks.region}: {len(data)} bytes, "
                    f"expected {BLOCK_BYTES}"
                )
            return (index, hashlib.sha256(data).digest()), 0

        found: dict[int, bytes] = {}
        for index, sha256 in at_pace(rows, read, workers=WORKERS):
            shown.bytes(BLOCK_BYTES)
            shown.file()
            if sha256 != ZEROS_SHA256:
                found[index] = sha256
        step.update(shown.summary())
    return BlockIndex(blocks=found)


def compare(expected: BlockIndex, found: BlockIndex) -> list[Difference]:
    """Every block in which two indexes differ, in order."""
    indexes = sorted(expected.blocks.keys() | found.blocks.keys())
    return [
        Difference(
            index=index,
            expected=expected.blocks.get(index, b"").hex(),
            found=found.blocks.get(index, b"").hex(),
        )
        for index in indexes
        if expected.blocks.get(index) != found.blocks.get(index)
    ]


def audit(blocks: Blocks, snapshot: str, expected: BlockIndex) -> BlockIndex:
    """What was read back. Raises TrustError that names the blocks that are not what was sent."""
    found = read_back(blocks, snapshot)
    differences = compare(expected, found)
    if differences or found.root != expected.root:
        rows = "".join(f"\n    {difference}" for difference in differences[:SHOWN])
        more = f"\n    and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise TrustError(
            f"{snapshot} in {blocks.region} does not hold the image: {len(differences)} blocks "
            f"differ{rows}{more}",
            hint="do not launch it: deregister its AMI, delete the EBS snapshot, find out who "
            "changed it; `./inv publish` then makes it anew",
        )
    return found
