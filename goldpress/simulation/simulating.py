"""Owns a whole simulation: every scenario by every way, beside each other on this machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from goldpress.errors import GoldpressError, RollError
from goldpress.simulation.layout import Layout, Shape
from goldpress.simulation.outcome import AT_ONCE, REFRESH, ROLL, WAYS, Outcome, faults
from goldpress.simulation.running import replaced, rolled
from goldpress.simulation.scenario import Scenario

#: What takes longest is begun first.
_FIRST = (ROLL, AT_ONCE, REFRESH)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run."""

    layout: Layout
    scenario: Scenario
    seed: int
    way: str


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """All outcomes, scenario by scenario; `layout` is the first one's."""

    layout: Layout
    seed: int
    outcomes: tuple[Outcome, ...]

    def of(self, scenario: str, way: str = ROLL) -> Outcome:
        """One outcome. Raises KeyError."""
        for row in self.outcomes:
            if (row.scenario, row.way) == (scenario, way):
                return row
        raise KeyError((scenario, way))

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that is wrong, a line each."""
        return faults(self.outcomes)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "source": self.layout.source,
            "instances": self.layout.instances,
            "groups": len(self.layout.groups),
            "places": len(self.layout.places),
            "seed": self.seed,
            "ways": WAYS,
            "outcomes": [row.document() for row in self.outcomes],
            "faults": list(self.faults),
        }


def simulate(
    layouts: Callable[[Scenario], Layout],
    scenarios: Iterable[Scenario],
    *,
    seed: int,
    told: Callable[[Outcome], None] = lambda _: None,
    processes: int | None = None,
) -> Simulation:
    """Run each scenario by every way; `told` hears of each that has ended.

    `layouts` is the fleet that a scenario needs. Raises GoldpressError where a roll of it would
    be refused.
    """
    wanted = [(row, layouts(row)) for row in scenarios]
    jobs = [
        Job(layout=layout, scenario=fitted(row, layout), seed=seed, way=way)
        for way in _FIRST
        for row, layout in wanted
        if way == ROLL or _others(row, wanted) == row.name
    ]
    found: dict[tuple[str, str], Outcome] = {}
    with _workers(processes or min(len(jobs), os.cpu_count() or 1)) as submit:
        for future in as_completed([submit(job) for job in jobs]):
            outcome = future.result()
            found[outcome.scenario, outcome.way] = outcome
            told(outcome)
    rows = [
        replace(found[_others(scenario, wanted) if way != ROLL else scenario.name, way],
                scenario=scenario.name)
        for scenario, _ in wanted
        for way in WAYS
    ]  # fmt: skip
    return Simulation(layout=wanted[0][1], seed=seed, outcomes=tuple(rows))


def _others(scenario: Scenario, wanted: Sequence[tuple[Scenario, Layout]]) -> str:
    """The scenario that is the same for the other ways: they are one call a group, at the begin."""
    for row, _ in wanted:
        if row.plain and scenario.plain and row.model == scenario.model:
            return row.name
    return scenario.name


def conclude(simulation: Simulation) -> None:
    """Raises RollError when an invariant did not hold, or a scenario ended as it must not."""
    wrong = simulation.faults
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise RollError(
            f"{wrong[0]}{more}",
            hint="--json tells all of them; the same --seed shows the same again",
        )


def fitted(scenario: Scenario, layout: Layout) -> Scenario:
    """The scenario with the zone and the instance type that fail among those of the layout."""
    model = scenario.model
    if model.bad_types:
        model = replace(model, bad_types=(_types(layout.groups)[-1],))
    if model.bad_zones:
        zones = sorted({zone for row in layout.groups for zone in row.zones})
        model = replace(model, bad_zones=(zones[-1],))
    return replace(scenario, model=model)


def _types(groups: Iterable[Shape]) -> list[str]:
    return sorted({kind for row in groups for kind in (row.types or (row.kind,))})


def run(job: Job) -> Outcome:
    """One run, in whichever process."""
    try:
        if job.way == ROLL:
            return rolled(job.layout, job.scenario, seed=job.seed)
        return replaced(job.layout, job.scenario, seed=job.seed, way=job.way)
    except GoldpressError as error:
        # An exception of two arguments does not come through from another process.
        raise RuntimeError(f"{job.scenario.name}: {error.message}\n{error.hint}") from error


def _collect_seldom() -> None:
    """Little of a simulation is garbage in circles: looking for it takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(5_000_000, 50, 100)


@contextmanager
def _workers(count: int) -> Iterator[Callable[[Job], Future[Outcome]]]:
    """So many processes; they are forks, as what started this one cannot be imported again."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_collect_seldom) as pool:
        try:
            yield lambda job: pool.submit(run, job)
        except RuntimeError as error:
            pool.shutdown(wait=False, cancel_futures=True)
            message, _, hint = str(error).partition("\n")
            raise GoldpressError(message, hint=hint) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
