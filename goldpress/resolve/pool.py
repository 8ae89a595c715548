"""Owns libsolv's pool: repositories loaded into it, and packages read back out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import solv

from goldpress.errors import TrustError
from goldpress.mirror.metadata import solvable
from goldpress.mirror.metadata.modulemd import Stream, kept_streams
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.resolve.solvfile import SolvRepository, solv_repositories
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A repository of a snapshot as an offer to the resolver.

    `only` are NEVRAs: nothing else of it may be chosen (a fast-track). None means everything.
    """

    snapshot: Snapshot
    repository: RepositorySnapshot
    only: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class LoadedPool:
    """A pool with repositories in it; libsolv's untyped objects do not leave this package.

    By libsolv's id of a repository, `snapshots` has what it is of, and `only` the NEVRAs that it
    is limited to.
    """

    pool: Any
    solvables: tuple[Any, ...]
    streams: tuple[Stream, ...]
    snapshots: Mapping[int, Snapshot]
    only: Mapping[int, frozenset[str]]


def load_pool(store: Store, offers: Iterable[Offer], arch: str, cache: Path) -> LoadedPool:
    """A pool with every package of what is offered; `cache` keeps the resolver's own form.

    Raises MissingError or TrustError when metadata is not there, or is not what the snapshot says.
    """
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.setarch(arch)
    rows = tuple(offers)
    ready = solv_repositories(store, [row.repository for row in rows], cache)
    streams: list[Stream] = []
    snapshots: dict[int, Snapshot] = {}
    only: dict[int, frozenset[str]] = {}
    for row, made in zip(rows, ready, strict=True):
        found, repo = _load(pool, store, made, cache)
        snapshots[repo.id] = row.snapshot
        if row.only is None:
            streams += found
        else:
            only[repo.id] = row.only
    pool.addfileprovides()
    pool.createwhatprovides()
    return LoadedPool(
        pool=pool,
        solvables=tuple(pool.solvables_iter()),
        streams=tuple(streams),
        snapshots=snapshots,
        only=only,
    )


def _load(
    pool: Any, store: Store, made: SolvRepository, cache: Path
) -> tuple[tuple[Stream, ...], Any]:
    try:
        return _read(pool, made)
    except (ValueError, FileNotFoundError):
        # A power cut leaves such a file behind; what it was made from is still there.
        for path in (made.solvables, made.streams):
            if path is not None:
                path.unlink(missing_ok=True)
        (again,) = solv_repositories(store, [made.repository], cache)
    try:
        return _read(pool, again)
    except ValueError as error:
        raise TrustError(f"repository {made.repository.id}: {error}") from None


def _read(pool: Any, made: SolvRepository) -> tuple[tuple[Stream, ...], Any]:
    streams = kept_streams(made.streams) if made.streams is not None else ()
    repository = made.repository
    repo = pool.add_repo(repository.id)
    # For libsolv more is better; for people and dnf, less.
    repo.priority = -repository.priority
    try:
        solvable.load(repo, made.solvables, repository.packages)
    except ValueError:
        repo.free(True)  # noqa: FBT003 - libsolv has no keywords
        raise
    return streams, repo


def evr_parts(evr: str) -> tuple[int, str, str]:
    """(epoch, version, release) of libsolv's ``[epoch:]version-release``."""
    epoch, colon, rest = evr.rpartition(":")
    version, _, release = rest.rpartition("-")
    return (int(epoch) if colon else 0, version, release)


def full_evr(evr: str) -> str:
    """``epoch:version-release``, the epoch always there."""
    return evr if ":" in evr else f"0:{evr}"


def nevra(solvable: Any) -> str:
    """``name-epoch:version-release.arch`` of a solvable, the epoch always there."""
    return f"{solvable.name}-{full_evr(solvable.evr)}.{solvable.arch}"


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
