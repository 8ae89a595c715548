"""Owns giving a snapshot to other machines: its view, what is in it, and a server of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from goldpress import progress
from goldpress.digest import short
from goldpress.distribution import Distribution, Signers, load_distribution
from goldpress.errors import MissingError
from goldpress.locking.places import bring_signers, supply
from goldpress.mirror.names import find_snapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.mirror.trust.packages import check_packages, judged
from goldpress.mirror.views.serve import serving
from goldpress.mirror.views.view import View, make_view
from goldpress.workspace import Workspace


def view(ws: Workspace, text: str) -> View:
    """Make the view of the snapshot that `text` names, with what the pool has of it.

    Raises MissingError for no such snapshot, TrustError for a package in the pool that its
    distribution's keys do not (any longer) allow.
    """
    snapshot = find_snapshot(ws.store, text)
    distribution = load_distribution(ws.project, snapshot.distribution)
    signers = _signers(ws, distribution, snapshot.arch)
    _check(ws, snapshot, signers)
    keys = dict(zip(signers.fingerprints, signers.key_files, strict=True))
    with progress.step(f"view of {snapshot.distribution} {short(snapshot.digest)}") as step:
        made = make_view(ws.store, snapshot, keys=keys)
        rows = [f"{row.id} {row.packages} of {row.upstream}" for row in made.repositories]
        step.update(f"packages: {', '.join(rows)}")
    if not any(row.packages for row in made.repositories):
        progress.note(
            "  !!  the pool has none of its packages: `./inv lock` brings those of an image, "
            "`./inv mirror.sync --newest` the newest of all"
        )
    return made


def base_url(ws: Workspace) -> str:
    """The URL of the store where nobody says another one. Raises MissingError for a shared one."""
    if ws.store_url:
        raise MissingError(
            f"where machines reach {ws.store_url} over http is not known",
            hint="say it: --base=https://..., the address of what is below that prefix",
        )
    return ws.store.root.as_uri()


@contextmanager
def served(
    ws: Workspace, text: str, *, address: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[View, str]]:
    """Serve the view of a snapshot over HTTP; gives it and the URL, ends with the context.

    At the address 0.0.0.0 (all of this machine's) the URL has this machine's name. Raises as
    `view`, MissingError when the address cannot be listened at.
    """
    with ExitStack() as stack:
        try:
            url = stack.enter_context(serving(ws.store, address=address, port=port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise MissingError(
                f"cannot serve at {address}:{port}: {reason}",
                hint="choose another: --address=..., --port=... (0: any free one)",
            ) from None
        yield view(ws, text), url.replace("//0.0.0.0:", f"//{socket.gethostname()}:")


def _signers(ws: Workspace, distribution: Distribution, arch: str) -> Signers:
    if distribution.made:
        return supply(ws, [distribution], arch).signers
    return bring_signers(ws, [distribution])


def _check(ws: Workspace, snapshot: Snapshot, signers: Signers) -> None:
    """Judge what the pool has of a snapshot and this machine has not judged with these keys.

    What it has is not hashed again: who installs from a view does that, and checks signatures.
    """
    offered = [p for row in snapshot.repositories for p in row.read_packages(ws.store)]
    there = ws.store.has_packages({p.sha256: p.size for p in offered})
    held = [package for package in offered if package.sha256 in there]
    cache = ws.build / "verdicts"
    known = {package.sha256 for package in judged(held, signers, cache)}
    new = [package for package in held if package.sha256 not in known]
    if new:
        check_packages(ws.store, new, signers, cache)
