"""Owns the mirror's history for people: every snapshot that there was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from goldpress.errors import DocumentError, MissingError
from goldpress.mirror.snapshot import KIND, Snapshot
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Past:
    """A name's snapshot, since when (ISO 8601, UTC), and its packages by repository.

    None for a snapshot that gc deleted, or that an older goldpress wrote.
    """

    name: str
    at: str
    snapshot: str
    packages: dict[str, int] | None

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return dict(vars(self))


def snapshots(ws: Workspace) -> tuple[Past, ...]:
    """Every snapshot that the store remembers, by name, oldest first."""
    return tuple(
        Past(name=name, at=entry.at, snapshot=entry.digest, packages=_packages(ws, entry.digest))
        for name in ws.store.names(KIND)
        for entry in ws.store.history(KIND, name)
    )


def _packages(ws: Workspace, digest: str) -> dict[str, int] | None:
    try:
        found = Snapshot.read(ws.store, digest)
    except (MissingError, DocumentError):
        return None
    return {row.id: row.packages for row in found.repositories}
