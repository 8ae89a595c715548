"""Owns what a fleet had to do with the new image: who served with it, for how long, until when."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from goldpress.emulator.inprocess import InProcessCloud
from goldpress.emulator.scaling.member import LIVE
from goldpress.simulation.fleet import Fleet, Sized

MINUTE = 60.0


@dataclass(kw_only=True, eq=False)
class _Seen:
    sized: Sized
    old: int
    revision: int = -1
    ready: int = 0
    there: int = 0
    since: float = 0.0


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
    _groups: list[_Seen] = field(default_factory=list)
    _there: int = 0
    _ready: int = 0
    _launches: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.fleet.groups.values():
            number = row.group.configuration.spec.version
            self._groups.append(_Seen(sized=row, old=int(number), since=self.fleet.now))
        for key, place in self.fleet.cloud.places.items():
            self._launches[key] = place.machines.launched
        self.fleet.cloud.watchers.append(self.moment)

    @property
    def minutes(self) -> float:
        """Instance-minutes until now."""
        now = self.fleet.now
        return self._minutes + sum(row.ready * (now - row.since) / MINUTE for row in self._groups)

    def moment(self, _cloud: InProcessCloud) -> None:
        """Count what has changed since the last moment."""
        if self.launched is None:
            self._look_for_launches()
        for row in self._groups:
            if row.sized.group.members.revision != row.revision:
                self._count(row)

    def _count(self, row: _Seen) -> None:
        now = self.fleet.now
        self._minutes += row.ready * (now - row.since) / MINUTE
        before = row.there, row.ready
        row.since, there, ready, old, seen = now, 0, 0, row.old, self.ever.add
        row.revision = row.sized.group.members.revision
        for member in row.sized.group.members.every.values():
            if member.template is None or member.template.number == old:
                continue
            if member.state == "InService":
                seen(member.id)
                there += 1
                ready += member.ready
            elif member.state in LIVE:
                there += 1
        row.there, row.ready = there, ready
        self._there += row.there - before[0]
        self._ready += row.ready - before[1]
        self.most = max(self.most, self._ready)
        if self.ever:
            self.last = None if self._there else self.last or now

    def _look_for_launches(self) -> None:
        for key, place in self.fleet.cloud.places.items():
            count = place.machines.launched - self._launches.get(key, 0)
            self._launches[key] = place.machines.launched
            image = self.fleet.new(place.region)
            for row in itertools.islice(reversed(place.machines.every.values()), count):
                if row.image == image:
                    self.launched = min(self.launched or row.launched, row.launched)
