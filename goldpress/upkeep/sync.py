"""Owns a sync: snapshots of distributions, then the packages that locks, and whoever, want."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from goldpress import progress
from goldpress.definition import Definition
from goldpress.document import shown
from goldpress.errors import GoldpressError
from goldpress.lock import Lock
from goldpress.locking.make import bring_packages, keep_locked
from goldpress.locking.places import Supply, supply
from goldpress.mirror.newest import newest_packages
from goldpress.mirror.snapshot import KIND, Snapshot, ref_name, take_snapshot
from goldpress.mirror.transfer.download import StoppedError
from goldpress.mirror.transfer.fetch import Fetcher, fetching
from goldpress.store import Store
from goldpress.upkeep.wanted import Wanted, wanted
from goldpress.workspace import Workspace

#: Distributions that are looked at at the same time; their hosts are shared fairly.
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much to bring: the locked packages, with them the `newest` of all, or `every` one."""

    newest: bool = False
    every: bool = False


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A snapshot that was taken, where its packages are, and the digest of the one before."""

    part: Wanted
    snapshot: Snapshot
    where: Supply
    before: str | None

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "distribution": self.part.distribution.id,
            "arch": self.part.arch,
            "snapshot": self.snapshot.digest,
            "new": self.snapshot.digest != self.before,
            "packages": sum(row.packages for row in self.snapshot.repositories),
        }


@dataclass(frozen=True, kw_only=True)
class _Failures:
    """What went wrong; one distribution's trouble is no reason to leave the others."""

    found: list[GoldpressError] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except GoldpressError as error:
            self.found.append(error)

    def check(self) -> None:
        """Raises the first failure once the others are told."""
        for error in self.found[1:]:
            progress.note(f"error: {error}")
        if self.found:
            raise self.found[0]


def sync(
    ws: Workspace,
    definitions: Iterable[Definition],
    *,
    only: Sequence[str] = (),
    sandbox: bool = False,
    scope: Scope = Scope(),
    accept: bool = False,
    refresh: bool = False,
) -> tuple[Taken, ...]:
    """A snapshot of each distribution, then the packages that locks and `scope` ask for.

    `only`, `sandbox` as in `wanted`; `accept` takes older or much smaller metadata, too. What can
    be had is brought though something else cannot; the first failure is raised at the end:
    MissingError or TrustError.
    """
    todo = wanted(ws, definitions, only=only, sandbox=sandbox)
    failures = _Failures()
    taken = _take_all(ws, todo, failures, accept=accept, refresh=refresh)
    _bring_locked(ws, todo, taken, failures)
    if scope.newest or scope.every:
        for row in taken:
            with failures.kept():
                _bring(ws, row, scope)
    failures.check()
    return taken


def _take_all(
    ws: Workspace, todo: Sequence[Wanted], failures: _Failures, *, accept: bool, refresh: bool
) -> tuple[Taken, ...]:
    """The snapshots in the order of `todo`; those that cannot be had are failures."""
    found: dict[int, Taken] = {}
    faults: dict[int, GoldpressError] = {}
    taking = _Taking(ws=ws, store=ws.store, accept=accept, refresh=refresh)
    # Making a distribution shows its own progress.
    elsewhere = [number for number, part in enumerate(todo) if not part.distribution.made]
    for number, part in enumerate(todo):
        if number not in elsewhere:
            with failures.kept():
                found[number] = taking.take(part, threading.Event(), None)
    names = ", ".join(dict.fromkeys(todo[number].distribution.id for number in elsewhere))
    if elsewhere:
        with (
            progress.step("snapshots", names) as step,
            fetching(None) as fetcher,
            ThreadPoolExecutor(max_workers=THREADS) as pool,
        ):
            # Each its own: a snapshot that fails stops what it has begun.
            stops = {n: threading.Event() for n in elsewhere}
            work = {pool.submit(taking.take, todo[n], stops[n], fetcher): n for n in elsewhere}
            try:
                for future in as_completed(work):
                    try:
                        found[work[future]] = future.result()
                    except GoldpressError as error:
                        faults[work[future]] = error
                    step.update(f"{len(found)} of {len(elsewhere)}")
            except BaseException:
                # Ctrl-C: what runs in threads ends only when it is told.
                for stop in stops.values():
                    stop.set()
                pool.shutdown(cancel_futures=True)
                raise
            new = sum(row.snapshot.digest != row.before for row in found.values())
            step.update(f"{len(found)}, {new or 'none'} of them new")
    failures.found.extend(faults[number] for number in sorted(faults))
    return tuple(found[number] for number in sorted(found))


@dataclass(frozen=True, kw_only=True)
class _Taking:
    ws: Workspace
    store: Store
    accept: bool
    refresh: bool

    def take(self, part: Wanted, stop: threading.Event, fetcher: Fetcher | None) -> Taken:
        store, distribution = self.store, part.distribution
        where = supply(self.ws, [distribution], part.arch, refresh=self.refresh, fetcher=fetcher)
        if stop.is_set():
            raise StoppedError
        history = store.history(KIND, ref_name(distribution.id, part.arch))
        snapshot = take_snapshot(
            store,
            distribution,
            part.arch,
            where.of(distribution, part.arch),
            fetcher=fetcher,
            accept=self.accept,
            stop=stop,
        )
        before = history[-1].digest if history else None
        return Taken(part=part, snapshot=snapshot, where=where, before=before)


def _bring_locked(
    ws: Workspace, todo: Sequence[Wanted], taken: Sequence[Taken], failures: _Failures
) -> None:
    """What the locks name of the distributions that were taken."""
    by_name: Mapping[tuple[str, str], Taken] = {
        (row.part.distribution.id, row.part.arch): row for row in taken
    }
    for path in dict.fromkeys(path for part in todo for path in part.locks):
        if not path.exists():
            progress.note(f"{shown(path)} is not there yet: `./inv lock` makes it")
            continue
        with failures.kept():
            made = Lock.read(path)
            rows = [
                by_name[id_, made.arch] for id_ in made.snapshots if (id_, made.arch) in by_name
            ]
            if rows:
                where = Supply.together([row.where for row in rows])
                keep_locked(ws, [row.snapshot for row in rows], where, made)


def _bring(ws: Workspace, row: Taken, scope: Scope) -> None:
    """The newest packages of a distribution, or every one; those in the pool are judged."""
    if row.part.errata_only:
        return
    packages = newest_packages(ws.store, row.snapshot, every=scope.every)
    there = ws.store.has_packages({p.sha256: p.size for p in packages})
    absent = [package for package in packages if package.sha256 not in there]
    bring_packages(ws, row.snapshot, row.where, absent)
