"""Owns getting a lock: where a distribution's packages come from, and when a lock is still good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldpress import progress
from goldpress.definition import Definition
from goldpress.distribution import Distribution, Signers
from goldpress.errors import MissingError
from goldpress.lock import Lock
from goldpress.mirror.keys import bring_keys, signers_of
from goldpress.mirror.snapshot import Snapshot, newest_snapshot, take_snapshot
from goldpress.mirror.sync import keep_packages
from goldpress.mirror.trust import check_packages
from goldpress.resolve.request import Resolution, resolve
from goldpress.resolve.result import make_lock, request_sha256
from goldpress.sandbox.make import make_sandbox
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Supply:
    """Where each repository of a distribution is, and who may sign its packages."""

    sources: Mapping[str, str | Path]
    signers: Signers


def supply(
    ws: Workspace, distribution: Distribution, arch: str, *, refresh: bool = False
) -> Supply:
    """The distribution's repositories and signers; the sandbox is made when it is not there.

    For a real distribution its keys are fetched and accepted by fingerprint.
    """
    if distribution.made:
        made = make_sandbox(ws.sandbox, refresh=refresh)
        sources: dict[str, str | Path] = {r.id: made.root for r in distribution.repositories(arch)}
        signers = Signers(fingerprints=(made.fingerprint,), key_files=(made.key,))
        return Supply(sources=sources, signers=signers)
    urls: dict[str, str | Path] = {}
    for repository in distribution.repositories(arch):
        if repository.baseurl is None:
            raise MissingError(
                f"{distribution.name}: repository {repository.id} has a metalink only",
                hint="give it a `baseurl` in rpm-mirror/",
            )
        urls[repository.id] = repository.baseurl
    return Supply(sources=urls, signers=bring_keys(distribution, ws.keys))


def sync(
    ws: Workspace, definition: Definition, distribution: Distribution, *, refresh: bool = False
) -> Snapshot:
    """Take a snapshot, and bring the packages that the image's lock names into the pool."""
    where = supply(ws, distribution, definition.arch, refresh=refresh)
    with progress.step(f"snapshot of {distribution.name}"):
        snapshot = take_snapshot(ws.store, distribution, definition.arch, where.sources)
    path = ws.lock_path(definition, distribution)
    if path.exists():
        _keep_locked(ws, snapshot, where, Lock.read(path))
    return snapshot


def _keep_locked(ws: Workspace, snapshot: Snapshot, where: Supply, locked_packages: Lock) -> None:
    """Bring what a lock names and the pool has not. Raises MissingError for what is gone."""
    absent = {
        p.sha256: p.nevra
        for p in locked_packages.packages
        if not ws.store.package_path(p.sha256).exists()
    }
    found = snapshot.packages(ws.store, set(absent))
    gone = sorted(set(absent) - {p.sha256 for p in found})
    if gone:
        others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise MissingError(
            f"{absent[gone[0]]}{others}: locked, but gone from the mirror and not in the pool",
            hint="take them from another copy of the pool, or run `./inv lock` for newer ones",
        )
    keep_packages(
        ws.store,
        snapshot,
        where.sources,
        [(p.sha256, p.href, p.size, p.repository) for p in found],
    )


def lock(ws: Workspace, definition: Definition, distribution: Distribution) -> Lock:
    """Resolve the definition against the newest snapshot, and write the lock.

    Every package is brought into the pool and its signature judged first: a lock names signers.
    """
    where = supply(ws, distribution, definition.arch)
    if distribution.made:
        take_snapshot(ws.store, distribution, definition.arch, where.sources)
    snapshot = newest_snapshot(ws.store, distribution.id, definition.arch)
    with progress.step(f"resolve {definition.name} for {distribution.name}") as step:
        resolution = resolve(ws.store, snapshot, definition)
        step.update(f"{len(resolution.packages)} packages")
    _keep(ws, snapshot, where, resolution)
    found = check_packages(ws.store, resolution.packages, where.signers, ws.build / "verdicts")
    made = make_lock(resolution, found)
    made.write(ws.lock_path(definition, distribution))
    return made


def _keep(
    ws: Workspace,
    snapshot: Snapshot,
    where: Supply,
    resolution: Resolution,
) -> None:
    keep_packages(
        ws.store,
        snapshot,
        where.sources,
        [(p.sha256, p.href, p.size, p.repository) for p in resolution.packages],
    )


def locked(
    ws: Workspace, definition: Definition, distribution: Distribution
) -> tuple[Lock, Signers]:
    """The lock to build from, and who may sign.

    The sandbox's is made or renewed when its packages or the request changed. A real
    distribution's is read from git, never made here: raises MissingError when it is not there or
    was made for another request.
    """
    path = ws.lock_path(definition, distribution)
    if distribution.made:
        return _sandbox_lock(ws, definition, distribution, path)
    if not path.exists():
        raise MissingError(
            f"no lock of {definition.name} for {distribution.name}: "
            f"images/{definition.name}/locks/{path.name} is not there",
            hint=f"with a mirror in reach: `./inv mirror.sync lock`; to rehearse on this machine "
            f"with a stand-in: `./inv build-image --sandbox` (image {definition.name})",
        )
    found = Lock.read(path)
    _check_request(found, definition, path)
    return found, signers_of(distribution, ws.keys)


def _sandbox_lock(
    ws: Workspace, definition: Definition, distribution: Distribution, path: Path
) -> tuple[Lock, Signers]:
    where = supply(ws, distribution, definition.arch)
    snapshot = take_snapshot(ws.store, distribution, definition.arch, where.sources)
    if path.exists():
        found = Lock.read(path)
        same_request = found.request_sha256 == request_sha256(definition.request())
        if same_request and found.snapshot == snapshot.digest:
            return found, where.signers
    return lock(ws, definition, distribution), where.signers


def _check_request(found: Lock, definition: Definition, path: Path) -> None:
    if found.request_sha256 != request_sha256(definition.request()):
        raise MissingError(
            f"{path.name} was made for another package list than image.yaml has now",
            hint="run `./inv lock` and commit the result",
        )
