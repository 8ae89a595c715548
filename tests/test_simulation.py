"""A roll of 300 simulated instances through every scenario, beside what people do without it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from goldpress.simulation.layout import Layout, made_up
from goldpress.simulation.outcome import AT_ONCE, REFRESH, ROLL
from goldpress.simulation.report import tables
from goldpress.simulation.scenario import SCENARIOS, Scenario
from goldpress.simulation.simulating import Simulation, conclude, simulate

BAD = [name for name, row in SCENARIOS.items() if row.bad]
GOOD = [name for name, row in SCENARIOS.items() if not row.bad]


def layout_of(scenario: Scenario) -> Layout:
    return made_up(instances=300, regions=6, accounts=5, seed=7, spot=bool(scenario.spot))


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(layout_of, SCENARIOS.values(), seed=7)


def test_no_invariant_is_broken_and_every_scenario_ends_as_it_has_to(
    simulation: Simulation,
) -> None:
    assert simulation.faults == ()
    conclude(simulation)
    assert {name: simulation.of(name).ended for name in SCENARIOS} == {
        **dict.fromkeys(GOOD, "done"), **dict.fromkeys(BAD, "held"),
    }  # fmt: skip
    rows = [simulation.of(name) for name in SCENARIOS]
    # What was checked was not nothing.
    assert all(row.ticks >= 50 and row.writes >= 3 for row in rows)
    assert sum(row.looks for row in rows) >= 5000


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_meets_far_fewer_instances_than_without_it(
    simulation: Simulation, name: str
) -> None:
    ours, refresh, at_once = (simulation.of(name, way) for way in (ROLL, REFRESH, AT_ONCE))
    assert ours.back is not None
    assert ours.detected is not None
    assert ours.exposed * 3 < refresh.exposed
    assert ours.exposed * 3 < at_once.exposed
    assert ours.exposed_minutes < refresh.exposed_minutes or name == "never-boots"
    # Nobody takes back what the others have done, but where no group got to its end with it.
    assert (refresh.back is None) == (name != "never-boots")
    assert (at_once.back is None) == (name != "never-boots")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_image_takes_nothing_out_of_service_but_what_falls_by_itself(
    simulation: Simulation, name: str
) -> None:
    ours = simulation.of(name)
    assert ours.ratio is not None
    assert ours.ratio >= 1
    if name in {"good", "throttling", "capacity-shortage"}:
        assert ours.lowest == 100
        assert ours.lost == 0
    assert simulation.of(name, AT_ONCE).lowest == 0


def test_what_happens_happens(simulation: Simulation) -> None:
    assert simulation.of("spot-loss").lost > 0
    assert "AWS has no capacity" in simulation.of("capacity-shortage").why
    throttled, good = simulation.of("throttling"), simulation.of("good")
    assert throttled.writes > good.writes
    # The canary shows it before any instance of the fleet.
    assert simulation.of("never-boots").exposed == 0


def test_the_report_tells_all_of_it(simulation: Simulation) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(tables(simulation))
    text = console.export_text()
    for name in SCENARIOS:
        assert name in text
    assert "300 instances: 60 made-up groups in 6 regions and 5 accounts; seed 7" in text
    assert "none broken" in text
    value = json.loads(json.dumps(simulation.document()))
    assert len(value["outcomes"]) == 3 * len(SCENARIOS)
    assert value["faults"] == []


def test_the_same_seed_shows_the_same_and_another_one_does_not() -> None:
    def small(seed: int) -> Simulation:
        found = made_up(instances=30, regions=2, accounts=2, seed=seed)
        name = SCENARIOS["dies-after-20-minutes"]
        return simulate(lambda _: found, [name], seed=seed, processes=1)

    def shape(found: Simulation) -> list[tuple[object, ...]]:
        return [(r.exposed, r.exposed_minutes, r.over, r.ticks, r.why) for r in found.outcomes]

    assert shape(small(1)) == shape(small(1))
    assert shape(small(1)) != shape(small(2))
