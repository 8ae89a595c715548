"""Owns roots: what says that a file of the store is needed.

Needed are the snapshots in use (the newest of every name, and those that a lock names) with their
metadata and what the pool holds of them; the packages of every lock; the packages of every image
that was not removed. A root that cannot be read is an error: without it nobody knows what to keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from goldpress.errors import DocumentError, GoldpressError, MissingError
from goldpress.manifest import parse_manifest
from goldpress.mirror.gitlocks import LockRoot
from goldpress.mirror.snapshot import KIND, Snapshot
from goldpress.store import Store
from goldpress.store.store import document_key, meta_key, package_key

IMAGE = "image"
PACKAGES = "packages"


@dataclass(frozen=True, kw_only=True)
class Needed:
    """The keys of the store that are needed, the digests of the snapshots in use, and counts."""

    keys: frozenset[str]
    snapshots: frozenset[str]
    locks: int
    images: int


def find_needed(store: Store, locks: Iterable[LockRoot], *, newest: int) -> Needed:
    """What snapshots, locks and images need; `newest` snapshots of each name are in use.

    Raises the error of the first root that cannot be read, with the root's name before it.
    """
    roots = tuple(locks)
    keys = {package_key(sha256) for root in roots for sha256 in root.packages}
    snapshots = _newest_snapshots(store, newest)
    for root in roots:
        snapshots |= {d for d in root.snapshots if _is_stored(store, d)}
    read: set[str] = set()
    for digest in sorted(snapshots):
        keys |= _of_snapshot(store, digest, read)
    images = {entry.digest for name in store.names(IMAGE) for entry in store.history(IMAGE, name)}
    for digest in sorted(images):
        keys |= _of_image(store, digest)
    return Needed(
        keys=frozenset(keys),
        snapshots=frozenset(snapshots),
        locks=len(roots),
        images=len(images),
    )


def _newest_snapshots(store: Store, newest: int) -> set[str]:
    found: set[str] = set()
    for name in store.names(KIND):
        # A digest that came back counts where it was last.
        digests = dict.fromkeys(entry.digest for entry in reversed(store.history(KIND, name)))
        found |= set(list(digests)[:newest])
    return found


def _is_stored(store: Store, digest: str) -> bool:
    """Whether a lock's snapshot is here; a lock that was made elsewhere needs its packages only."""
    return store.objects.size(document_key(KIND, digest)) is not None


def _of_snapshot(store: Store, digest: str, read: set[str]) -> set[str]:
    """The keys that a snapshot needs; packages of metadata that was `read` already are left out."""
    try:
        snapshot = Snapshot.read(store, digest)
        keys = {document_key(KIND, digest)}
        for repository in snapshot.repositories:
            keys.add(meta_key(repository.repomd_sha256))
            keys |= {meta_key(entry.sha256) for entry in repository.metadata.values()}
            primary = repository.metadata["primary"].sha256
            if primary not in read:
                keys |= {package_key(p.sha256) for p in repository.read_packages(store)}
                read.add(primary)
    except GoldpressError as error:
        raise _unreadable(f"snapshot {digest}", error) from error
    return keys


def _of_image(store: Store, digest: str) -> set[str]:
    try:
        packages = parse_manifest(store.get_document("manifest", digest)).packages
        rows = json.loads(store.document(PACKAGES, packages))
        return {package_key(sha256) for _, sha256 in rows}
    except GoldpressError as error:
        raise _unreadable(f"image {digest}", error) from error
    except (ValueError, TypeError):
        raise DocumentError(
            f"image {digest}: its list of packages cannot be read, so nothing is deleted"
        ) from None


def _unreadable(what: str, error: GoldpressError) -> GoldpressError:
    return MissingError(
        f"{what} is in use and cannot be read, so nothing is deleted: {error.message}",
        hint="bring it back, or take its name out of the ledger, then run gc again",
    )
