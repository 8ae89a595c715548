"""Owns what came of one run of a scenario, as numbers: ours, or one of the others' ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from goldpress.simulation.invariants import Breach

#: Ways to bring an image to a fleet: `roll`, and what people do without it.
ROLL, REFRESH, AT_ONCE = "roll", "refresh", "at once"
WAYS: dict[str, str] = {
    ROLL: "invoke roll, a tick every five minutes",
    REFRESH: "an instance refresh of every group at once, with AWS's defaults",
    AT_ONCE: "the same with a minimum of 0 %: everything is replaced at once",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run. Times are seconds since it began, None for what did not happen in it.

    `ended`: done, held (taken back, and its digest held), waiting, a person, or what the refreshes
    of another way came to. `exposed` instances were ever in service with the image, for so many
    `exposed_minutes` of requests; `detected` is when the way back began, counted from the first of
    them launched, `back` when none was left, `over` when the way had ended. `floor` is the least
    time by the channel's own terms. `lowest` is the smallest share of a group (percent of what it
    was to have) that was ready, `lost` how many instances fell by themselves.
    """

    scenario: str
    way: str
    ended: str
    why: str
    exposed: int
    exposed_minutes: float
    detected: float | None
    back: float | None
    over: float | None
    floor: float | None
    ticks: int
    looks: int
    writes: int
    driver_ticks: int
    lost: int
    lowest: int
    breaches: tuple[Breach, ...] = ()
    wrong: str = ""
    real_seconds: float = 0.0

    @property
    def ratio(self) -> float | None:
        """Its time over the least by the channel's terms, where it went to the end."""
        if self.over is None or not self.floor or self.ended != "done":
            return None
        return self.over / self.floor

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.breaches and not self.wrong

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rows = [{**asdict(row), "text": row.text} for row in self.breaches]
        return {**asdict(self), "breaches": rows, "ratio": self.ratio}


def faults(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Everything that is wrong, a line each."""
    found: list[str] = []
    for row in outcomes:
        found += [breach.text for breach in row.breaches]
        if row.wrong:
            found.append(f"{row.scenario}: {row.wrong}")
    return tuple(found)
