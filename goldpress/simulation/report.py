"""Owns a simulation as people see it: every scenario by every way, and what was checked."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group as Shown
from rich.table import Table
from rich.text import Text

from goldpress.simulation.outcome import ROLL, WAYS, Outcome
from goldpress.simulation.scenario import SCENARIOS
from goldpress.simulation.simulating import Simulation

MINUTE, HOUR = 60, 3600
MOST_FAULTS = 20


def tables(simulation: Simulation) -> Shown:
    """The whole report."""
    return Shown(outcomes(simulation), Text("\n".join(_sums(simulation))))


def outcomes(simulation: Simulation) -> Table:
    """A row for each scenario and way."""
    layout = simulation.layout
    title = f"{layout.instances} instances: {layout.source}; seed {simulation.seed}"
    shown = Table(title=title, title_justify="left")
    for name, side in (
        ("scenario", "left"), ("way", "left"), ("ended", "left"), ("exposed", "right"),
        ("minutes", "right"), ("lowest", "right"), ("noticed", "right"),
        ("all back", "right"), ("took", "right"), ("x floor", "right"),
    ):  # fmt: skip
        shown.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for row in simulation.outcomes:
        first = row.way == ROLL
        shown.add_row(*_cells(row, bad=SCENARIOS[row.scenario].bad), end_section=False)
        if not first and row.way == list(WAYS)[-1]:
            shown.add_section()
    return shown


def _cells(row: Outcome, *, bad: bool) -> tuple[str, ...]:
    return (
        row.scenario if row.way == ROLL else "",
        row.way,
        row.ended,
        str(row.exposed) if bad else "",
        f"{row.exposed_minutes:.0f}" if bad else "",
        f"{row.lowest} %",
        lasting(row.detected) if bad else "",
        lasting(row.back) if bad else "",
        lasting(row.over),
        f"{row.ratio:.1f}" if row.ratio else "",
    )


def lasting(seconds: float | None) -> str:
    """How long, in hours and minutes; ``never`` for what did not happen."""
    if seconds is None:
        return "never"
    minutes = round(seconds / MINUTE)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004


def line(row: Outcome) -> str:
    """An outcome in a line, when it has ended."""
    mark = "" if row.good else ", WRONG"
    return (
        f"{row.scenario}, {row.way}: {row.ended}{mark}: {row.exposed} instances with the new image "
        f"({row.real_seconds:.1f} s)"
    )


def _sums(simulation: Simulation) -> Iterator[str]:
    rows = [row for row in simulation.outcomes if row.way == ROLL]
    yield ""
    yield (
        "exposed: instances ever in service with a bad image, and the minutes of all of them; "
        "lowest: the smallest share of a group that was ready"
    )
    for name, about in WAYS.items():
        yield f"{name}: {about}"
    yield (
        f"invariants: {sum(row.ticks for row in rows)} moments and {sum(row.looks for row in rows)}"
        f" changes of groups looked at, {sum(row.writes for row in rows)} changing calls compared "
        f"with the journal: {len(simulation.faults) or 'none'} broken"
    )
    for text in simulation.faults[:MOST_FAULTS]:
        yield f"  {text}"
    if len(simulation.faults) > MOST_FAULTS:
        yield f"  and {len(simulation.faults) - MOST_FAULTS} more: --json tells them"
