"""Owns the cache of repositories in the resolver's own form: made once, in limited children.

What is kept is named by the metadata that it was made from, and by what made it; deleting it
costs a few seconds.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from goldpress.digest import digest_of
from goldpress.host.limited import Limits, make_limited
from goldpress.mirror.metadata import modulemd, solvable
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.store import Store

SOLVABLE_TYPES = ("primary", "filelists")
STREAM_TYPES = ("modules",)
#: A real AppStream with all its file lists takes a third of this.
LIMITS = Limits(memory=1 << 30, output=1 << 30, cpu=120, clock=300)
WORKERS = 2
#: What no resolution asked for in this time is removed.
KEPT_SECONDS = 30 * 86400


@dataclass(frozen=True, kw_only=True)
class SolvRepository:
    """A repository ready for the resolver; `streams` is None when it has no modules."""

    repository: RepositorySnapshot
    solvables: Path
    streams: Path | None


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A file to make from some types of a repository's metadata, by the child `module`."""

    module: str
    repository: RepositorySnapshot
    types: tuple[str, ...]
    target: Path

    @property
    def size(self) -> int:
        return sum(self.repository.metadata[type_].size for type_ in self.types)

    def make(self, store: Store) -> None:
        packed = [self.repository.packed(store, type_) for type_ in self.types]
        arguments = [entry.argument() for entry in packed]
        make_limited(self.module, arguments, self.target, what=packed[0].name, limits=LIMITS)


def solv_repositories(
    store: Store, repositories: Sequence[RepositorySnapshot], cache: Path
) -> tuple[SolvRepository, ...]:
    """The repositories in the resolver's form, in their order; what is not in `cache` is made.

    Raises MissingError when the store lacks metadata, TrustError when it cannot be used.
    """
    solved = tuple(_solved(repository, cache) for repository in repositories)
    work = {row.target: row for found in solved for row in _work(found)}
    absent = [row for row in work.values() if not _used(row.target)]
    if absent:
        cache.mkdir(parents=True, exist_ok=True)
        _forget_unused(cache, work)
        # The largest first: with two workers the whole takes as long as it does.
        absent.sort(key=lambda row: -row.size)
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            for done in [pool.submit(row.make, store) for row in absent]:
                done.result()
    return solved


def _solved(repository: RepositorySnapshot, cache: Path) -> SolvRepository:
    solvables = _key(solvable.FORMAT, repository, SOLVABLE_TYPES)
    streams = _key(modulemd.FORMAT, repository, STREAM_TYPES)
    return SolvRepository(
        repository=repository,
        solvables=cache / f"{solvables}.solv",
        streams=cache / f"{streams}.json" if "modules" in repository.metadata else None,
    )


def _work(solved: SolvRepository) -> Iterator[_Work]:
    repository = solved.repository
    yield _Work(
        module=solvable.__name__,
        repository=repository,
        types=tuple(type_ for type_ in SOLVABLE_TYPES if type_ in repository.metadata),
        target=solved.solvables,
    )
    if solved.streams is not None:
        yield _Work(
            module=modulemd.__name__,
            repository=repository,
            types=STREAM_TYPES,
            target=solved.streams,
        )


def _key(format_: str, repository: RepositorySnapshot, types: Iterable[str]) -> str:
    found = [repository.metadata[type_].sha256 for type_ in types if type_ in repository.metadata]
    made_by = [format_, f"solv {version('solv')}"]
    return digest_of([*made_by, *found]).removeprefix("sha256:")


def _used(path: Path) -> bool:
    """Whether it is there; from now on it was used a moment ago."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _forget_unused(cache: Path, used: Container[Path]) -> None:
    oldest = time.time() - KEPT_SECONDS
    for path in cache.iterdir():
        # Another process may do the same.
        with contextlib.suppress(FileNotFoundError):
            if path not in used and path.stat().st_mtime < oldest:
                path.unlink()
