"""Owns filling the pool: the packages that are wanted, each checked by sha256 and size."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from goldpress.errors import GoldpressError, MissingError
from goldpress.mirror.snapshot import Snapshot
from goldpress.mirror.transfer.download import StoppedError
from goldpress.mirror.transfer.fetch import Fetcher, fetching
from goldpress.mirror.transfer.partial import claimed, drop_old, incoming_path, partial_path
from goldpress.mirror.transfer.place import local_base
from goldpress.mirror.transfer.source import Source, as_source
from goldpress.progress import Transfers, megabytes, transfers
from goldpress.store import Store

#: All together; `transfer.hosts` allows a part of them to each host.
THREADS = 8
#: The largest real packages (kernel-debuginfo apart) have some hundred MB.
MAX_PACKAGE_BYTES = 4 << 30
#: One bad file is no reason to leave the others; after so many it is the mirror that is bad.
MAX_FAILURES = 3


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
    sources: Mapping[str, Source | str | Path],
    wanted: Iterable[tuple[str, str, int, str]],
    *,
    fetcher: Fetcher | None = None,
    share: bool = True,
) -> Kept:
    """Bring every `wanted` (sha256, href, size, repository id) package into the pool.

    Without `share` they wait beside the pool instead, for `mirror.trust` to judge them first.
    `sources` says by repository id where it is. A package that is there with its size is not
    brought again (its bytes are hashed before each use, by `mirror.trust`). Raises MissingError
    or TrustError for the first that cannot be had as promised. What came is kept all the same, the
    beginnings of unfinished files too: the next run goes on from there.
    """
    rows = _rows(snapshot, sources, wanted)
    missing = [row for row in rows if not _is_here(store, row, share=share)]
    total = sum(row.size for row in missing)
    brought = 0
    if missing:
        drop_old(store.root)
        _check_space(store, total)
        places = {id_: as_source(where) for id_, where in sources.items()}
        remote = any(
            local_base(place) is None for row in missing for place in places[row.repository].places
        )
        with (
            transfers("packages", files=len(missing), size=total) as shown,
            fetching(fetcher) as fetch,
            _workers(THREADS if remote else 2) as (workers, stop),
        ):
            bringing = _Bringing(store=store, fetcher=fetch, shown=shown, stop=stop, share=share)
            work = [workers.submit(bringing.bring, places[row.repository], row) for row in missing]
            brought = _all_of(work, stop)
    return Kept(fetched=len(missing), bytes=brought, present=len(rows) - len(missing))


def _rows(
    snapshot: Snapshot,
    sources: Mapping[str, Source | str | Path],
    wanted: Iterable[tuple[str, str, int, str]],
) -> list[Wanted]:
    """Each wanted package once, the largest first: a large one begun last would end alone."""
    known = {repository.id for repository in snapshot.repositories}
    found = sorted((Wanted(*row) for row in wanted), reverse=True)
    rows = {row.sha256: row for row in found}
    for row in rows.values():
        if row.repository not in known or row.repository not in sources:
            raise MissingError(
                f"{row.href}: the snapshot of {snapshot.distribution} has no repository "
                f"{row.repository!r} to bring it from"
            )
    return sorted(rows.values(), key=lambda row: (-row.size, row.sha256))


def _is_here(store: Store, row: Wanted, *, share: bool) -> bool:
    if store.has_package(row.sha256, row.size):
        return True
    waiting = incoming_path(store.root, row.sha256)
    return not share and waiting.is_file() and waiting.stat().st_size == row.size


def _check_space(store: Store, total: int) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(store.root).free
    if total > free:
        raise MissingError(
            f"{store.root}: {megabytes(free)} are free, the packages need {megabytes(total)}",
            hint="make room, or put the build directory elsewhere with GOLDPRESS_BUILD",
        )


@contextmanager
def _workers(count: int) -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    stop = threading.Event()
    pool = ThreadPoolExecutor(max_workers=count)
    try:
        yield pool, stop
    finally:
        # After a failure, or Ctrl-C, what runs ends at once; its beginning is kept.
        stop.set()
        pool.shutdown(cancel_futures=True)


def _all_of(work: list[Future[int]], stop: threading.Event) -> int:
    """The bytes of all of them. Raises the first failure once all ended."""
    brought = 0
    failures: list[GoldpressError] = []
    for future in as_completed(work):
        try:
            brought += future.result()
        except StoppedError:
            continue
        except GoldpressError as error:
            failures.append(error)
            if len(failures) == MAX_FAILURES:
                stop.set()
    if failures:
        first = failures[0]
        if len(failures) > 1:
            first.message += f" (and {len(failures) - 1} more that could not be brought)"
        raise first
    return brought


@dataclass(frozen=True, kw_only=True)
class _Bringing:
    store: Store
    fetcher: Fetcher
    shown: Transfers
    stop: threading.Event
    share: bool

    def bring(self, source: Source, row: Wanted) -> int:
        """Bring one package; says how many bytes it has."""
        if self.stop.is_set():
            raise StoppedError
        partial = partial_path(self.store.root, row.sha256)
        with claimed(partial, self.stop):
            # Somebody else may have brought it while this waited.
            if not _is_here(self.store, row, share=self.share):
                self.fetcher.fetch_from(
                    source,
                    row.href,
                    self._target(row.sha256),
                    limit=MAX_PACKAGE_BYTES,
                    sha256=row.sha256,
                    size=row.size,
                    partial=partial,
                    stop=self.stop,
                    on_bytes=self.shown.bytes,
                )
                if self.share:
                    self.store.kept_package(row.sha256)
        self.shown.file()
        return row.size

    def _target(self, sha256: str) -> Path:
        if self.share:
            return self.store.package_path(sha256)
        return incoming_path(self.store.root, sha256)
