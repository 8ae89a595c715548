"""Owns what a fleet had to do with the new image: who served with it, for how long, until when."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field

from goldpress.emulator.inprocess import InProcessCloud
from goldpress.emulator.scaling.member import LIVE, Member
from goldpress.simulation.fleet import Fleet, Sized

MINUTE = 60.0


@dataclass(kw_only=True, eq=False)
class _Seen:
    """A group, and its instances of other versions than its first one: all there, and the ready."""

    sized: Sized
    old: int
    there: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)


@dataclass(kw_only=True, eq=False)
class Exposure:
    """Counts, from when it is made, the instances of any version but the first one of each group.

    `ever` were in service of their group with it; `minutes` are instance-minutes in which they took
    requests: ready, by AWS's own word. `launched` and `last` are Unix times: of the first launch
    with it, also outside the fleet, and when the last one of the fleet was gone (None: one is
    there, or never was). `most` is how many were ready at once.
    """

    fleet: Fleet
    ever: set[str] = field(default_factory=set)
    launched: float | None = None
    last: float | None = None
    most: int = 0
    _minutes: float = 0.0
    _since: float = 0.0
    _there: int = 0
    _ready: int = 0
    _changed: bool = False
    _launches: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._since = self.fleet.now
        for row in self.fleet.groups.values():
            number = row.group.configuration.spec.version
            seen = _Seen(sized=row, old=int(number))
            row.group.members.observers.append(functools.partial(self._count, seen))
        for key, place in self.fleet.cloud.places.items():
            self._launches[key] = place.machines.launched
        self.fleet.cloud.watchers.append(self.moment)

    @property
    def minutes(self) -> float:
        """Instance-minutes until now."""
        return self._minutes + self._ready * (self.fleet.now - self._since) / MINUTE

    def moment(self, _cloud: InProcessCloud) -> None:
        """Look at what has changed since the last moment."""
        if self.launched is None:
            self._look_for_launches()
        if self._changed:
            self._changed = False
            self.most = max(self.most, self._ready)
            if self.ever:
                self.last = None if self._there else self.last or self.fleet.now

    def _count(self, row: _Seen, member: Member) -> None:
        """An instance of a group has changed."""
        if member.template is None or member.template.number == row.old:
            return
        there = member.state in LIVE and member.id in row.sized.group.members.every
        if there and member.state == "InService":
            self.ever.add(member.id)
        if (member.id in row.there) != there:
            (row.there.add if there else row.there.discard)(member.id)
            self._there += 1 if there else -1
            self._changed = True
        ready = there and member.ready
        if (member.id in row.ready) != ready:
            self._minutes, self._since = self.minutes, self.fleet.now
            (row.ready.add if ready else row.ready.discard)(member.id)
            self._ready += 1 if ready else -1
            self._changed = True

    def _look_for_launches(self) -> None:
        for key, place in self.fleet.cloud.places.items():
            count = place.machines.launched - self._launches.get(key, 0)
            self._launches[key] = place.machines.launched
            image = self.fleet.new(place.region)
            for row in itertools.islice(reversed(place.machines.every.values()), count):
                if row.image == image:
                    self.launched = min(self.launched or row.launched, row.launched)
