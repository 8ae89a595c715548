"""Owns the size of a group: instances are launched and ended until there are as many as desired.

[D] "Maintain a fixed number of instances", "Control which instances terminate during scale in",
"Suspend and resume processes". The default termination policy, as far as it makes a difference
here: the zone with the most instances, there the oldest launch template version, there the oldest
instance. Protected instances are never ended by a scale-in.

Our own guesses: how long a group waits after failed launches (`Group.delay`); capacity is not
rebalanced between zones; nothing is limited per second.
"""

from __future__ import annotations

from goldpress.emulator.scaling import causes, refreshing
from goldpress.emulator.scaling.configuration import Configuration
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.group import LEAST_SECONDS, Group
from goldpress.emulator.scaling.health import fault
from goldpress.emulator.scaling.member import Member
from goldpress.emulator.scaling.moving import launch, step, terminate
from goldpress.emulator.scaling.pace import Batch, Limits, batch, limits
from goldpress.emulator.scaling.refresh import FORWARD, REPLACING, Refresh
from goldpress.emulator.scaling.world import NEVER, TemplateVersion

#: One step begets another at the same moment (all is replaced, so the refresh ends), never many.
ROUNDS = 20
WHOLE = 100


def settle(group: Group, now: float) -> None:
    """Everything that is due for a group, until nothing more is due now."""
    for _ in range(ROUNDS):
        group.timer = NEVER
        for member in group.due(now):
            step(group, member, now)
        revision = group.members.revision
        status = group.refresh.status if group.refresh else ""
        refreshing.step(group, now)
        _replace_unhealthy(group, now)
        _size(group, now)
        after = group.refresh.status if group.refresh else ""
        due = group.next_time <= now
        if (group.members.revision, after) == (revision, status) and not due:
            break
    group.timer = _timer(group, now)


def _timer(group: Group, now: float) -> float:
    times = [NEVER]
    if group.refresh is not None:
        times.append(refreshing.next_time(group, group.refresh))
    if group.retry_at > now:
        times.append(group.retry_at)
    following = min(times)
    return following if following > now else now + LEAST_SECONDS


def configured(group: Group) -> tuple[Configuration, TemplateVersion]:
    """What the group launches now. Raises ScalingError when the version is gone."""
    refresh = group.refresh
    if refresh is not None and (refresh.status in FORWARD or refresh.status in REPLACING):
        return refresh.aim, refresh.aim_version
    return group.configuration, group.configuration.spec.resolved(group.cloud.templates)


def _replace_unhealthy(group: Group, now: float) -> None:
    """[D] terminate and launch, unless the maintenance policy wants the new one first."""
    if not group.members.unhealthy or not (
        group.may("ReplaceUnhealthy") and group.may("Terminate")
    ):
        return
    held = _held_limits(group)
    for member in list(group.members.unhealthy.values()):
        if member.state != "InService":
            continue
        if held is not None and len(group.members.ready) < held.floor:
            break
        kind = fault(group, member, now) or "user"
        cause = causes.taken_out(now, member.id, causes.HEALTH[kind])
        terminate(group, member, now, cause)


def _held_limits(group: Group) -> Limits | None:
    """The maintenance policy's limits, where it launches before it terminates."""
    if group.policy is None or group.policy.max <= WHOLE:
        return None
    return limits(group.desired, min_healthy=group.policy.min, max_healthy=group.policy.max)


def _size(group: Group, now: float) -> None:
    refresh = group.refresh
    replacing = refresh is not None and refresh.status in REPLACING and group.may("InstanceRefresh")
    if replacing and refresh is not None:
        todo = batch(refresh.count(group.desired, group.members), refreshing.bounds(group, refresh))
        _replace(group, refresh, todo, now)
        return
    live = group.members.live
    unhealthy = len(group.members.unhealthy)
    held = _held_limits(group)
    if held is not None and unhealthy:
        # Those that are kept until others are ready do not serve: launch beside them.
        _launch(group, min(group.desired - live + unhealthy, held.ceiling - live), now)
    elif live < group.desired:
        _launch(group, group.desired - live, now)
    elif live > group.desired and not (refresh is not None and refresh.status == "Cancelling"):
        # [M] CancelInstanceRefresh lets "in-flight launches and terminations" complete first.
        _shrink(group, live - group.desired, now)


def _replace(group: Group, refresh: Refresh, todo: Batch, now: float) -> None:
    before = len(refresh.sorted.old)
    if group.may("Terminate"):
        for _ in range(todo.terminate):
            member = refresh.sorted.next_victim(group.members.in_zone)
            terminate(group, member, now, causes.taken_out(now, member.id, causes.REFRESH))
    if len(refresh.sorted.old) < before:
        refresh.progressed = now
    _launch(group, todo.launch, now, refreshed=True)
    if todo == Batch():
        limit = refreshing.bounds(group, refresh).ceiling
        count = refresh.count(group.desired, group.members)
        # The desired capacity went down: at once to the ceiling, and when nothing is left to
        # replace for now, to what is desired.
        done = count.fresh >= count.goal and count.old <= count.keep
        most = group.desired if done else max(limit, group.desired)
        if count.live > most:
            _shrink(group, count.live - most, now)


def _launch(group: Group, number: int, now: float, *, refreshed: bool = False) -> None:
    if number <= 0 or group.deleting or not group.may("Launch"):
        return
    if group.failures and now < group.retry_at:
        return
    try:
        configuration, version = configured(group)
    except ScalingError as error:
        _refused(group, now, error.message)
        return
    for _ in range(number):
        live = group.members.live
        cause = (
            causes.refreshed_launch(now)
            if refreshed and live >= group.desired
            else causes.launched(now, live, live + 1, group.because)
        )
        made = launch(group, now, configuration=configuration, version=version, cause=cause)
        if made is None:
            group.delay(now)
            return
    group.because = ""


def _refused(group: Group, now: float, why: str) -> None:
    cause = causes.launched(now, group.members.live, group.desired, "")
    activity = group.activities.begin("Launching a new EC2 instance.", cause, now)
    activity.end(now, failure=f"{why} Launching EC2 instance failed.")
    group.delay(now)


def _shrink(group: Group, number: int, now: float) -> None:
    if not group.may("Terminate"):
        return
    for member in scale_in(group, number):
        live = group.members.live
        cause = causes.shrunk(now, member.id, live, live - 1, group.because)
        terminate(group, member, now, cause)
    group.because = ""


def scale_in(group: Group, number: int) -> list[Member]:
    """The instances that a scale-in by `number` ends, fewer when the others are protected."""
    rows = [row for row in group.members.every.values() if row.live and not row.protected]
    by_zone: dict[str, list[Member]] = {}
    # The first to go is the last of its zone: unhealthy, the oldest version, the oldest instance.
    for row in sorted(rows, key=_order, reverse=True):
        by_zone.setdefault(row.zone, []).append(row)
    counts = dict(group.members.in_zone)
    chosen: list[Member] = []
    while len(chosen) < number and any(by_zone.values()):
        zone = max((zone for zone, left in by_zone.items() if left), key=lambda z: (counts[z], z))
        chosen.append(by_zone[zone].pop())
        counts[zone] -= 1
    return chosen


def _order(member: Member) -> tuple[bool, int, float]:
    number = member.template.number if member.template else 0
    return member.health == "Healthy", number, member.launched
