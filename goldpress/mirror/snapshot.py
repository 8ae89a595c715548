"""Owns the snapshot: what the repositories of a distribution held, by sha256, at one moment.

A snapshot has no date: two that saw the same are the same document, with the same digest. The
store's ledger remembers when it was first seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from goldpress import progress
from goldpress.digest import digest_of
from goldpress.distribution import Distribution, Repository
from goldpress.errors import ConflictError, DocumentError, MissingError
from goldpress.mirror.intake import Intake, check_step, is_older
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.repository import Metadata, RepositorySnapshot
from goldpress.mirror.transfer.fetch import Fetcher, fetching
from goldpress.mirror.transfer.source import Source, as_source
from goldpress.store import Store

__all__ = [
    "KIND",
    "Metadata",
    "RepositorySnapshot",
    "Snapshot",
    "newest_snapshot",
    "ref_name",
    "stale",
    "take_snapshot",
]

KIND = "snapshot"
#: Repositories that are taken at the same time.
_THREADS = 4
#: As many other syncs may publish while one does.
_PUBLISH_ATTEMPTS = 8
_DAY_SECONDS = 86400


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the repositories of a distribution held for one architecture, sorted by id."""

    distribution: str
    stand_in: bool
    platform: str
    arch: str
    repositories: tuple[RepositorySnapshot, ...]

    @property
    def digest(self) -> str:
        """The digest (``sha256:...``) of the snapshot's document."""
        return digest_of(self.document())

    def document(self) -> dict[str, Any]:
        """The snapshot as plain JSON values."""
        return {
            "distribution": self.distribution,
            "stand_in": self.stand_in,
            "platform": self.platform,
            "arch": self.arch,
            "repositories": [
                {
                    **asdict(repository),
                    "metadata": {t: asdict(m) for t, m in sorted(repository.metadata.items())},
                }
                for repository in self.repositories
            ],
        }

    @classmethod
    def from_document(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `document`. Raises DocumentError for anything else."""
        try:
            return cls(
                distribution=value["distribution"],
                stand_in=value["stand_in"],
                platform=value["platform"],
                arch=value["arch"],
                repositories=tuple(
                    RepositorySnapshot(
                        **{
                            **row,
                            "metadata": {t: Metadata(**m) for t, m in row["metadata"].items()},
                        }
                    )
                    for row in value["repositories"]
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DocumentError(f"not a snapshot of packages: {error}") from None

    def repository(self, id: str) -> RepositorySnapshot | None:  # noqa: A002 - the document's word
        """The repository of this id, or None."""
        return next((row for row in self.repositories if row.id == id), None)

    def packages(self, store: Store, sha256s: Iterable[str]) -> tuple[AvailablePackage, ...]:
        """The packages with these sha256s, sorted by NEVRA; those it does not offer are left out.

        This is how the packages of a lock are found again, whatever a resolution would choose.
        """
        wanted = set(sha256s)
        found = {
            package.sha256: package
            for repository in self.repositories
            for package in repository.read_packages(store, wanted)
        }
        return tuple(sorted(found.values(), key=lambda package: package.nevra))

    @classmethod
    def read(cls, store: Store, digest: str) -> Self:
        """The snapshot of this digest. Raises MissingError when the store has none."""
        return cls.from_document(store.get_document(KIND, digest))


def ref_name(distribution: str, arch: str) -> str:
    """The name under which the store remembers the snapshots, the newest last."""
    return f"{distribution}.{arch}"


def take_snapshot(
    store: Store,
    distribution: Distribution,
    arch: str,
    sources: Mapping[str, Source | str | Path],
    *,
    fetcher: Fetcher | None = None,
    accept: bool = False,
    stop: threading.Event | None = None,
) -> Snapshot:
    """Keep the metadata of every repository, whole or not at all, and return what it was.

    `sources` says by repository id where it is (a URL or a directory: one place). The snapshot
    becomes the newest of its distribution and architecture. Raises MissingError when a file
    cannot be had, TrustError when one is not what repomd.xml promises, or (unless `accept`) when
    a repository is empty, or older or much smaller than in the newest snapshot; StoppedError soon
    after `stop` was set.
    """
    repositories = distribution.repositories(arch)
    unknown = set(sources) ^ {repository.id for repository in repositories}
    if unknown:
        raise MissingError(f"{distribution.id}: no repository and source for {sorted(unknown)}")
    last = _last(store, ref_name(distribution.id, arch))
    with fetching(fetcher) as fetch:
        intake = Intake(store=store, fetcher=fetch, stop=stop or threading.Event())
        taken = _take_all(intake, repositories, sources, last.snapshot)
    snapshot = Snapshot(
        distribution=distribution.id,
        stand_in=distribution.stand_in,
        platform=distribution.platform,
        arch=arch,
        repositories=taken,
    )
    # What this machine made anew may well be older or smaller than what it made before.
    follows = not (accept or distribution.made)
    snapshot = _publish(store, snapshot, last, accept=accept, follows=follows)
    if not distribution.made:
        for line in stale(snapshot, days=distribution.stale_after_days, now=time.time()):
            progress.note(line)
    return snapshot


def newest_snapshot(store: Store, distribution: str, arch: str) -> Snapshot:
    """The snapshot taken last. Raises MissingError when there is none."""
    history = store.history(KIND, ref_name(distribution, arch))
    if not history:
        raise MissingError(
            f"no snapshot of {distribution} for {arch} yet", hint="run `./inv mirror.sync`"
        )
    return Snapshot.read(store, history[-1].digest)


def stale(snapshot: Snapshot, *, days: int, now: float) -> tuple[str, ...]:
    """A line for each repository in which nothing was new for more than `days`."""
    ages = ((row.id, int(now - row.timestamp) // _DAY_SECONDS) for row in snapshot.repositories)
    return tuple(
        f"  !!  {id_}: its metadata is {age} days old; a mirror that is no longer fed looks so"
        for id_, age in ages
        if age > days
    )


@dataclass(frozen=True, kw_only=True)
class _Last:
    """What the ledger has last, and the snapshot if it can still be read."""

    digest: str | None
    snapshot: Snapshot | None


def _last(store: Store, name: str) -> _Last:
    history = store.history(KIND, name)
    if not history:
        return _Last(digest=None, snapshot=None)
    digest = history[-1].digest
    try:
        return _Last(digest=digest, snapshot=Snapshot.read(store, digest))
    except DocumentError:
        # An older form of snapshot is no reason to stop.
        return _Last(digest=digest, snapshot=None)


def _take_all(
    intake: Intake,
    repositories: Iterable[Repository],
    sources: Mapping[str, Source | str | Path],
    last: Snapshot | None,
) -> tuple[RepositorySnapshot, ...]:
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        work = [
            pool.submit(
                intake.take,
                repository,
                as_source(sources[repository.id]),
                last.repository(repository.id) if last else None,
            )
            for repository in repositories
        ]
        try:
            taken = [future.result() for future in as_completed(work)]
        except BaseException:
            # One that cannot be had is enough: there will be no snapshot.
            intake.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(sorted(taken, key=lambda row: row.id))


def _publish(
    store: Store, snapshot: Snapshot, seen: _Last, *, accept: bool, follows: bool
) -> Snapshot:
    """Make it the newest, after a look at what is the newest at that moment; returns the newest."""
    name = ref_name(snapshot.distribution, snapshot.arch)
    last = seen
    for _ in range(_PUBLISH_ATTEMPTS):
        if last.digest != seen.digest and last.snapshot and _overtaken(snapshot, last.snapshot):
            # Another sync ended meanwhile and saw what came after this.
            return last.snapshot
        for row in snapshot.repositories:
            before = last.snapshot.repository(row.id) if last.snapshot and follows else None
            if not accept:
                check_step(before, row)
        digest = store.put_document(KIND, snapshot.document())
        try:
            store.append(KIND, name, digest, after=last.digest)
        except ConflictError:
            last = _last(store, name)
            continue
        return snapshot
    raise ConflictError(
        f"{name}: other syncs published {_PUBLISH_ATTEMPTS} times meanwhile",
        hint="run it again when they have ended",
    )


def _overtaken(snapshot: Snapshot, by: Snapshot) -> bool:
    pairs = ((by.repository(row.id), row) for row in snapshot.repositories)
    return any(other is not None and is_older(other, row) for other, row in pairs)
