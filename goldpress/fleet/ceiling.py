"""Owns ceilings: how many instances a roll may have out of service at once, how fast it may call.

Both are of all groups together. A group that a refresh may take instances from counts with as many
as that may be, whether or not it has taken them yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from goldpress.aws.client import Client
from goldpress.fleet.journal import RollState
from goldpress.fleet.place import Caller
from goldpress.fleet.plan import WHOLE_PERCENT, GroupPlan, RollPlan
from goldpress.fleet.sight import Sight

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Room:
    """What of a wave's groups may begin now, and why not all of them (empty: all may).

    `never`: it cannot get better by waiting.
    """

    keys: tuple[str, ...]
    why: str = ""
    never: bool = False


def allowance(group: GroupPlan, desired: int) -> int:
    """How many instances of a group its refresh may have out of service at once."""
    return desired * (WHOLE_PERCENT - group.preferences.min_healthy) // WHOLE_PERCENT


def room(plan: RollPlan, state: RollState, sight: Sight, wanted: Iterable[str]) -> Room:
    """Which of the groups `wanted` may begin to change now, in their order."""
    rolls = {row.key: state.group(row.key) for row in plan.groups}
    moving = [key for key, roll in rolls.items() if roll.moving]
    out = {key: _out(plan, sight, key, moves=key in moving) for key in rolls}
    lanes = plan.groups_at_once - len(moving)
    found: list[str] = []
    for key in wanted:
        if lanes <= 0:
            return Room(keys=tuple(found), why=f"{plan.groups_at_once} groups change already")
        new = _out(plan, sight, key, moves=True)
        if new > plan.ceiling:
            return Room(
                keys=tuple(found),
                why=f"{key}: {new} of its instances may be out of service, and the ceiling of all "
                f"groups is {plan.ceiling}",
                # What is out of service by itself may come back; what the terms allow does not.
                never=_allowed(plan, sight, key) > plan.ceiling,
            )
        total = sum(out.values()) - out[key] + new
        if total > plan.ceiling:
            return Room(
                keys=tuple(found),
                why=f"{sum(out.values())} instances are out of service or may be, at most "
                f"{plan.ceiling} are let: {key} has to wait",
            )
        out[key] = new
        lanes -= 1
        found.append(key)
    return Room(keys=tuple(found))


def _out(plan: RollPlan, sight: Sight, key: str, *, moves: bool) -> int:
    seen = sight.groups.get(key)
    if seen is None:
        return _allowed(plan, sight, key) if moves else 0
    return max(seen.unavailable, _allowed(plan, sight, key) if moves else 0)


def _allowed(plan: RollPlan, sight: Sight, key: str) -> int:
    seen = sight.groups.get(key)
    group = plan.group(key)
    return allowance(group, seen.group.desired if seen else group.desired)


@dataclass(kw_only=True)
class Pace:
    """Lets so many calls a second begin, in each account and region; safe between threads."""

    per_second: float
    clock: Clock = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    calls: int = 0
    _next: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, place: str) -> None:
        """Return when the next call may begin there."""
        with self._lock:
            now = self.clock()
            start = max(now, self._next.get(place, now))
            self._next[place] = start + 1 / self.per_second
            self.calls += 1
        if start > now:
            self.sleep(start - now)


@dataclass(frozen=True, kw_only=True)
class Paced:
    """The same caller at a pace; `account` names it."""

    inner: Caller
    pace: Pace
    account: str

    def client(self, service: str, region: str) -> Client:
        """A client whose calls wait for their turn. Raises CloudError."""
        found = self.inner.client(service, region)
        return _PacedClient(found, lambda: self.pace.wait(f"{self.account}/{region}"))


class _PacedClient:
    """A client of boto3 whose operations wait; what is no operation is as it is."""

    def __init__(self, client: Client, wait: Callable[[], None]) -> None:
        self._client, self._wait = client, wait

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in {"exceptions", "meta"} or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._wait()
            return found(*args, **kwargs)

        return call
