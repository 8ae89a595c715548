"""Owns what a store asks of the place that keeps its objects: a directory or S3, one interface.

An object is bytes under a key. Most are immutable: added once, when absent. The few mutable ones
change by compare-and-set, so of two writers one is told that it was late.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

#: No '+', '~' or '^': S3 reads '+' in a path as a space.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Held:
    """The bytes of an object, and the version that a compare-and-set has to name."""

    data: bytes
    version: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object that a listing showed: its key, its size in bytes, when it was written (UTC)."""

    key: str
    size: int
    written: datetime


class Objects(Protocol):
    """Where objects are kept. Every method raises CloudError or OSError when the place fails."""

    @property
    def name(self) -> str:
        """What people call the place: a path or ``s3://bucket/prefix``."""

    def get(self, key: str) -> Held | None:
        """A small object, or None when it is not there."""

    def size(self, key: str) -> int | None:
        """The size of an object in bytes, or None when it is not there."""

    def bring(self, key: str, target: Path) -> bool:
        """Copy an object to the file `target`; False, and no file, when it is not there."""

    def add(self, key: str, source: Path | bytes, sha256: str) -> bool:
        """Keep an immutable object whose bytes have this sha256; False when the key was taken.

        Raises TrustError when the bytes of `source` are others.
        """

    def put(self, key: str, source: Path | bytes) -> None:
        """Keep a derived object, in place of the one that was there."""

    def swap(self, key: str, data: bytes, *, version: str | None) -> bool:
        """Keep `data` if the object still has this version (None: is not there); else False.

        True also when the object has these very bytes already: an answer can be lost.
        """

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects below a prefix that ends in "/": proposals, not proof of what is there."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these objects; those that are not there are no failure."""

    def sweep(self, before: datetime) -> int:
        """Remove what writers left that died before `before`; returns how many pieces."""

    def sole(self) -> AbstractContextManager[bool]:
        """Held while deleting: True where that proves that no other process is deleting."""


def checked_key(key: str) -> str:
    """The key itself. Raises ValueError for one that a path or a URL could read otherwise."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise ValueError(f"not a key of the store: {key!r}")
    return key
