"""Owns the store: files by their sha256, documents by their digest, names in a ledger."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from goldpress.digest import canonical_json, sha256_bytes, sha256_file
from goldpress.errors import ConflictError, DocumentError, MissingError, TrustError
from goldpress.store.directory import DirectoryObjects
from goldpress.store.files import write_atomically
from goldpress.store.graves import Graveyard
from goldpress.store.known import Known
from goldpress.store.ledger import Entry, Ledger
from goldpress.store.objects import Objects

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store in the directory `root`; with `shared`, `root` is a cache of that.

    Reading needs no lock; every write is idempotent. What `has_package`, `has_meta` and
    `put_document` said to be there stays there for gc's grace period, whatever gc does meanwhile.
    """

    root: Path
    shared: Objects | None = None

    @cached_property
    def objects(self) -> Objects:
        """Where the store's objects are kept for good."""
        return self.shared or DirectoryObjects(root=self.root)

    @cached_property
    def graves(self) -> Graveyard:
        """What is about to be deleted."""
        return Graveyard(objects=self.objects)

    @property
    def epoch(self) -> str:
        """What changes when something was deleted from the shared store; empty for a directory.

        Who remembers that a file is there remembers the epoch, too. Read it before looking.
        """
        return self.graves.epoch() if self.shared is not None else ""

    @cached_property
    def _known(self) -> Known:
        return Known(root=self.root / "known")

    def package_path(self, sha256: str) -> Path:
        """Where the pool keeps the RPM with this sha256, on this machine."""
        return self.root / package_key(sha256)

    def meta_path(self, sha256: str) -> Path:
        """Where the store keeps the repository metadata file with this sha256, on this machine."""
        return self.root / meta_key(sha256)

    def document_path(self, kind: str, digest: str) -> Path:
        """Where the store keeps a document of this kind and digest, on this machine."""
        return self.root / document_key(kind, digest)

    def has_package(self, sha256: str, size: int) -> bool:
        """Whether the pool has this package with `size` bytes, here or in the shared store.

        Asked before relying on it: it will stay. Its bytes are hashed before each use.
        """
        return self._has(package_key(sha256), sha256, size)

    def has_packages(self, sizes: Mapping[str, int]) -> frozenset[str]:
        """Those of many packages (sizes by sha256) that the pool has; they will stay.

        For more than a lock has: a shared store is asked only for what it listed. A package that
        appears meanwhile may be left out.
        """
        if self.shared is not None:
            listed = {row.key for row in self.shared.listed("pool/")}
            sizes = {
                sha256: size
                for sha256, size in sizes.items()
                if package_key(sha256) in listed or self.package_path(sha256).is_file()
            }
        return frozenset(sha256 for sha256, size in sizes.items() if self.has_package(sha256, size))

    def package(self, sha256: str) -> Path:
        """The package on this machine, brought from the shared store if need be.

        Raises MissingError when the pool has none, TrustError when the shared one is another.
        """
        found = self._brought(package_key(sha256), sha256)
        if found is None:
            raise MissingError(f"package {sha256} is not in the pool", hint="run `./inv lock`")
        return found

    def kept_package(self, sha256: str) -> None:
        """Share the package that was put at `package_path`; to be called for every new one."""
        self._keep(package_key(sha256), sha256)

    def has_meta(self, sha256: str) -> bool:
        """Whether the store has this metadata file; asked before relying on it: it will stay."""
        return self._has(meta_key(sha256), sha256, None)

    def meta(self, sha256: str) -> Path:
        """The metadata file on this machine; raises as `package` does."""
        found = self._brought(meta_key(sha256), sha256)
        if found is None:
            raise MissingError(
                f"the store has no metadata {sha256}", hint="run `./inv mirror.sync`"
            )
        return found

    def kept_meta(self, sha256: str) -> None:
        """Share the metadata file that was put at `meta_path`; to be called for every new one."""
        self._keep(meta_key(sha256), sha256)

    def put_document(self, kind: str, value: Mapping[str, Any] | Sequence[Any]) -> str:
        """Store a document; returns its digest (``sha256:...``)."""
        data = canonical_json(value)
        sha256 = sha256_bytes(data)
        key = document_key(kind, sha256)
        if not self._has(key, sha256, len(data)):
            write_atomically(self.root / key, data)
            self._keep(key, sha256)
        return f"sha256:{sha256}"

    def get_document(self, kind: str, digest: str) -> dict[str, Any]:
        """Read a document back; raises as `document`, DocumentError for what is no mapping."""
        data = self.document(kind, digest)
        try:
            value: Any = json.loads(data)
        except (ValueError, RecursionError):
            # Whoever can write to the store can put anything there, under its very own digest.
            value = None
        if not isinstance(value, dict):
            raise DocumentError(f"{kind} {digest}: not a mapping in JSON")
        return value

    def document(self, kind: str, digest: str) -> bytes:
        """The JSON of a document. Raises MissingError, or DocumentError when its bytes changed.

        DocumentError, too, for what is no digest: ledgers can be written by others.
        """
        if not _SHA256.fullmatch(digest.removeprefix("sha256:")):
            raise DocumentError(f"{kind} {digest!r:.80}: not the digest of a document")
        path = self._brought(document_key(kind, digest), digest.removeprefix("sha256:"))
        if path is None:
            raise MissingError(f"the store has no {kind} {digest}")
        data = path.read_bytes()
        if f"sha256:{sha256_bytes(data)}" != digest:
            raise DocumentError(f"{path}: its bytes do not match its name; the file was changed")
        return data

    def key(self, fingerprint: str) -> Path | None:
        """The signing key kept under this fingerprint, on this machine, or None.

        The caller makes sure that the file holds that key.
        """
        path = self.root / key_key(fingerprint)
        return path if self._bring(key_key(fingerprint), path) else None

    def keep_key(self, fingerprint: str, path: Path) -> None:
        """Keep (a newer copy of) the key with this fingerprint, which the caller made sure of."""
        key = key_key(fingerprint)
        data = path.read_bytes()
        write_atomically(self.root / key, data)
        self.objects.put(key, data)

    def put_view(self, name: str, source: Path | bytes) -> None:
        """Keep a derived file as ``views/<name>``, in place of the one that was there."""
        key = f"views/{name}"
        self.graves.claim(key)
        if isinstance(source, Path) and not source.is_file():
            raise _deleted(source)
        self.objects.put(key, source)

    def history(self, kind: str, name: str) -> tuple[Entry, ...]:
        """What a name stood for, oldest first; empty for an unknown name."""
        return self._ledger(kind).read().get(name, ())

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind, sorted."""
        return tuple(sorted(self._ledger(kind).read()))

    def append(self, kind: str, name: str, digest: str, *, after: str | None) -> None:
        """Let `name` stand for `digest` from now on; `after` is what it stood for before.

        Raises ConflictError when that is no longer so; no-op when it stands for `digest` already.
        """
        self._ledger(kind).append(name, digest, after=after)

    def enter(self, kind: str, name: str, digest: str) -> None:
        """Have `digest` in the history of `name`, whatever came before; once is enough."""
        self._ledger(kind).enter(name, digest)

    def forget(self, kind: str, name: str, digest: str) -> None:
        """Remove `digest` from the history of `name`."""
        self._ledger(kind).forget(name, digest)

    def _ledger(self, kind: str) -> Ledger:
        return Ledger(objects=self.objects, kind=kind)

    def _has(self, key: str, sha256: str, size: int | None) -> bool:
        self.graves.claim(key)
        path = self.root / key
        here = path.is_file() and size in (None, path.stat().st_size)
        if self.shared is None:
            return here
        epoch = self.graves.epoch()
        if self._known.has(key, epoch=epoch):
            return True
        there = self.shared.size(key)
        if there is None:
            if here:
                self._keep(key, sha256)
            return here
        if size not in (None, there):
            raise TrustError(
                f"{self.shared.name}/{key}: has {there} bytes, expected {size}",
                hint="someone replaced it: delete that object, and find out who did",
            )
        self._known.add(key, epoch=epoch)
        return True

    def _keep(self, key: str, sha256: str) -> None:
        self.graves.claim(key)
        if not (self.root / key).is_file():
            raise _deleted(self.root / key)
        if self.shared is None:
            return
        epoch = self.graves.epoch()
        self.shared.add(key, self.root / key, sha256)
        self._known.add(key, epoch=epoch)

    def _brought(self, key: str, sha256: str) -> Path | None:
        path = self.root / key
        return path if self._bring(key, path, sha256) else None

    def _bring(self, key: str, path: Path, sha256: str | None = None) -> bool:
        """Whether the file is on this machine; from the shared store it is hashed on its way."""
        if path.is_file():
            return True
        if self.shared is None:
            return False
        scratch = self.root / "tmp" / f"{path.name}.{secrets.token_hex(6)}"
        for parent in (scratch.parent, path.parent):
            parent.mkdir(parents=True, exist_ok=True)
        try:
            if not self.shared.bring(key, scratch):
                return False
            if sha256 is not None and (found := sha256_file(scratch)) != sha256:
                raise TrustError(
                    f"{self.shared.name}/{key}: sha256 is {found}",
                    hint="someone replaced it: delete that object, and find out who did",
                )
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        return True


def package_key(sha256: str) -> str:
    """The key of a package. Raises ValueError for what is no sha256."""
    return f"pool/sha256/{_checked(sha256)[:2]}/{sha256}.rpm"


def meta_key(sha256: str) -> str:
    """The key of a metadata file. Raises ValueError for what is no sha256."""
    return f"meta/sha256/{_checked(sha256)}"


def document_key(kind: str, digest: str) -> str:
    """The key of a document. Raises ValueError for what is no digest."""
    return f"documents/{kind}/{_checked(digest.removeprefix('sha256:'))}.json"


def key_key(fingerprint: str) -> str:
    """The key of a signing key. Raises ValueError for what is no fingerprint."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError(f"not a fingerprint: {fingerprint!r}")
    return f"keys/{fingerprint}.asc"


def _deleted(path: Path) -> ConflictError:
    """Written in a directory between gc's announcement and its deletion, without asking first."""
    return ConflictError(f"{path}: gc deleted it in this moment", hint="run the command again")


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a sha256: {sha256!r}")
    return sha256
