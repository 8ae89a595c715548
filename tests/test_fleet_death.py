"""The driver is killed at each call of a whole roll, and another one goes on: all ends the same.

What a driver that comes next does depends on the store and the cloud alone. So of calls between
which neither has changed, nor any time has passed, one stands for all; the long form takes each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rolled import ACCOUNT, SECOND, Rolled, three

from goldpress.emulator.inprocess import READS, Death, Fault
from goldpress.emulator.settings import Model
from goldpress.emulator.simulated.place import Place
from goldpress.fleet.ending import Ending, Waiting

#: As a schedule calls it: what changes meanwhile is seen by the next one.
EVERY = 600.0
SETTLED = 7200.0
LIVES = 60
#: The long form in so many parts, each within the time of one test.
PARTS = 4

Kind = Callable[..., Rolled]


@dataclass(kw_only=True)
class Moments(Fault):
    """Meets no call, but writes down what the store and the cloud were at each."""

    fleet: Rolled
    writes: int = 0
    seen: list[tuple[str, int, float]] = field(default_factory=list)

    def meets(self, place: Place, service: str, operation: str) -> bool:
        del place, service
        journal = self.fleet.root / "journals/roll/web/prod.json"
        self.seen.append((journal.read_text(), self.writes, self.fleet.now()))
        self.writes += not operation.startswith(READS)
        return False


def whole(
    root: Path,
    *,
    kill: int | None = None,
    after: bool = False,
    watched: bool = False,
    room: int | None = None,
    **given: Any,
) -> Rolled:
    """A whole roll, by drivers of which one is killed at this call; then everything settles.

    `room` is for how many instances the second region's zones have capacity from now on.
    """
    fleet = three(root, **given)
    if room is not None:
        machines = fleet.cloud.place(ACCOUNT, SECOND).machines
        machines.capacity.update({f"{SECOND}{zone}": room for zone in "abc"})
    fleet.cloud.kill, fleet.cloud.kill_after = kill, after
    if watched:
        fleet.cloud.faults.append(Moments(fleet=fleet))
    for _ in range(LIVES):
        try:
            ending: Ending = fleet.tick()
        except Death:
            fleet.cloud.kill = None
            continue
        if not isinstance(ending, Waiting):
            assert fleet.cloud.kill is None or kill is None or kill >= len(fleet.cloud.calls)
            fleet.cloud.kill = None
            fleet.cloud.advance(SETTLED)
            return fleet
        fleet.cloud.advance(EVERY)
    raise AssertionError("\n".join(fleet.said))


def good(root: Path, **given: Any) -> Rolled:
    """To the end, in three waves of which the first is half of a group."""
    return whole(root, **given)


def bad(root: Path, **given: Any) -> Rolled:
    """Its third wave is in another region, where every instance is bad: all goes back."""
    zones = tuple(f"{SECOND}{zone}" for zone in "abc")
    return whole(root, model=Model(bad_zones=zones), **given)


def starved(root: Path, **given: Any) -> Rolled:
    """Its third wave is in a region where nothing can be launched: it waits for a person."""
    return whole(root, room=0, **given)


KINDS = pytest.mark.parametrize(
    ("kind", "phase"), [(good, "done"), (bad, "rolled-back"), (starved, "rolling")]
)
AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def died(kind: Kind, root: Path, number: int, *, after: bool) -> Rolled:
    return kind(root / f"{number}-{after}", kill=number, after=after)


def nothing_is_left(fleet: Rolled) -> None:
    """Nothing that a roll may change on its way is other than it was before."""
    for named in fleet.groups:
        group, seen = fleet.plan.group(named.key), fleet.group(named.key)
        assert (seen.min, seen.max, seen.desired) == (group.min, group.max, group.desired)
        assert [row.state for row in seen.members] == ["InService"] * named.desired
        assert not any(row.protected for row in seen.members)
        assert seen.suspended == frozenset()
        place = fleet.place(group)
        # One version beside the first, however often it was asked for.
        assert len(place.templates.by_id[group.template].versions) <= 2
        (arn,) = seen.target_groups
        assert set(place.targets.table[arn]) == {row.id for row in seen.members}
    assert fleet.outside() == []


@KINDS
def test_killed_at_each_moment_of_a_whole_roll_it_ends_the_same(
    tmp_path: Path, kind: Kind, phase: str
) -> None:
    undisturbed = kind(tmp_path / "undisturbed", watched=True)
    (moments,) = undisturbed.cloud.faults
    assert isinstance(moments, Moments)
    wanted = undisturbed.shape()
    assert wanted["phase"] == phase
    nothing_is_left(undisturbed)
    numbers = [
        number
        for number, seen in enumerate(moments.seen)
        if number == 0 or seen != moments.seen[number - 1]
    ]
    # Each change of the cloud is a moment of its own, and so is each of the journal.
    assert len(numbers) >= 30
    for number in numbers:
        fleet = died(kind, tmp_path, number, after=False)
        assert fleet.shape() == wanted, f"before call {number}: " + "\n".join(fleet.said)
        nothing_is_left(fleet)
    writes = [row.number for row in undisturbed.cloud.calls if row.writes]
    assert len(writes) >= 14
    for number in writes:
        fleet = died(kind, tmp_path, number, after=True)
        assert fleet.shape() == wanted, f"after call {number}: " + "\n".join(fleet.said)
        nothing_is_left(fleet)


@pytest.mark.long
@KINDS
@AFTER
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_each_call_of_a_whole_roll_it_ends_the_same(
    tmp_path: Path, kind: Kind, phase: str, after: bool, part: int
) -> None:
    undisturbed = kind(tmp_path / "undisturbed")
    wanted = undisturbed.shape()
    assert wanted["phase"] == phase
    for number in range(part, len(undisturbed.cloud.calls), PARTS):
        fleet = died(kind, tmp_path, number, after=after)
        assert fleet.shape() == wanted, f"call {number}: " + "\n".join(fleet.said)
        nothing_is_left(fleet)


def test_killed_again_and_again_it_ends_the_same(tmp_path: Path) -> None:
    wanted = good(tmp_path / "undisturbed").shape()
    fleet = three(tmp_path / "dying")
    for life in range(400):
        # Each life ends at its seventeenth call, or its twenty-third, before it or after.
        fleet.cloud.kill = len(fleet.cloud.calls) + (17, 23)[life % 2]
        fleet.cloud.kill_after = life % 3 == 0
        try:
            ending = fleet.tick()
        except Death:
            fleet.cloud.advance(20)
            continue
        if not isinstance(ending, Waiting):
            break
        fleet.cloud.advance(60)
    fleet.cloud.kill = None
    fleet.run()
    fleet.cloud.advance(SETTLED)
    assert fleet.shape() == wanted
