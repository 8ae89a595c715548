"""Owns making a lock: a snapshot of what there is, a resolution, and its packages in the pool."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from goldpress import progress
from goldpress.definition import Definition
from goldpress.distribution import FOLDER, Distribution, Signers
from goldpress.errors import DocumentError, GoldpressError, MissingError
from goldpress.lock import Lock
from goldpress.locking.places import Supply, bring_signers, distributions, supply
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.overrides import load_overrides
from goldpress.mirror.snapshot import Snapshot, newest_snapshot, take_snapshot
from goldpress.mirror.sync import keep_packages
from goldpress.mirror.trust.packages import accept_packages, check_packages
from goldpress.resolve import Resolution, make_lock, resolve
from goldpress.resolve.modules import check_allowed
from goldpress.workspace import Workspace


def taken(
    ws: Workspace, distribution: Distribution, arch: str, where: Supply, *, accept: bool = False
) -> Snapshot:
    """A new snapshot of one distribution; `accept` takes older or much smaller metadata too.

    Raises as `take_snapshot`.
    """
    with progress.step(f"snapshot of {distribution.name}"):
        sources = where.of(distribution, arch)
        return take_snapshot(ws.store, distribution, arch, sources, accept=accept)


def keep_locked(ws: Workspace, snapshots: Sequence[Snapshot], where: Supply, made: Lock) -> None:
    """Bring what a lock names and the pool has not, from the repositories of this supply.

    Raises MissingError for what is gone.
    """
    absent = {
        p.sha256: p.nevra
        for p in made.packages
        if p.repository in where.sources and not ws.store.has_package(p.sha256, p.size)
    }
    problem: MissingError | None = None
    for snapshot, is_new in _looked_through(ws, snapshots, made):
        if not absent:
            return
        rows = snapshot.packages(ws.store, absent)
        try:
            bring_packages(
                ws, snapshot, where, [row for row in rows if row.repository in where.sources]
            )
        except MissingError as error:
            if is_new:
                raise
            # A package that upstream no longer lists is rarely still there.
            problem = error
        for row in rows:
            if ws.store.has_package(row.sha256, row.size):
                absent.pop(row.sha256)
    if absent:
        first, *others = absent.values()
        more = f" and {len(others)} more" if others else ""
        raise MissingError(
            f"{first}{more}: locked, but gone from the mirror and not in the pool",
            hint="take them from another copy of the pool, or run `./inv lock` for newer ones",
        ) from problem


def _looked_through(
    ws: Workspace, snapshots: Sequence[Snapshot], made: Lock
) -> Iterator[tuple[Snapshot, bool]]:
    """The newest snapshots (True), then those that the lock was made from, as far as kept."""
    yield from ((snapshot, True) for snapshot in snapshots)
    tracked = [row["snapshot"] for row in made.request.get("overrides", ()) if "snapshot" in row]
    seen = {snapshot.digest for snapshot in snapshots}
    for digest in dict.fromkeys((*made.snapshots.values(), *tracked)):
        if digest not in seen:
            with contextlib.suppress(MissingError, DocumentError):
                yield Snapshot.read(ws.store, digest), False


def lock(
    ws: Workspace,
    definition: Definition,
    distribution: Distribution,
    *,
    today: dt.date | None = None,
) -> Lock:
    """Resolve the definition against the newest snapshots, and write the lock.

    Every package is brought into the pool and its signature judged first: a lock names signers.
    Raises DocumentError when an override's last day is over (`today`, in UTC).
    """
    found = distributions(ws, definition, distribution)
    overrides = load_overrides(ws.project)
    overrides.check_expiry(today or dt.datetime.now(dt.UTC).date())
    overrides = overrides.applying(definition, [row.id for row in found])
    allowed = _allowed(found)
    where = None
    if distribution.made:
        where = supply(ws, found, definition.arch)
        taken(ws, distribution, definition.arch, where)
    else:
        paths = " or ".join(f"{FOLDER}/{row.id}.yaml" for row in found)
        check_allowed(definition.modules, allowed, where=paths)
    with progress.step(f"resolve {definition.name} for {distribution.name}") as step:
        resolution = resolve(
            ws.store,
            [newest_snapshot(ws.store, row.id, definition.arch) for row in found],
            definition,
            cache=ws.build / "cache" / "solv",
            overrides=overrides,
            allowed=allowed,
        )
        step.update(f"{len(resolution.packages)} packages")
    for sentence in resolution.held_back:
        progress.note(f"  !!  {sentence}")
    who = _keep(ws, found, resolution, where)
    judged = check_packages(ws.store, resolution.packages, who, ws.build / "verdicts")
    made = make_lock(resolution, judged)
    made.write(ws.lock_path(definition, distribution))
    return made


def _allowed(found: Iterable[Distribution]) -> dict[str, tuple[str, ...]]:
    """The streams that one of the distributions allows, by module."""
    allowed: dict[str, tuple[str, ...]] = {}
    for row in found:
        for module, streams in row.modules.items():
            allowed[module] = tuple(dict.fromkeys((*allowed.get(module, ()), *streams)))
    return allowed


def _keep(
    ws: Workspace, found: Sequence[Distribution], resolution: Resolution, where: Supply | None
) -> Signers:
    """Bring what the pool has not, and say who may sign. Asks no mirror when nothing is to come."""
    absent: dict[str, tuple[Snapshot, list[AvailablePackage]]] = {}
    for row in resolution.chosen:
        if not ws.store.has_package(row.package.sha256, row.package.size):
            digest = row.snapshot.digest
            absent.setdefault(digest, (row.snapshot, []))[1].append(row.package)
    if where is None and not absent:
        return bring_signers(ws, found)
    where = where or supply(ws, found, resolution.snapshots[0].arch)
    for snapshot, packages in absent.values():
        bring_packages(ws, snapshot, where, packages)
    return where.signers


def bring_packages(
    ws: Workspace, snapshot: Snapshot, where: Supply, packages: Iterable[AvailablePackage]
) -> None:
    """Bring packages of a snapshot into the pool, and judge them before anyone else sees them.

    Raises MissingError for one that cannot be had, TrustError for one that is refused; the others
    stay.
    """
    rows = tuple(packages)
    if rows:
        wanted = [(p.sha256, p.href, p.size, p.repository) for p in rows]
        try:
            keep_packages(ws.store, snapshot, where.sources, wanted, share=False)
        except GoldpressError:
            # What came all the same.
            accept_packages(ws.store, rows, where.signers, ws.build / "verdicts")
            raise
        accept_packages(ws.store, rows, where.signers, ws.build / "verdicts")
