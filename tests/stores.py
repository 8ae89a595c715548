"""Owns the two kinds of store that every test of the store runs on."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from emulated import Emulator

from goldpress.digest import sha256_bytes
from goldpress.store import Objects, Store


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place where objects are; each `store()` is as another process has it.

    With S3 each has a cache of its own, as on another machine. `derived` spares each to derive
    anew what others have.
    """

    root: Path
    shared: Objects | None
    derived: Path | None = None
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def store(self) -> Store:
        number = str(next(self.numbers))
        root = self.root if self.shared is None else self.root / number
        if self.derived is not None and self.derived.is_dir():
            shutil.copytree(self.derived, root / "derived", dirs_exist_ok=True)
        return Store(root=root, shared=self.shared)

    @property
    def in_cloud(self) -> bool:
        return self.shared is not None


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    shared = None
    if request.param == "s3":
        emulator: Emulator = request.getfixturevalue("emulator")
        shared = emulator.objects()
    return Place(root=tmp_path / "store", shared=shared)


def kept(store: Store, data: bytes) -> str:
    """Put a package into the pool as a sync does; returns its sha256."""
    sha256 = sha256_bytes(data)
    return _kept(sha256, store.package_path(sha256), data, store.kept_package)


def kept_meta(store: Store, data: bytes) -> str:
    """Put metadata into the store as a sync does; returns its sha256."""
    sha256 = sha256_bytes(data)
    return _kept(sha256, store.meta_path(sha256), data, store.kept_meta)


def _kept(sha256: str, path: Path, data: bytes, share: Callable[[str], None]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    share(sha256)
    return sha256
