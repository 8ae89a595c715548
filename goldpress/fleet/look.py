"""Owns looking at fleets: everything that one tick wants to know, asked for place by place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from goldpress.aws.metrics import Traffic
from goldpress.aws.scaling import Group, Refresh, active_of
from goldpress.errors import CloudError, GoldpressError, MissingError
from goldpress.fleet import canary
from goldpress.fleet.journal import GroupRoll, RollState
from goldpress.fleet.observed import Asks, Observed, observe
from goldpress.fleet.place import Place
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.fleet.shortage import Shortage, has_failed, shortage_of
from goldpress.fleet.sight import Sight, new_of, refresh_of
from goldpress.fleet.tick import wanted
from goldpress.replacement import Limits

#: CloudWatch has a minute's numbers a little after that minute.
LATE = timedelta(minutes=1)
#: So long after its start a refresh has launched something, or AWS has refused to.
LAUNCHED_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Looks for one roll. `place` tells where a group is, and raises CloudError: nobody may."""

    place: Callable[[GroupPlan], Place]
    limits: Limits
    now: Callable[[], float]

    def __call__(self, plan: RollPlan, state: RollState) -> Sight:
        """What is so now. What cannot be seen is `unseen`, with the reason."""
        groups: dict[str, Observed] = {}
        unseen: dict[str, str] = {}
        for rows in _by_place(plan, wanted(plan, state)):
            try:
                place = self.place(rows[0])
            except CloudError as error:
                unseen |= dict.fromkeys((row.key for row in rows), error.message)
                continue
            found, missing = _observed(place, rows, _asks(rows, state))
            groups |= found
            unseen |= missing
        short = self._short(plan, state, groups, unseen)
        groups = {key: row for key, row in groups.items() if key not in unseen}
        alarms, traffic, blind = self._measured(plan, state, groups)
        return Sight(
            groups=groups,
            unseen=unseen,
            short=short,
            alarms=alarms,
            traffic=traffic,
            blind=blind,
            canary=self._canary(plan, state, groups),
        )

    def _short(
        self,
        plan: RollPlan,
        state: RollState,
        seen: Mapping[str, Observed],
        unseen: dict[str, str],
    ) -> dict[str, Shortage]:
        """Which refreshes get no instances though the image may be good.

        A group whose activities cannot be read joins the `unseen`: nobody knows whose fault it is.
        """
        found: dict[str, Shortage] = {}
        if state.phase != "rolling":
            return found
        for key, row in seen.items():
            group, roll = plan.group(key), state.group(key)
            refresh = refresh_of(row, roll.refresh)
            if refresh is None or not _lacks(group, roll, row, refresh, self.now()):
                continue
            try:
                activities = self.place(group).groups.activities(group.group)
            except CloudError as error:
                unseen[key] = error.message
                continue
            if short := shortage_of(activities, refresh):
                found[key] = short
        return found

    def _measured(
        self, plan: RollPlan, state: RollState, seen: Mapping[str, Observed]
    ) -> tuple[dict[str, Mapping[str, str | None]], dict[str, Traffic], dict[str, str]]:
        """What CloudWatch says of the wave under way, as far as its gates ask."""
        alarms: dict[str, Mapping[str, str | None]] = {}
        traffic: dict[str, Traffic] = {}
        blind: dict[str, str] = {}
        if state.phase != "rolling" or state.wave >= len(plan.waves):
            return alarms, traffic, blind
        wave = plan.waves[state.wave]
        for group in (plan.group(row.key) for row in wave.groups if row.key in seen):
            try:
                if "alarms" in wave.gates:
                    alarms[group.key] = self._alarms(group)
                if {"errors", "latency"} & set(wave.gates):
                    arns = seen[group.key].group.target_groups
                    traffic[group.key] = self._traffic(group, arns)
            except CloudError as error:
                # The gates wait, and tell it.
                blind[group.key] = error.message
        return alarms, traffic, blind

    def _alarms(self, group: GroupPlan) -> Mapping[str, str | None]:
        found = self.place(group).metrics.alarms(group.preferences.alarms)
        return {name: row.state if row else None for name, row in found.items()}

    def _traffic(self, group: GroupPlan, arns: Sequence[str]) -> Traffic:
        end = datetime.fromtimestamp(self.now(), UTC).replace(second=0, microsecond=0) - LATE
        start = end - timedelta(minutes=self.limits.minutes)
        place = self.place(group)
        return place.metrics.traffic(place.targets.groups(arns), start=start, end=end)

    def _canary(
        self, plan: RollPlan, state: RollState, seen: Mapping[str, Observed]
    ) -> Mapping[str, str]:
        group, stage = canary.group_of(plan), state.canary.stage
        if group is None or group.key not in seen or stage not in {"registered", "drained"}:
            return {}
        states = {}
        for arn, targets in seen[group.key].targets.items():
            mine = [row.state for row in targets if row.id == state.canary.instance]
            states[arn] = mine[0] if mine else ""
        return states


def _lacks(group: GroupPlan, roll: GroupRoll, seen: Observed, refresh: Refresh, now: float) -> bool:
    """Whether a refresh has failed, or nothing of it is on its way though it is not done."""
    if roll.state not in {"started", "checkpoint"}:
        return False
    if refresh.over or refresh.rollback:
        return has_failed(refresh)
    new = new_of(seen, group, roll)
    waits = any(not row.in_service for row in new)
    late = now >= roll.since + LAUNCHED_SECONDS
    return roll.state == "started" and late and not waits and len(new) < seen.group.desired


def _by_place(plan: RollPlan, keys: frozenset[str]) -> Iterable[list[GroupPlan]]:
    found: dict[tuple[str, str], list[GroupPlan]] = {}
    for group in plan.groups:
        if group.key in keys:
            found.setdefault((group.account, group.region), []).append(group)
    return found.values()


def _asks(rows: Sequence[GroupPlan], state: RollState) -> Asks:
    """A tick judges by template versions; what runs is asked before a group is called new."""
    rolls = {row.group: state.group(row.key) for row in rows}

    def asks(group: Group, refreshes: Sequence[Refresh]) -> bool:
        roll = rolls[group.name]
        over = roll.state in {"done", "rolled-back"} or active_of(refreshes) is not None
        return not over and bool(roll.to_version)

    return asks


def _observed(
    place: Place, rows: list[GroupPlan], asks: Asks
) -> tuple[dict[str, Observed], dict[str, str]]:
    """What is seen of these groups of a place, and why the others are not."""
    by_name = {row.group: row.key for row in rows}
    try:
        found = observe(place, by_name, asks=asks)
    except MissingError as error:
        if len(rows) == 1:
            return {}, {rows[0].key: error.message}
        # One that is not there any more must not hide the others.
        seen: dict[str, Observed] = {}
        unseen: dict[str, str] = {}
        for row in rows:
            one, none = _observed(place, [row], asks)
            seen |= one
            unseen |= none
        return seen, unseen
    except GoldpressError as error:
        return {}, dict.fromkeys(by_name.values(), error.message)
    return {by_name[name]: row for name, row in found.items()}, {}
