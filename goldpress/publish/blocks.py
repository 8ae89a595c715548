"""Owns block indexes: which 512 KiB blocks of a disk hold anything, and their sha256."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.aws.ebs import BLOCK_BYTES, GIB
from goldpress.errors import DocumentError, TrustError
from goldpress.store import Store

KIND = "blocks"
VERSION = 1
ZEROS = bytes(BLOCK_BYTES)
ZEROS_SHA256 = hashlib.sha256(ZEROS).digest()


@dataclass(frozen=True, kw_only=True)
class BlockIndex:
    """The sha256 (32 bytes) of every block that is not all zero, by index."""

    blocks: Mapping[int, bytes]

    @property
    def root(self) -> str:
        """What the image's manifest calls its block root."""
        whole = hashlib.sha256()
        for index, sha256 in sorted(self.blocks.items()):
            whole.update(index.to_bytes(8, "big") + sha256)
        return whole.hexdigest()

    def to_document(self) -> dict[str, Any]:
        """The JSON value that is stored."""
        rows = [[index, sha256.hex()] for index, sha256 in sorted(self.blocks.items())]
        return {"blocks_version": VERSION, "block_bytes": BLOCK_BYTES, "blocks": rows}

    def changed_from(self, parent: BlockIndex) -> dict[int, bytes]:
        """What has to be written on top of `parent`; what became zero is written as zeros."""
        changed = {i: s for i, s in self.blocks.items() if parent.blocks.get(i) != s}
        emptied = dict.fromkeys(parent.blocks.keys() - self.blocks.keys(), ZEROS_SHA256)
        return changed | emptied


NOTHING = BlockIndex(blocks={})


def parse_index(value: Mapping[str, Any]) -> BlockIndex:
    """The inverse of `to_document`. Raises DocumentError."""
    try:
        if (value["blocks_version"], value["block_bytes"]) != (VERSION, BLOCK_BYTES):
            raise DocumentError("block index: not one that I know")
        return BlockIndex(blocks={int(i): bytes.fromhex(s) for i, s in value["blocks"]})
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"block index: {error!r}") from None


def read_index(store: Store, digest: str) -> BlockIndex:
    """A block index of the store. Raises MissingError or DocumentError."""
    return parse_index(store.get_document(KIND, digest))


def keep_index(store: Store, index: BlockIndex) -> str:
    """Store a block index; returns its digest."""
    return store.put_document(KIND, index.to_document())


def index_disk(raw: Path, *, expected_root: str) -> BlockIndex:
    """The index of a disk. Holes are not read. Raises TrustError when it is another disk."""
    with raw.open("rb") as stream:
        found = {}
        for index in data_blocks(stream.fileno()):
            data = read_block(stream.fileno(), index)
            if data != ZEROS:
                found[index] = hashlib.sha256(data).digest()
    made = BlockIndex(blocks=found)
    if made.root != expected_root:
        raise TrustError(
            f"{raw}: its block root is {made.root}, but its manifest says {expected_root}",
            hint="the disk was changed after it was pressed: remove it, and press it again",
        )
    return made


def data_blocks(descriptor: int) -> Iterator[int]:
    """The indexes of blocks in which the file has data, in order."""
    following, offset = 0, 0
    while True:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only holes are left
                return
            raise
        offset = os.lseek(descriptor, start, os.SEEK_HOLE)
        first, last = start // BLOCK_BYTES, (offset - 1) // BLOCK_BYTES
        yield from range(max(first, following), last + 1)
        following = last + 1


def read_block(descriptor: int, index: int) -> bytes:
    """One block of a file; what the file lacks at its end is zeros."""
    parts: list[bytes] = []
    missing, offset = BLOCK_BYTES, index * BLOCK_BYTES
    while missing and (data := os.pread(descriptor, missing, offset)):
        parts.append(data)
        missing, offset = missing - len(data), offset + len(data)
    return b"".join(parts).ljust(BLOCK_BYTES, b"\0")


def volume_gib(size: int) -> int:
    """The smallest volume, in GiB, that holds a disk of `size` bytes."""
    return max(1, -(-size // GIB))
