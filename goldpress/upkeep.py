"""Owns the mirror's upkeep: bringing what images need, comparing, serving, and throwing away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.definition import Definition
from goldpress.digest import short
from goldpress.distribution import Distribution, distribution_ids, load_distribution
from goldpress.errors import MissingError
from goldpress.lock import Lock
from goldpress.locking import Supply, bring_packages, distributions, keep_locked, supply, taken
from goldpress.mirror.diff import diff_locks, diff_snapshots
from goldpress.mirror.difference import Difference
from goldpress.mirror.gc import Collected, collect
from goldpress.mirror.gitlocks import LockRoot, committed, git_locks, parse_root
from goldpress.mirror.names import find_snapshot
from goldpress.mirror.newest import newest_packages
from goldpress.mirror.roots import IMAGE
from goldpress.mirror.serve import serving
from goldpress.mirror.snapshot import KIND, Snapshot, newest_snapshot
from goldpress.mirror.trust import check_packages
from goldpress.mirror.view import View, make_view
from goldpress.workspace import Workspace

#: As few of a digest's digits as name it for certain.
DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Distributions to sync together for one architecture, and the locks to bring."""

    arch: str
    distributions: tuple[Distribution, ...]
    locks: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much to bring: the locked packages, with them the `newest` of all, or `every` one."""

    newest: bool = False
    every: bool = False


def images(ws: Workspace) -> tuple[Definition, ...]:
    """The definitions of all images of the project. Raises MissingError when it has none."""
    found = tuple(sorted(p.parent.name for p in (ws.project / "images").glob("*/image.yaml")))
    if not found:
        raise MissingError("the project has no image: images/*/image.yaml is not there")
    return tuple(ws.definition(name) for name in found)


def wanted(
    ws: Workspace, definitions: Iterable[Definition], *, only: Sequence[str], sandbox: bool
) -> tuple[Wanted, ...]:
    """What to sync, each distribution once: those of the images, and errata for them.

    `only` names distributions instead, which no image has to use. Raises MissingError for an
    unknown one, DocumentError when an image's distributions do not go together.
    """
    groups: dict[tuple[str, str], Wanted] = {}
    for definition in definitions:
        first = ws.distribution(definition, sandbox=sandbox)
        path = ws.lock_path(definition, first)
        # What is made on this machine brings its packages when its lock is made.
        locks = (path,) if path.exists() and not first.made else ()
        for row in _with_errata(ws, distributions(ws, definition, first)):
            _add(groups, definition.arch, row, locks)
    if only:
        chosen = [load_distribution(ws.project, name) for name in only]
        found = {key: part for key, part in groups.items() if key[0] in only}
        for row in chosen:
            for arch in () if any(key[0] == row.id for key in found) else sorted(row.arches):
                _add(found, arch, row, ())
        groups = found
    return tuple(groups.values())


def _add(
    groups: dict[tuple[str, str], Wanted], arch: str, row: Distribution, locks: tuple[Path, ...]
) -> None:
    before = groups.get((row.id, arch))
    known = before.locks if before else ()
    groups[row.id, arch] = Wanted(
        arch=arch, distributions=(row,), locks=tuple(dict.fromkeys((*known, *locks)))
    )


def _with_errata(ws: Workspace, found: Sequence[Distribution]) -> tuple[Distribution, ...]:
    """These, and the distributions whose advisories are about their packages."""
    ids = {row.id for row in found}
    others = (load_distribution(ws.project, name) for name in distribution_ids(ws.project))
    return (*found, *(row for row in others if row.errata_for in ids and row.id not in ids))


def sync(
    ws: Workspace,
    definitions: Iterable[Definition],
    *,
    only: Sequence[str] = (),
    sandbox: bool = False,
    scope: Scope = Scope(),
    accept: bool = False,
    refresh: bool = False,
) -> list[dict[str, Any]]:
    """A snapshot of each distribution, then the packages that locks and `scope` ask for.

    Returns a row for each. Raises MissingError or TrustError for the first that cannot be had.
    """
    rows = []
    snapshots: dict[str, Snapshot] = {}
    supplies: dict[str, Supply] = {}
    todo = wanted(ws, definitions, only=only, sandbox=sandbox)
    for part in todo:
        (distribution,) = part.distributions
        where = supply(ws, [distribution], part.arch, refresh=refresh)
        before = _newest_digest(ws, distribution.id, part.arch)
        snapshot = taken(ws, distribution, part.arch, where, accept=accept)
        snapshots[distribution.id] = snapshot
        supplies[distribution.id] = where
        if (scope.newest or scope.every) and not distribution.errata_for:
            packages = newest_packages(ws.store, snapshot, every=scope.every)
            bring_packages(ws, snapshot, where, packages)
        rows.append(
            {
                "distribution": distribution.id,
                "arch": part.arch,
                "snapshot": snapshot.digest,
                "new": snapshot.digest != before,
                "packages": sum(row.packages for row in snapshot.repositories),
            }
        )
    _bring_locked(ws, todo, snapshots, supplies)
    return rows


def _bring_locked(
    ws: Workspace,
    todo: Sequence[Wanted],
    snapshots: Mapping[str, Snapshot],
    supplies: Mapping[str, Supply],
) -> None:
    for path in dict.fromkeys(path for part in todo for path in part.locks):
        made = Lock.read(path)
        ids = [name for name in made.snapshots if name in snapshots]
        if ids:
            where = Supply.together([supplies[name] for name in ids])
            keep_locked(ws, [snapshots[name] for name in ids], where, made)


def _newest_digest(ws: Workspace, distribution: str, arch: str) -> str | None:
    history = ws.store.history(KIND, f"{distribution}.{arch}")
    return history[-1].digest if history else None


def snapshots(ws: Workspace) -> list[dict[str, Any]]:
    """Every snapshot that the store remembers, oldest first: name, time, digest, packages."""
    rows = []
    for name in ws.store.names(KIND):
        for entry in ws.store.history(KIND, name):
            found = Snapshot.read(ws.store, entry.digest)
            rows.append(
                {
                    "name": name,
                    "at": entry.at,
                    "snapshot": entry.digest,
                    "packages": {row.id: row.packages for row in found.repositories},
                }
            )
    return rows


def compare(ws: Workspace, before: str, after: str, *, every: bool = False) -> Difference:
    """What two snapshots, named as `mirror.names` tells, offer other than each other."""
    one, two = find_snapshot(ws.store, before), find_snapshot(ws.store, after)
    return diff_snapshots(
        ws.store, one, two, errata=errata(ws, {one.distribution, two.distribution}, one.arch),
        every=every,
    )  # fmt: skip


def compare_locks(
    ws: Workspace, definition: Definition, distribution: Distribution, *, since: str
) -> Difference:
    """What the lock in the work tree has other than the one committed at `since`."""
    path = ws.lock_path(definition, distribution)
    if distribution.made:
        raise MissingError(
            f"{path.name} is not in git: {distribution.name} is made on this machine",
            hint="compare locks of a distribution that is committed",
        )
    after = Lock.read(path)
    with tempfile.TemporaryDirectory(prefix="goldpress-lock-") as scratch:
        earlier = Path(scratch, path.name)
        earlier.write_bytes(committed(ws.project, path, since))
        before = Lock.read(earlier)
    return diff_locks(ws.store, before, after, errata=errata(ws, set(after.snapshots), after.arch))


def errata(ws: Workspace, ids: Iterable[str], arch: str) -> list[Snapshot]:
    """The newest snapshots of distributions with advisories about these distributions."""
    found = []
    wanted_ids = set(ids)
    for name in distribution_ids(ws.project):
        row = load_distribution(ws.project, name)
        if row.errata_for in wanted_ids and _newest_digest(ws, name, arch):
            found.append(newest_snapshot(ws.store, name, arch))
    return found


def view(ws: Workspace, text: str) -> View:
    """Make the view of a snapshot; every package in it was judged before.

    Raises TrustError for a package in the pool that may not be installed.
    """
    snapshot = find_snapshot(ws.store, text)
    distribution = load_distribution(ws.project, snapshot.distribution)
    signers = supply(ws, [distribution], snapshot.arch).signers
    offered = [p for row in snapshot.repositories for p in row.read_packages(ws.store)]
    there = ws.store.has_packages({p.sha256: p.size for p in offered})
    held = [package for package in offered if package.sha256 in there]
    check_packages(ws.store, held, signers, ws.build / "verdicts")
    keys = dict(zip(signers.fingerprints, signers.key_files, strict=True))
    with progress.step(f"view of {short(snapshot.digest)}"):
        return make_view(ws.store, snapshot, keys=keys)


@contextmanager
def served(ws: Workspace, text: str, *, address: str, port: int) -> Iterator[tuple[View, str]]:
    """Serve the view of a snapshot over HTTP; gives it and the URL, ends with the context."""
    made = view(ws, text)
    with serving(ws.store, address=address, port=port) as url:
        yield made, url


def garbage(ws: Workspace, *, delete: bool, grace_days: int, newest: int) -> Collected:
    """What nothing needs any more; see `mirror.gc`. Without `delete` nothing is touched."""
    locks = (*git_locks(ws.project), *_made_locks(ws))
    return collect(ws.store, locks, delete=delete, grace=timedelta(days=grace_days), newest=newest)


def _made_locks(ws: Workspace) -> Iterator[LockRoot]:
    """The locks of distributions made on this machine, which are in no git."""
    for path in sorted((ws.build / "locks").glob("*/*.json")):
        yield parse_root(path.read_bytes(), where=str(path))


def forget_image(ws: Workspace, digest: str) -> list[str]:
    """Take an image, by its digest or the beginning of it, out of what gc keeps packages for.

    Returns the names under which it was known. Raises MissingError for one that is not.
    """
    found = [
        (name, entry.digest)
        for name in ws.store.names(IMAGE)
        for entry in ws.store.history(IMAGE, name)
        if entry.digest.removeprefix("sha256:").startswith(digest.removeprefix("sha256:"))
    ]
    if len(digest.removeprefix("sha256:")) < DIGITS or len({d for _, d in found}) != 1:
        raise MissingError(
            f"{digest}: {len({d for _, d in found})} images have it, expected one",
            hint=f"name its digest, or at least its first {DIGITS} digits",
        )
    for name, full in found:
        ws.store.forget(IMAGE, name, full)
    return [name for name, _ in found]
