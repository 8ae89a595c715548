"""Owns the blocks of EBS snapshots on disk: one sparse file for each, a child's on its parent's.

A block is at ``index * 524288`` in the file of the EBS snapshot that it was written to. A child
refers to its parent's blocks and holds its own only; `assemble` puts them together.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

#: "The size of the blocks in the snapshot, in bytes": 512 KiB (EBS direct API, StartSnapshot).
BLOCK = 524288
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Written:
    """A block that was written: in which file, and the sha256 (32 bytes) that was checked then."""

    path: Path
    sha256: bytes


@dataclass(kw_only=True)
class Blocks:
    """The blocks of one EBS snapshot: its parent's, and over them its own."""

    path: Path
    size_gib: int
    inherited: dict[int, Written] = field(default_factory=dict)
    own: dict[int, Written] = field(default_factory=dict)
    #: a child refers to blocks in this file
    shared: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self) -> None:
        """Make the empty file, as long as the volume."""
        self.path.parent.mkdir(parents=True)
        with self.path.open("wb") as stream:
            stream.truncate(self.size_gib * GIB)

    @property
    def count(self) -> int:
        """How many blocks the volume has room for."""
        return self.size_gib * GIB // BLOCK

    @property
    def all(self) -> dict[int, Written]:
        """Every block that is there, in order of the index."""
        with self.lock:
            merged = {**self.inherited, **self.own}
        return dict(sorted(merged.items()))

    def get(self, index: int) -> Written | None:
        """Where a block is."""
        with self.lock:
            return self.own.get(index) or self.inherited.get(index)

    def put(self, index: int, data: bytes, sha256: bytes) -> None:
        """Write a block (again). Its own file only: other snapshots' blocks stay what they are."""
        handle = os.open(self.path, os.O_WRONLY)
        try:
            written = os.pwrite(handle, data, index * BLOCK)
        finally:
            os.close(handle)
        if written != len(data):
            raise OSError(f"{self.path}: block {index} was written in part")
        with self.lock:
            self.own[index] = Written(path=self.path, sha256=sha256)

    def aggregate(self) -> bytes:
        """The LINEAR aggregate: sha256 over the own blocks' sha256, in order of the index."""
        with self.lock:
            return hashlib.sha256(
                b"".join(block.sha256 for _, block in sorted(self.own.items()))
            ).digest()

    def remove(self) -> None:
        """Free the own blocks' space, unless a child refers to some of them."""
        if not self.shared:
            self.path.unlink(missing_ok=True)


def read(block: Written, index: int) -> bytes:
    """A block's bytes as they are now."""
    handle = os.open(block.path, os.O_RDONLY)
    try:
        return os.pread(handle, BLOCK, index * BLOCK)
    finally:
        os.close(handle)


def assemble(blocks: Blocks, path: Path) -> Path:
    """The whole disk: the own file if nothing is inherited, else `path`, made once.

    Both are only read by machines, which write to overlays.
    """
    if not blocks.inherited:
        return blocks.path
    if path.exists():
        return path
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        stream.truncate(blocks.size_gib * GIB)
        for index, block in blocks.all.items():
            data = read(block, index)
            if data.strip(b"\0"):
                os.pwrite(stream.fileno(), data, index * BLOCK)
    part.rename(path)
    return path
