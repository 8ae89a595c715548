"""Owns when a lock is still good: made for what is asked for now, by what is allowed now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from goldpress.definition import Definition
from goldpress.distribution import FOLDER, Distribution, Signers
from goldpress.errors import DocumentError, MissingError
from goldpress.lock import Lock
from goldpress.locking.make import lock
from goldpress.locking.places import check_buildable, distributions, kept_signers, supply
from goldpress.mirror.overrides import FILE, Overrides, load_overrides
from goldpress.mirror.snapshot import take_snapshot
from goldpress.resolve import full_request
from goldpress.resolve.changed import changes
from goldpress.workspace import Workspace

_REMAKE = "run `./inv lock` and commit the result"


def locked(
    ws: Workspace, definition: Definition, distribution: Distribution
) -> tuple[Lock, Signers]:
    """The lock to build from, and who may sign.

    The sandbox's is made or renewed when its packages or the request changed. A real
    distribution's is read from git, never made here: raises MissingError when it is not there,
    was made for another request, or the distribution cannot be built from.
    """
    found = distributions(ws, definition, distribution)
    check_buildable(found)
    if distribution.made:
        return _sandbox_lock(ws, definition, distribution)
    return _current(ws, definition, found), kept_signers(ws, found)


def check_lock(
    ws: Workspace,
    definition: Definition,
    distribution: Distribution,
    *,
    today: dt.date | None = None,
) -> Lock:
    """The image's lock, if it is what the definition and the overrides ask for now.

    Needs nothing but the project's files. Raises MissingError when there is no lock or it was
    made for something else (naming what changed), DocumentError when it was edited or an
    override's last day is over, ResolveError never: nothing is resolved.
    """
    load_overrides(ws.project).check_expiry(today or dt.datetime.now(dt.UTC).date())
    return _current(ws, definition, distributions(ws, definition, distribution))


def _current(ws: Workspace, definition: Definition, found: Sequence[Distribution]) -> Lock:
    distribution = found[0]
    path = ws.lock_path(definition, distribution)
    if not path.exists():
        raise MissingError(
            f"no lock of {definition.name} for {distribution.name}: "
            f"images/{definition.name}/locks/{path.name} is not there",
            hint=f"with a mirror in reach: `./inv mirror.sync lock`; to rehearse on this machine "
            f"with a stand-in: `./inv build-image --sandbox` (image {definition.name})",
        )
    made = Lock.read(path)
    faults = [*_request_faults(made, definition, ws, found), *_distribution_faults(made, found)]
    if faults:
        raise MissingError(
            "\n".join(f"{definition.name}/locks/{path.name}: {fault}" for fault in faults),
            hint=_REMAKE,
        )
    return made


def _request_faults(
    made: Lock, definition: Definition, ws: Workspace, found: Sequence[Distribution]
) -> Iterator[str]:
    overrides = applying(ws, definition, found)
    changed = changes(made.request, full_request(definition, overrides))
    if changed:
        yield f"image.yaml or {FILE} changed since it was made: {'; '.join(changed)}"


def _distribution_faults(made: Lock, found: Sequence[Distribution]) -> Iterator[str]:
    """What the lock has that the distribution files no longer have or allow."""
    if found[0].made:
        return
    allowed = {
        (r.id, key.fingerprint)
        for row in found
        for r in row.repositories(made.arch)
        for key in row.keys
        if not key.repositories or r.id in key.repositories
    }
    used = {(package.repository, package.signer) for package in made.packages}
    for repository, signer in sorted(used - allowed):
        yield f"has packages of {repository} signed by {signer}, which {FOLDER}/ does not allow"


def applying(ws: Workspace, definition: Definition, found: Sequence[Distribution]) -> Overrides:
    """The overrides for an image. Raises DocumentError when two are for the same package."""
    return load_overrides(ws.project).applying(definition, [row.id for row in found])


def _sandbox_lock(
    ws: Workspace, definition: Definition, distribution: Distribution
) -> tuple[Lock, Signers]:
    path = ws.lock_path(definition, distribution)
    where = supply(ws, [distribution], definition.arch)
    snapshot = take_snapshot(ws.store, distribution, definition.arch, where.sources)
    if path.exists():
        try:
            found = Lock.read(path)
        except DocumentError:
            # It was made on this machine, perhaps by an older goldpress, and is made again.
            return lock(ws, definition, distribution), where.signers
        request = full_request(definition, applying(ws, definition, [distribution]))
        if found.request == request and found.snapshots == {distribution.id: snapshot.digest}:
            return found, where.signers
    return lock(ws, definition, distribution), where.signers
