"""Owns an instance refresh: what it wants, what it has replaced, and how AWS shows it.

[M] InstanceRefresh, InstanceRefreshStatus, RollbackDetails. The steps are in `refreshing`.

Our own guesses, where the documentation is silent: an instance that already matches counts as
updated; ignored instances count to neither side of PercentageComplete; a protected instance that
loses its protection is replaced from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.scaling.activities import utc
from goldpress.emulator.scaling.configuration import Configuration
from goldpress.emulator.scaling.member import LIVE, Member, Members
from goldpress.emulator.scaling.pace import Count
from goldpress.emulator.scaling.preferences import Preferences
from goldpress.emulator.scaling.world import NEVER, TemplateVersion

#: [M] InstanceRefreshStatus: those after which nothing more happens.
OVER = frozenset({"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"})
#: In these, instances are replaced or launched with the refresh's configuration.
FORWARD = frozenset({"InProgress", "Baking"})
REPLACING = frozenset({"InProgress", "RollbackInProgress"})
WHOLE = 100


@dataclass(kw_only=True)
class Sorted:
    """The live instances of a group as a refresh sees them.

    `old` has also those in standby; the eligible are by readiness and zone, the oldest first.
    """

    old: dict[str, Member] = field(default_factory=dict)
    fresh: dict[str, Member] = field(default_factory=dict)
    updated: dict[str, Member] = field(default_factory=dict)
    ignored: dict[str, Member] = field(default_factory=dict)
    blocked: dict[str, Member] = field(default_factory=dict)
    eligible: dict[str, Member] = field(default_factory=dict)
    by_zone: dict[tuple[bool, str], dict[str, Member]] = field(default_factory=dict)
    unready: int = 0

    def forget(self, member: Member) -> None:
        """Take it out of every set but `old`."""
        for rows in (self.fresh, self.updated, self.ignored, self.blocked):
            rows.pop(member.id, None)
        if self.eligible.pop(member.id, None) is not None:
            for ready in (True, False):
                found = self.by_zone.get((ready, member.zone), {}).pop(member.id, None)
                if found is not None and not ready:
                    self.unready -= 1

    def allow(self, member: Member) -> None:
        """It may be ended now."""
        self.eligible[member.id] = member
        self.by_zone.setdefault((member.ready, member.zone), {})[member.id] = member
        self.unready += not member.ready

    def next_victim(self, zones: Mapping[str, int]) -> Member:
        """One that may be ended: unready ones first, in the zone with the most instances."""
        for ready in (False, True):
            rows = [
                (zones[zone], zone) for (r, zone), row in self.by_zone.items() if r == ready and row
            ]
            if rows:
                return next(iter(self.by_zone[ready, max(rows)[1]].values()))
        raise LookupError("no instance may be ended")


@dataclass(kw_only=True, eq=False)
class Refresh:
    """One refresh of a group. Times are Unix seconds, None where they have not come.

    `wanted` is the DesiredConfiguration as AWS shows it, None where there was none; `previous` is
    the group's configuration at the start. `reached` is the index of the last checkpoint.
    """

    id: str
    group: str
    created: float
    configuration: Configuration
    version: TemplateVersion
    previous: Configuration
    preferences: Preferences
    warmup: int
    wanted: Mapping[str, Any] | None = None
    strategy: str = "Rolling"
    status: str = "Pending"
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    progressed: float = 0.0
    reached: int = -1
    paused_until: float | None = None
    baked_at: float | None = None
    waits_for_others: bool = True
    rollback: dict[str, Any] | None = None
    #: PercentageComplete and InstancesToUpdate at the end
    final: tuple[int, int] | None = None
    sorted: Sorted = field(default_factory=Sorted)
    #: what the instances that are to stay are launched from: the other way round in a rollback
    aim: Configuration = field(init=False)
    aim_version: TemplateVersion = field(init=False)

    def __post_init__(self) -> None:
        self.aim, self.aim_version = self.configuration, self.version

    @property
    def active(self) -> bool:
        """Whether it blocks another one."""
        return self.status not in OVER

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Percentages, the last of which is the refresh's end; a rollback has no checkpoints."""
        given = self.preferences.checkpoints
        return given if given and self.rollback is None else (100,)

    def begin(self, members: Members) -> None:
        """Sort all instances of the group, and from now on each that changes."""
        self.sorted = Sorted()
        for member in members.every.values():
            if member.live or member.state == "Standby":
                self._sort_new(member)
        members.watch = lambda member: self.sort(member, members)

    def _sort_new(self, member: Member) -> None:
        skip = self.preferences.skip_matching or self.rollback is not None
        if not (skip and self.aim.matches(member, self.aim_version)):
            self.sorted.old[member.id] = member
        self._place(member)

    def sort(self, member: Member, members: Members) -> None:
        """An instance has changed."""
        rows = self.sorted
        rows.forget(member)
        if member.id not in members.every or not (member.live or member.state == "Standby"):
            rows.old.pop(member.id, None)
            return
        if member.attached and member.id not in rows.old:
            member.attached = False
            self._sort_new(member)
            return
        self._place(member)

    def _place(self, member: Member) -> None:
        rows = self.sorted
        if member.id not in rows.old:
            if member.live:
                rows.fresh[member.id] = member
                if member.ready:
                    rows.updated[member.id] = member
            return
        if member.state == "Standby":
            choice = self.preferences.standby
        elif member.protected and member.state == "InService":
            choice = self.preferences.protected
        else:
            choice = "Refresh"
        if choice == "Ignore":
            rows.ignored[member.id] = member
        elif choice == "Wait":
            rows.blocked[member.id] = member
        elif member.state in {"InService", "Standby"}:
            rows.allow(member)

    def count(self, desired: int, members: Members) -> Count:
        """What there is to do."""
        rows = self.sorted
        pool = self.pool(desired)
        index = self.reached if self.paused_until is not None else self.reached + 1
        percent = self.checkpoints[min(max(index, 0), len(self.checkpoints) - 1)]
        goal = -(-pool * percent // 100)
        return Count(
            desired=desired,
            live=members.live,
            ready=len(members.ready),
            old=len(self.sorted.old) - len(rows.ignored),
            eligible=len(rows.eligible),
            unready=rows.unready,
            fresh=len(rows.fresh),
            goal=goal,
            keep=pool - goal,
        )

    def pool(self, desired: int) -> int:
        """How many instances the refresh is about, with the present desired capacity."""
        ignored = sum(1 for row in self.sorted.ignored.values() if row.state in LIVE)
        return max(desired - ignored, 0)

    def percentage(self, desired: int) -> int:
        """[M] PercentageComplete; in a rollback it "gradually goes back down to zero"."""
        if self.final is not None:
            return self.final[0]
        pool = self.pool(desired)
        if self.rollback is not None:
            before = int(self.rollback["PercentageCompleteOnRollback"])
            return min(before, 100 * len(self.sorted.old) // pool if pool else 0)
        if self.status == "Pending":
            return 0
        return min(100, 100 * len(self.sorted.updated) // pool) if pool else 100

    def to_update(self, desired: int) -> int:
        """[M] InstancesToUpdate; in a rollback those that "were not yet updated"."""
        if self.final is not None:
            return self.final[1]
        pool = self.pool(desired)
        if self.rollback is not None:
            return max(pool - len(self.sorted.old), 0)
        goal = -(-pool * self.checkpoints[-1] // 100)
        return max(goal - len(self.sorted.updated), 0)

    def document(self, desired: int, reason: str) -> dict[str, Any]:
        """[M] InstanceRefresh."""
        row: dict[str, Any] = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group,
            "Status": self.status,
            "PercentageComplete": self.percentage(desired),
            "InstancesToUpdate": self.to_update(desired),
            "Preferences": dict(self.preferences.document),
            "Strategy": self.strategy,
        }
        if reason:
            row["StatusReason"] = reason
        if self.started is not None:
            row["StartTime"] = utc(self.started)
        if self.ended is not None:
            row["EndTime"] = utc(self.ended)
        if self.wanted is not None:
            row["DesiredConfiguration"] = self.wanted
        if self.rollback is not None:
            row["RollbackDetails"] = dict(self.rollback)
        return row

    def end(self, status: str, now: float, desired: int, members: Members) -> None:
        """It is over."""
        numbers = self.percentage(desired), self.to_update(desired)
        whole = status == "Successful" and self.checkpoints[-1] == WHOLE
        self.final = (WHOLE, 0) if whole else numbers
        self.status, self.ended = status, now
        self.paused_until = None
        members.watch = None
        self.sorted = Sorted()

    @property
    def next_time(self) -> float:
        """When it has something to do by itself, apart from its limits."""
        times = [at for at in (self.paused_until, self.baked_at) if at is not None]
        return min(times, default=NEVER)
