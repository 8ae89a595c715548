"""Owns what was seen in a rehearsal: what has to hold, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from goldpress.errors import RollError


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing that has to hold; `told` is what was found, with its numbers."""

    name: str
    holds: bool
    told: str

    @classmethod
    def of(cls, name: str, holds: bool, otherwise: str, told: str) -> Seen:
        """`told` where it holds, what was found `otherwise`."""
        return cls(name=name, holds=holds, told=told if holds else otherwise)


def table(rows: Sequence[Seen]) -> Table:
    """For people."""
    found = Table("", "what was seen", "", box=None, pad_edge=False)
    for row in rows:
        found.add_row("ok" if row.holds else "NO", row.name, row.told)
    return found


def refuse_failed(rows: Sequence[Seen]) -> None:
    """Raises RollError naming what does not hold."""
    if bad := [row for row in rows if not row.holds]:
        raise RollError(
            f"{len(bad)} of {len(rows)} do not hold; the first: {bad[0].name}: {bad[0].told}",
            hint="the machines' consoles and journals are below build/demo",
        )
