"""Ceilings of all groups together, and the pace of calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rolled import Named, Rolled, wave

from goldpress.aws.scaling import Preferences
from goldpress.fleet.ceiling import Pace, Paced, Room, allowance, room
from goldpress.fleet.look import Looking
from goldpress.fleet.sight import Sight

LOOSE = Preferences(min_healthy=50, max_healthy=100)


def fleet_of(root: Path, *, ceiling: int, at_once: int = 10, **given: Any) -> Rolled:
    groups = tuple(Named(name=name, **given) for name in ("a", "b", "c"))
    return Rolled(
        root=root, groups=groups, waves=(wave("all", *groups),), ceiling=ceiling, at_once=at_once
    )


def sight(fleet: Rolled) -> Sight:
    look = Looking(place=fleet.seat, limits=fleet.limits, now=fleet.now)
    return look(fleet.plan, fleet.state)


def asked(fleet: Rolled) -> Room:
    return room(fleet.plan, fleet.state, sight(fleet), [row.key for row in fleet.groups])


def test_launching_first_takes_nothing_out_of_service(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=1)
    assert allowance(fleet.plan.groups[0], 4) == 0
    assert len(asked(fleet).keys) == 3
    assert asked(fleet).why == ""


def test_as_many_begin_as_together_stay_under_the_ceiling(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=5, preferences=LOOSE)
    found = asked(fleet)
    assert found.keys == (fleet.groups[0].key, fleet.groups[1].key)
    assert found.why.startswith("4 instances are out of service or may be, at most 5 are let: ")
    assert not found.never


def test_what_moves_counts_with_all_that_it_may_take(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=4, preferences=LOOSE)
    state = fleet.state.with_group(fleet.groups[2].key, state="started", refresh="r")
    found = room(fleet.plan, state, sight(fleet), [row.key for row in fleet.groups[:2]])
    assert found.keys == (fleet.groups[0].key,)


def test_what_is_out_of_service_by_itself_counts_too(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=2)
    client = fleet.client(fleet.plan.groups[2], "autoscaling")
    ids = [row.id for row in fleet.group(fleet.groups[2].key).members][:3]
    for instance in ids:
        client.terminate_instance_in_auto_scaling_group(
            InstanceId=instance, ShouldDecrementDesiredCapacity=False
        )
    assert asked(fleet).keys == ()
    assert asked(fleet).why.startswith("3 instances are out of service")


def test_no_more_groups_at_once_than_said(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=100, at_once=2)
    assert asked(fleet) == Room(
        keys=(fleet.groups[0].key, fleet.groups[1].key), why="2 groups change already"
    )


def test_what_the_terms_allow_and_the_ceiling_forbids_never_begins(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=1, preferences=LOOSE)
    assert asked(fleet).never
    assert "2 of its instances may be out of service" in asked(fleet).why


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


def test_calls_begin_at_the_pace_in_each_place(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=1)
    clock = Clock()
    pace = Pace(per_second=2, clock=clock, sleep=clock.sleep)
    caller = Paced(inner=fleet.cloud.access("1"), pace=pace, account="1")
    east, west = (caller.client("sts", region) for region in ("us-east-1", "eu-west-1"))
    for client in (east, east, west, east):
        client.get_caller_identity()
    assert clock.slept == [0.5, 0.5]
    assert pace.calls == 4


def test_an_error_passes_through_and_exceptions_are_the_clients(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, ceiling=1)
    inner = fleet.cloud.access("1")
    pace = Pace(per_second=1000)
    client = Paced(inner=inner, pace=pace, account="1").client("ssm", "us-east-1")
    with pytest.raises(client.exceptions.ClientError, match="ParameterNotFound"):
        client.get_parameter(Name="/none")
    assert client.meta.region_name == "us-east-1"
