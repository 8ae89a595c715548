"""Owns libsolv's pool: a snapshot's packages loaded into it, and read back out of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import solv

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.primary import AvailablePackage
from goldpress.mirror.snapshot import RepositorySnapshot, Snapshot
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class LoadedPool:
    """A pool with a snapshot in it; libsolv's untyped objects do not leave this package."""

    pool: Any
    solvables: tuple[Any, ...]


def load_pool(store: Store, snapshot: Snapshot) -> LoadedPool:
    """A pool with every package of the snapshot.

    Raises MissingError or TrustError when metadata is not there, or is not what the snapshot says.
    """
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.setarch(snapshot.arch)
    for repository in snapshot.repositories:
        _load(pool, store, repository)
    pool.addfileprovides()
    pool.createwhatprovides()
    return LoadedPool(pool=pool, solvables=tuple(pool.solvables_iter()))


def _load(pool: Any, store: Store, repository: RepositorySnapshot) -> None:
    repo = pool.add_repo(repository.id)
    # For libsolv more is better; for people and dnf, less.
    repo.priority = -repository.priority
    with _memory_file(repository.open(store, "primary"), "primary.xml") as stream:
        good = repo.add_rpmmd(stream, None)
    # A failed parse leaves a part behind, so the count has to be right as well.
    if not good or repo.nsolvables != repository.packages:
        raise TrustError(
            f"repository {repository.id}: the resolver read {repo.nsolvables} of "
            f"{repository.packages} packages"
        )
    if "filelists" in repository.metadata:
        with _memory_file(repository.open(store, "filelists"), "filelists.xml") as stream:
            flags = solv.Repo.REPO_EXTEND_SOLVABLES
            if not repo.add_rpmmd(stream, "FL", flags):
                raise TrustError(f"repository {repository.id}: its file lists cannot be read")


@contextmanager
def _memory_file(chunks: Iterable[bytes], name: str) -> Iterator[Any]:
    """The chunks as a file that libsolv can read; it opens no compression but gzip by itself."""
    descriptor = os.memfd_create(name)
    with os.fdopen(descriptor, "w+b") as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        stream.seek(0)
        # libsolv duplicates the descriptor.
        handle = solv.xfopen_fd(name, stream.fileno())
        if handle is None:
            raise MissingError(f"{name}: libsolv cannot read it")
        yield handle
        handle.close()


def evr_parts(evr: str) -> tuple[int, str, str]:
    """(epoch, version, release) of libsolv's ``[epoch:]version-release``."""
    epoch, colon, rest = evr.rpartition(":")
    version, _, release = rest.rpartition("-")
    return (int(epoch) if colon else 0, version, release)


def available(solvable: Any) -> AvailablePackage:
    """A solvable as the package that it is. Raises TrustError when it lacks a sha256."""
    checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
    if checksum is None or checksum.typestr() != "sha256":
        raise TrustError(f"{solvable}: the metadata has no sha256 for it")
    epoch, version, release = evr_parts(solvable.evr)
    href, _ = solvable.lookup_location()
    return AvailablePackage(
        name=solvable.name,
        epoch=epoch,
        version=version,
        release=release,
        arch=solvable.arch,
        sha256=checksum.hex(),
        size=solvable.lookup_num(solv.SOLVABLE_DOWNLOADSIZE),
        href=href,
        build_time=solvable.lookup_num(solv.SOLVABLE_BUILDTIME),
        source_rpm=solvable.lookup_sourcepkg() or "",
        repository=solvable.repo.name,
    )


def nevra(solvable: Any) -> str:
    """``name-epoch:version-release.arch`` of a solvable, the epoch always there."""
    epoch, version, release = evr_parts(solvable.evr)
    return f"{solvable.name}-{epoch}:{version}-{release}.{solvable.arch}"
