"""Fleets that are made up, or read from an account; scenarios by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fleeted import Fleeted
from invoke.context import Context
from promotable import ACCOUNT

from goldpress.commands import simulate as simulate_task
from goldpress.errors import DocumentError, MissingError
from goldpress.fleet.observed import observe_one
from goldpress.fleet.place import Place
from goldpress.simulation.layout import made_up
from goldpress.simulation.outcome import Outcome
from goldpress.simulation.reading import read, shape_of
from goldpress.simulation.report import lasting, line
from goldpress.simulation.scenario import SCENARIOS, chosen
from goldpress.simulation.simulating import fitted, simulate


@pytest.mark.parametrize("instances", [30, 31, 300, 5000])
def test_so_many_instances_are_made_up(instances: int) -> None:
    found = made_up(instances=instances, regions=6, accounts=5, seed=3)
    assert found.instances == instances
    assert len(found.places) == 30
    assert all(1 <= row.desired <= row.max for row in found.groups)
    assert found == made_up(instances=instances, regions=6, accounts=5, seed=3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"instances": 29}, r"^--instances: 29 do not do for 30 places"),
        ({"regions": 13}, r"^--regions: 1 to 12 are known, not 13"),
        ({"accounts": 0}, r"^--accounts: 1 to 9, not 0"),
    ],
)
def test_numbers_that_do_not_go_together_are_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        made_up(**{"instances": 300, "regions": 6, "accounts": 5, "seed": 0, **given})


def test_scenarios_are_chosen_by_name() -> None:
    assert [row.name for row in chosen("all")] == list(SCENARIOS)
    assert chosen("good")[0].name == "good"
    with pytest.raises(DocumentError, match=r"^--scenario: there is no scenario 'god'.*good"):
        chosen("god")


def test_what_fails_is_a_zone_and_a_type_of_the_fleet() -> None:
    found = made_up(instances=30, regions=6, accounts=5, seed=0)
    shapes = tuple(replace(row, zones=("a", "b"), kind="t3.small") for row in found.groups)
    other = replace(found, groups=shapes)
    assert fitted(SCENARIOS["fails-in-one-zone"], other).model.bad_zones == ("b",)
    assert fitted(SCENARIOS["fails-on-one-instance-type"], other).model.bad_types == ("t3.small",)


# ---- read from an account ----


def test_groups_are_read_as_they_are_and_nothing_is_changed(fleeted: Fleeted) -> None:
    fleeted.cloud.calls.clear()
    found = read(fleeted.site.ws, fleeted.channel, reach=fleeted.reach, own=ACCOUNT)
    assert fleeted.written() == []
    assert fleeted.cloud.calls != []
    first, second = found.groups
    assert (first.key, first.min, first.desired, first.max) == (
        f"{ACCOUNT}/us-east-1/web-a", 1, 2, 4,
    )  # fmt: skip
    assert (second.desired, second.zones, second.kind) == (1, second.zones, "t3.small")
    assert first.rules[0].delay == 20
    assert first.elb
    assert found.channel is not None
    assert found.source == f"the 2 groups of {fleeted.site.name}/staging, as they are now"
    # And just those are rolled, on the channel's terms.
    done = simulate(lambda _: found, [SCENARIOS["good"], SCENARIOS["never-boots"]], seed=0)
    assert done.faults == ()
    assert done.of("good").exposed == 3
    assert fleeted.written() == []


def test_spots_share_is_read(fleeted: Fleeted) -> None:
    place = Place(account=ACCOUNT, region="us-east-1", access=fleeted.cloud.access(ACCOUNT))
    seen = observe_one(place, "web-a")
    mixed = {
        "LaunchTemplate": {},
        "InstancesDistribution": {
            "OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0,
        },
    }  # fmt: skip
    group = replace(seen.group, mixed=mixed, overrides=("c6i.large", "m6i.large"))
    shape = shape_of(replace(seen, group=group), (), ())
    assert (shape.types, shape.base, shape.on_demand) == (("c6i.large", "m6i.large"), 1, 0)


def test_a_channel_without_fleets_is_told(fleeted: Fleeted) -> None:
    channel = fleeted.channel
    policy = channel.policy.model_copy(update={"fleets": ()})
    with pytest.raises(MissingError, match=r"has no fleets: there is nothing to simulate"):
        read(fleeted.site.ws, replace(channel, policy=policy), reach=fleeted.reach, own=ACCOUNT)


# ---- the task ----


def task(capsys: pytest.CaptureFixture[str], **given: Any) -> tuple[int, str, str]:
    status = 0
    try:
        simulate_task.simulate(Context(), **given)
    except SystemExit as end:
        status = int(str(end.code))
    out, err = capsys.readouterr()
    return status, out, err


SMALL = {"instances": 12, "regions": 1, "accounts": 1}


def test_the_task_tells_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = task(capsys, **SMALL, scenario="never-boots")
    assert status == 0
    assert "12 instances: 2 made-up groups in 1 regions and 1 accounts; seed 0" in out
    assert "never-boots, roll: held: 0 instances with the new image" in err
    status, out, _ = task(capsys, **SMALL, scenario="never-boots", json=True)
    assert (status, json.loads(out)["faults"]) == (0, [])


def test_the_task_fails_where_something_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldpress.fleet.driver.failing", lambda state, _why, _now: state)
    status, _, err = task(capsys, **SMALL, scenario="never-boots")
    assert status == 1
    assert "error: never-boots: " in err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scenario": "god"}, "error: --scenario: there is no scenario 'god'"),
        ({"sandbox": True}, "error: --image and --sandbox are for --from-account"),
        ({"instances": 3}, "error: --instances: 3 do not do for 30 places"),
    ],
)
def test_the_task_refuses(
    capsys: pytest.CaptureFixture[str], given: dict[str, Any], message: str
) -> None:
    status, _, err = task(capsys, **given)
    assert status == 1
    assert err.startswith(message)


def test_times_are_told_for_people() -> None:
    assert [lasting(row) for row in (None, 0.0, 600.0, 3600.0, 5430.0)] == [
        "never", "0 min", "10 min", "1:00 h", "1:30 h",
    ]  # fmt: skip
    row = Outcome(
        scenario="good", way="roll", ended="done", why="", exposed=3, exposed_minutes=1.0,
        detected=None, back=None, over=7200.0, floor=3600.0, ticks=1, looks=1, writes=1,
        driver_ticks=1, lost=0, lowest=100, wrong="it burns",
    )  # fmt: skip
    assert row.ratio == 2.0
    assert line(row) == "good, roll: done, WRONG: 3 instances with the new image (0.0 s)"
