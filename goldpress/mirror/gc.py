"""Owns gc: deleting what nothing needs, in two runs with time between them.

The first run that finds a file unneeded marks it; a run after the grace period deletes it if it
is still unneeded and nobody took the mark back (see `store.graves`). A listing proposes what may
be deleted; only `roots` and marks decide.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.errors import DocumentError
from goldpress.mirror.gitlocks import LockRoot
from goldpress.mirror.roots import Needed, find_needed
from goldpress.store import Listed, Store
from goldpress.store.directory import DirectoryObjects

#: Longer than any sync, any review of a lock, and a weekend.
GRACE = timedelta(days=7)
#: A shorter one could end while a sync goes on that saw a file at its start.
LEAST_GRACE = timedelta(days=1)
#: How many snapshots of each name are in use.
NEWEST = 10
#: As many as one request of S3 takes; a killed gc leaves no more than these in deletion.
BATCH = 1000

PLACES = ("pool/", "meta/", "documents/snapshot/", "views/")
_VIEW = re.compile(r"views/([0-9a-f]{64})/.+")


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A number of files, and their size in bytes."""

    files: int
    bytes: int

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.files} files, {self.bytes / 1e6:.1f} MB"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What gc would do: keys by what happens to them, and the sizes of all that was listed.

    `marked` are to be marked now, `due` are to be deleted, `waiting` were marked before but not
    long enough, `unmarked` are needed again.
    """

    kept: tuple[str, ...]
    marked: tuple[str, ...]
    waiting: tuple[str, ...]
    due: tuple[str, ...]
    unmarked: tuple[str, ...]
    sizes: Mapping[str, int]

    def amount(self, keys: Iterable[str]) -> Amount:
        """How many and how large these are."""
        chosen = [self.sizes.get(key, 0) for key in keys]
        return Amount(files=len(chosen), bytes=sum(chosen))


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What gc found, and what it deleted (nothing in a dry run)."""

    needed: Needed
    plan: Plan
    deleted: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Counts, and sizes in bytes, as plain JSON values; in a dry run nothing was deleted."""
        groups = {
            "kept": self.plan.kept,
            "to_mark": self.plan.marked,
            "waiting": self.plan.waiting,
            "due": self.plan.due,
            "deleted": self.deleted,
        }
        return {
            "snapshots": len(self.needed.snapshots),
            "locks": self.needed.locks,
            "images": self.needed.images,
            **{name: asdict(self.plan.amount(keys)) for name, keys in groups.items()},
        }


def collect(
    store: Store,
    locks: Iterable[LockRoot],
    *,
    delete: bool = False,
    grace: timedelta = GRACE,
    newest: int = NEWEST,
    now: datetime | None = None,
) -> Collected:
    """Mark what nothing needs, and delete what is marked since before the grace period.

    Without `delete` it only says what it would do. Raises DocumentError for a grace period that
    is too short, the error of a root that cannot be read (and then has deleted nothing), and
    ConflictError or CloudError; what it has deleted until then stays deleted, the next run goes
    on.
    """
    if grace < LEAST_GRACE or newest < 1:
        raise DocumentError(
            f"gc: a grace period of {grace} and {newest} snapshots of a name are too little",
            hint=f"at least {LEAST_GRACE.days} day and 1: a sync may rely on what it saw",
        )
    moment = now or datetime.now(UTC)
    if delete:
        store.graves.finish()
    with progress.step("what is needed") as step:
        needed = find_needed(store, locks, newest=newest)
        step.update(
            f"{len(needed.snapshots)} snapshots, {needed.locks} locks, {needed.images} images"
        )
    graves, _ = store.graves.read()
    listed = tuple(row for place in PLACES for row in store.objects.listed(place))
    before = moment - grace
    plan = make_plan(listed, needed, graves.marked if graves else {}, before=before)
    if not delete:
        return Collected(needed=needed, plan=plan, deleted=())
    return Collected(needed=needed, plan=plan, deleted=_act(store, plan, needed, moment, before))


def make_plan(
    listed: Iterable[Listed], needed: Needed, marks: Mapping[str, datetime], *, before: datetime
) -> Plan:
    """What to do with what a listing showed, given the marks and since when they are there."""
    sizes = {row.key: row.size for row in listed}
    kept = {key for key in sizes if is_needed(key, needed)}
    unneeded = sorted(set(sizes) - kept)
    return Plan(
        kept=tuple(sorted(kept)),
        marked=tuple(key for key in unneeded if key not in marks),
        waiting=tuple(key for key in unneeded if key in marks and marks[key] >= before),
        due=tuple(key for key in unneeded if key in marks and marks[key] < before),
        # What is no longer there needs no mark either.
        unmarked=tuple(sorted(key for key in marks if key in kept or key not in sizes)),
        sizes=sizes,
    )


def is_needed(key: str, needed: Needed) -> bool:
    """Whether a root needs the object of this key; a view is needed as its snapshot is."""
    if key.startswith("views/"):
        match = _VIEW.fullmatch(key)
        # What is no view of a snapshot is not ours to judge.
        return match is None or f"sha256:{match[1]}" in needed.snapshots
    return key in needed.keys


def _act(
    store: Store, plan: Plan, needed: Needed, moment: datetime, before: datetime
) -> tuple[str, ...]:
    if plan.unmarked:
        store.graves.unmark(plan.unmarked)
    deleted: list[str] = []
    with progress.step("delete", f"{plan.amount(plan.due)}") as step:
        for batch in _batches(plan.due):
            deleted += store.graves.bury(batch, before=before)
            step.update(f"{len(deleted)} of {len(plan.due)}")
    if plan.marked:
        store.graves.mark(plan.marked, now=moment)
    store.objects.sweep(before)
    _clean_cache(store, needed, before)
    return tuple(deleted)


def _clean_cache(store: Store, needed: Needed, before: datetime) -> None:
    """Remove from this machine what can be brought or made again, unless it is recent."""
    if store.shared is not None:
        cache = DirectoryObjects(root=store.root)
        cache.sweep(before)
        places = (p for p in PLACES if p != "views/")
        for row in (row for place in places for row in cache.listed(place)):
            if row.written < before and not is_needed(row.key, needed):
                cache.path(row.key).unlink(missing_ok=True)
    metadata = {Path(key).name for key in needed.keys if key.startswith("meta/")}
    for path in sorted((store.root / "derived").glob("*/*")):
        if path.name in metadata or path.stat().st_mtime >= before.timestamp():
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _batches(keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
