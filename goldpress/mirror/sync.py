"""Owns filling the pool: the packages that are wanted, each checked by sha256 and size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from goldpress.errors import MissingError
from goldpress.mirror.fetch import Fetcher, fetching, local_base, location
from goldpress.mirror.snapshot import Snapshot
from goldpress.progress import step
from goldpress.store import Store

#: librepo's own default is 3 a host; two hosts, and some to spare for slow ones.
THREADS = 8
#: The largest real packages (kernel-debuginfo apart) have some hundred MB.
MAX_PACKAGE_BYTES = 4 << 30


class Wanted(NamedTuple):
    """A package to keep: its sha256, where it is in its repository, and its size in bytes."""

    sha256: str
    href: str
    size: int
    repository: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How many packages were brought, how many bytes that was, and how many were there."""

    fetched: int
    bytes: int
    present: int


def keep_packages(
    store: Store,
    snapshot: Snapshot,
    sources: Mapping[str, str | Path],
    wanted: Iterable[tuple[str, str, int, str]],
    *,
    fetcher: Fetcher | None = None,
) -> Kept:
    """Bring every `wanted` (sha256, href, size, repository id) package into the pool.

    `sources` says by repository id where it is. A package that is there with its size is not
    brought again (its bytes are hashed before each use, by `mirror.trust`). Raises MissingError
    or TrustError for the first that cannot be had as promised; what came before it is kept.
    """
    known = {repository.id for repository in snapshot.repositories}
    rows = sorted({Wanted(*row) for row in wanted}, key=lambda row: (-row.size, row.sha256))
    for row in rows:
        if row.repository not in known or row.repository not in sources:
            raise MissingError(
                f"{row.href}: the snapshot of {snapshot.distribution} has no repository "
                f"{row.repository!r} to bring it from"
            )
    missing = [row for row in rows if not _present(store, row)]
    total = sum(row.size for row in missing)
    done = 0

    if missing:
        remote = any(local_base(sources[row.repository]) is None for row in missing)
        with (
            step("packages", f"{len(missing)} to bring, {_mb(total)}") as progress,
            fetching(fetcher) as fetch,
            _workers(THREADS if remote else 2) as workers,
        ):
            work = [workers.submit(_bring, store, sources, fetch, row) for row in missing]
            for future in as_completed(work):
                done += future.result()
                progress.update(f"{_mb(done)} of {_mb(total)}")
    return Kept(fetched=len(missing), bytes=done, present=len(rows) - len(missing))


@contextmanager
def _workers(count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(max_workers=count)
    try:
        yield pool
    finally:
        # After a failure what has not begun never does.
        pool.shutdown(cancel_futures=True)


def _bring(store: Store, sources: Mapping[str, str | Path], fetcher: Fetcher, row: Wanted) -> int:
    fetcher.fetch(
        location(sources[row.repository], row.href),
        store.package_path(row.sha256),
        limit=MAX_PACKAGE_BYTES,
        sha256=row.sha256,
        size=row.size,
    )
    return row.size


def _present(store: Store, row: Wanted) -> bool:
    path = store.package_path(row.sha256)
    return path.is_file() and path.stat().st_size == row.size


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
