"""Owns the groups of one account and region, and when each has to be looked at.

    region = Region(cloud=Cloud(...))
    region.settle()                 # everything that is due at the cloud's time
    region.next_time                # when it has to be called again

`operations.call` is how requests reach it.
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from goldpress.emulator.scaling import reconcile
from goldpress.emulator.scaling.errors import no_group
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.member import Member
from goldpress.emulator.scaling.world import NEVER, Cloud


@dataclass(kw_only=True)
class Region:
    """The groups of an account and region; the same `seed` gives the same ids."""

    cloud: Cloud
    seed: str = ""
    groups: dict[str, Group] = field(default_factory=dict)
    _agenda: list[tuple[float, int, str]] = field(default_factory=list)
    _due: dict[str, float] = field(default_factory=dict)
    _counter: itertools.count[int] = field(default_factory=itertools.count)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed or None)  # noqa: S311 - ids, no secrets

    def identity(self) -> str:
        """A new id, as activities and refreshes have it."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    @property
    def now(self) -> float:
        """The cloud's time."""
        return self.cloud.clock.now()

    def group(self, name: str) -> Group:
        """A group. Raises ScalingError."""
        found = self.groups.get(name)
        if found is None:
            raise no_group(name)
        return found

    def of_instance(self, instance: str) -> tuple[Group, Member] | None:
        """The group of an instance, and itself there."""
        for group in self.groups.values():
            if member := group.members.every.get(instance):
                return group, member
        return None

    def members(self) -> Iterator[tuple[Group, Member]]:
        """Every instance of every group."""
        for group in self.groups.values():
            for member in group.members.every.values():
                yield group, member

    @property
    def next_time(self) -> float:
        """When something is due, if nobody acts before."""
        while self._agenda:
            at, _, name = self._agenda[0]
            if self._due.get(name) == at:
                return at
            heapq.heappop(self._agenda)
        return NEVER

    def settle(self) -> None:
        """Do everything that is due now."""
        now = self.now
        while self.next_time <= now:
            self.settle_group(self.groups[self._agenda[0][2]])

    def settle_group(self, group: Group) -> None:
        """Do what is due for one group, and put it on the agenda for its next time."""
        reconcile.settle(group, self.now)
        if group.deleting and not group.members.every:
            del self.groups[group.name]
            self._due.pop(group.name, None)
            return
        self._plan(group, group.next_time)

    def wake(self, instance: str = "") -> None:
        """Something has changed that nobody told: of one instance, or of anything."""
        now = self.now
        found = self.of_instance(instance) if instance else None
        if instance and found is None:
            return
        for group in [found[0]] if found else list(self.groups.values()):
            if found:
                group.look_at_once(found[1])
            else:
                group.look_at_all()
            self._plan(group, now)

    def _plan(self, group: Group, at: float) -> None:
        if self._due.get(group.name) == at:
            return
        self._due[group.name] = at
        if at < NEVER:
            heapq.heappush(self._agenda, (at, next(self._counter), group.name))
