"""Owns the table of controls: what each is, and how its checks ended with it and without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.controls import LEVELS, Control, Controls, Duty
from goldpress.verify.guard import Findings

NOT_VERIFIED = "-"
PASSED = "passed"
NOT_EXERCISED = "not exercised"
#: On the bare image a control has to fail, at each of its levels, and a duty must not.
BARE_GOOD, BARE_BAD = (
    {"failed": "fails", "passed": "passes"},
    {"failed": "HOLDS", "passed": "FAILS"},
)
COLUMNS = ("control", "offline", "booted", "bare", "value", "source", "protects")
SHORT = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One control or duty, and how it ended on the tree, on the machine, and on the bare image.

    A result is ``passed``, ``FAILED``, ``not exercised``, ``-`` when nothing was verified yet, or
    empty where the level has no check of it. On the bare image a control ``fails``, or ``HOLDS``
    without being there; a duty ``passes``, or ``FAILS``.
    """

    control: str
    offline: str
    booted: str
    bare: str
    value: str
    source: str
    protects: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of `COLUMNS`."""
        return tuple(str(getattr(self, name)) for name in COLUMNS)


def rows(controls: Controls, evidence: Mapping[str, Any] | None, bare: Findings) -> tuple[Row, ...]:
    """The table, controls before duties; `evidence` is the last one's document, if there is one."""
    return tuple(row(name, entry, evidence, bare) for name, entry in controls.every.items())


def row(
    name: str, entry: Control | Duty, evidence: Mapping[str, Any] | None, bare: Findings
) -> Row:
    """One row."""
    tree = evidence["offline"] if evidence else ()
    boots = [boot["checks"] for boot in evidence["boots"]] if evidence else []
    absent = evidence is not None and name in evidence["not_exercised"]

    def result(level: str, runs: Sequence[Iterable[Mapping[str, Any]]]) -> str:
        if entry.level not in (level, "both"):
            return ""
        if absent:
            return NOT_EXERCISED
        if not evidence:
            return NOT_VERIFIED
        found = [[c["outcome"] for c in run if c["control"] == name] for run in runs]
        return PASSED if found and all(run == ["passed"] for run in found) else "FAILED"

    about = (
        (entry.value, ", ".join(entry.source), entry.protects)
        if isinstance(entry, Control)
        else ("", "a duty", entry.says)
    )
    return Row(
        control=name,
        offline=result("offline", [tree]),
        booted=result("booted", boots),
        bare=NOT_EXERCISED if absent else without(name, entry, bare),
        value=about[0],
        source=about[1],
        protects=about[2],
    )


def without(name: str, entry: Control | Duty, bare: Findings) -> str:
    """How a control or duty did on the bare image, where there is nothing that implements it."""
    levels = [level for level in LEVELS if entry.level in (level, "both")]
    found = [bare.get(level, {}).get(name) for level in levels]
    if None in found:
        return NOT_VERIFIED
    wanted = "failed" if isinstance(entry, Control) else "passed"
    return (BARE_GOOD if set(found) == {wanted} else BARE_BAD)[wanted]


def text(found: Sequence[Row]) -> str:
    """The table for a terminal: its first columns."""
    shown = [COLUMNS[:SHORT], *(row.cells[:SHORT] for row in found)]
    last = SHORT - 1
    widths = [max(len(cells[index]) for cells in shown) for index in range(last)]
    lines = [
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(cells[:last], widths, strict=True)), cells[last]]
        )
        for cells in shown
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(columns: Sequence[str], found: Iterable[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [columns, tuple("---" for _ in columns), *found]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in lines
    )
