"""Owns objects in a local directory: a key is a path; changes of mutable objects take a lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from goldpress.digest import sha256_bytes, sha256_file
from goldpress.errors import TrustError
from goldpress.store.files import sync_directory, write_atomically
from goldpress.store.objects import Held, Listed, checked_key


@dataclass(frozen=True, kw_only=True)
class DirectoryObjects:
    """Objects below `root`. Reading needs no lock; a file appears whole or not at all."""

    root: Path

    @property
    def name(self) -> str:
        """The directory."""
        return str(self.root)

    def path(self, key: str) -> Path:
        """Where the object of this key is. Raises ValueError for what is no key."""
        return self.root / checked_key(key)

    def get(self, key: str) -> Held | None:
        """The object's bytes; its version is their sha256."""
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        return Held(data=data, version=sha256_bytes(data))

    def size(self, key: str) -> int | None:
        """The file's size, or None."""
        path = self.path(key)
        return path.stat().st_size if path.is_file() else None

    def bring(self, key: str, target: Path) -> bool:
        """Copy a file unless it is `target` itself."""
        source = self.path(key)
        if source != target and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return target.is_file()

    def add(self, key: str, source: Path | bytes, sha256: str) -> bool:
        """Keep bytes under a key that is free; a file that is in its place already stays."""
        path = self.path(key)
        if path == source or path.exists():
            return False
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if isinstance(source, bytes):
                scratch.write_bytes(source)
            else:
                shutil.copyfile(source, scratch)
            found = sha256_file(scratch)
            if found != sha256:
                raise TrustError(f"{key}: sha256 is {found}, expected {sha256}")
            with scratch.open("rb") as stream:
                # rename orders nothing: without this a loss of power may leave an empty file.
                os.fsync(stream.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        return True

    def put(self, key: str, source: Path | bytes) -> None:
        """Replace a file."""
        path = self.path(key)
        if path != source:
            data = source if isinstance(source, bytes) else source.read_bytes()
            write_atomically(path, data)

    def swap(self, key: str, data: bytes, *, version: str | None) -> bool:
        """Compare and set under a lock, which a dead process does not keep."""
        path = self.path(key)
        with self._locked("changes"):
            held = self.get(key)
            if (held.version if held else None) != version:
                return held is not None and held.data == data
            write_atomically(path, data)
            sync_directory(path.parent)
        return True

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The files below a prefix; scratch files begin with a dot and are no objects."""
        top = self.path(prefix.rstrip("/"))
        for path in sorted(top.rglob("*")):
            if path.name.startswith(".") or path.is_symlink():
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield Listed(
                    key=path.relative_to(self.root).as_posix(),
                    size=status.st_size,
                    written=datetime.fromtimestamp(status.st_mtime, UTC),
                )

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; the directories stay."""
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def sweep(self, before: datetime) -> int:
        """Remove scratch files; every writer's name begins with a dot or is in ``tmp``."""
        count = 0
        for path in sorted(self.root.rglob("*")):
            inside = path.relative_to(self.root).parts
            if not (path.name.startswith(".") or inside[0] == "tmp") or path.is_dir():
                continue
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    count += 1
        return count

    @contextmanager
    def sole(self) -> Iterator[bool]:
        """A lock among all who delete: whoever holds it is alone."""
        with self._locked("deleting"):
            yield True

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
