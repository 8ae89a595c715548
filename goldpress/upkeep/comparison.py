"""Owns comparisons that people ask for: two snapshots by their names, a lock with its past."""

from __future__ import annotations

from collections.abc import Iterable

from goldpress.definition import Definition
from goldpress.distribution import Distribution, distribution_ids, load_distribution
from goldpress.errors import MissingError
from goldpress.lock import Lock
from goldpress.mirror.difference.change import Difference
from goldpress.mirror.difference.compare import diff_locks, diff_snapshots
from goldpress.mirror.gitlocks import committed
from goldpress.mirror.names import find_snapshot
from goldpress.mirror.snapshot import KIND, Snapshot, newest_snapshot, ref_name
from goldpress.workspace import Workspace


def compare(ws: Workspace, before: str, after: str, *, every: bool = False) -> Difference:
    """What two snapshots, named as `mirror.names` tells, offer other than each other.

    Raises MissingError for an unknown one, else as `diff_snapshots`.
    """
    one, two = find_snapshot(ws.store, before), find_snapshot(ws.store, after)
    known = errata(ws, {one.distribution, two.distribution}, two.arch)
    return diff_snapshots(ws.store, one, two, errata=known, every=every)


def compare_locks(
    ws: Workspace, definition: Definition, distribution: Distribution, *, since: str = "HEAD"
) -> Difference:
    """What the lock in the work tree has other than the one committed at `since`.

    Raises MissingError when either is not there, DocumentError when it cannot be read.
    """
    path = ws.lock_path(definition, distribution)
    if distribution.made:
        raise MissingError(
            f"the lock for {distribution.name} is not in git: it is made on this machine",
            hint="compare the lock of a distribution that is committed: without --sandbox",
        )
    after = Lock.read(path)
    name = path.relative_to(ws.project)
    before = Lock.parse(committed(ws.project, path, since), name=f"{since}:{name}")
    return diff_locks(ws.store, before, after, errata=errata(ws, after.snapshots, after.arch))


def errata(ws: Workspace, ids: Iterable[str], arch: str) -> tuple[Snapshot, ...]:
    """The newest snapshots of distributions with advisories about these distributions."""
    wanted = set(ids)
    return tuple(
        newest_snapshot(ws.store, name, arch)
        for name in distribution_ids(ws.project)
        if load_distribution(ws.project, name).errata_for in wanted
        and ws.store.history(KIND, ref_name(name, arch))
    )
