"""Owns the steps of an instance refresh: its states, checkpoints, bake time, alarms, failures.

[M] InstanceRefreshStatus, RefreshPreferences, CancelInstanceRefresh, RollbackInstanceRefresh;
[D] "Use an instance refresh to update instances", "Add checkpoints to an instance refresh", "Undo
changes with a rollback". In the documentation's words:

- "waits for a time period of up to 60 minutes after it reaches the minimum healthy threshold before
  it eventually fails"; one hour too for protected and standby instances that are waited for;
- "The maximum amount of time that an instance refresh can remain actively replacing is 14 days";
- a checkpoint is reached when at least its percentage is replaced and warmed up; the highest one
  reached counts; after a scale-out it is reached, and waited for, again;
- "The last value shown in the CheckpointPercentages array describes the percentage of the group
  that needs to be successfully replaced. The operation transitions to Successful after": nothing is
  waited for after the last one, whether it is 100 or less, and the group is updated to the desired
  configuration. Whoever wants to stop at 20 percent asks for [20, 100].

Our own guesses: what counts as progress (an instance ended, one updated, a healthy one warming up,
one held by a lifecycle hook); that a suspended InstanceRefresh process stops these clocks; that
alarms that are in ALARM already fail the refresh at once; that a rollback has neither checkpoints,
bake time nor alarms; how long a refresh is Pending; that it is over while those that it has ended
still drain.
"""

from __future__ import annotations

from goldpress.emulator.scaling import causes
from goldpress.emulator.scaling.activities import utc
from goldpress.emulator.scaling.errors import irreversible
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.health import waits_for_elb
from goldpress.emulator.scaling.member import PENDING, TERMINATING
from goldpress.emulator.scaling.moving import terminate
from goldpress.emulator.scaling.pace import Limits, limits
from goldpress.emulator.scaling.refresh import FORWARD, REPLACING, Refresh
from goldpress.emulator.scaling.world import NEVER

PENDING_SECONDS = 5.0
STUCK_SECONDS = 3600.0
LONGEST_SECONDS = 14 * 24 * 3600.0
#: StatusReason has 1023 characters.
REASON_LENGTH = 1023
TRANSITIONS = (*PENDING, *TERMINATING)
CANCELLED = "Cancelled due to user request."
CANCELLED_AT_ONCE = (
    "Cancelled without waiting for ongoing instance launches and terminations due to user request."
)


def bounds(group: Group, refresh: Refresh) -> Limits:
    """How low and high the group may go now."""
    return limits(
        group.desired,
        min_healthy=refresh.preferences.min_healthy,
        max_healthy=refresh.preferences.max_healthy,
    )


def step(group: Group, now: float) -> None:
    """Whatever is due for the group's refresh, apart from ending and launching instances."""
    refresh = group.refresh
    if refresh is None:
        return
    if refresh.status == "Pending":
        if now >= refresh.created + PENDING_SECONDS:
            _start(group, refresh, now)
    elif refresh.status == "Cancelling":
        if not refresh.waits_for_others or not group.members.any_in(TRANSITIONS):
            refresh.end("Cancelled", now, group.desired, group.members)
    elif not group.may("InstanceRefresh"):
        refresh.progressed = now
    else:
        _advance(group, refresh, now)


def _advance(group: Group, refresh: Refresh, now: float) -> None:
    if refresh.status in FORWARD and (why := _alarmed(group, refresh)):
        fail(group, refresh, now, why)
    elif refresh.status == "Baking":
        if refresh.baked_at is not None and now >= refresh.baked_at:
            _succeed(group, refresh, now)
    elif refresh.status == "InProgress":
        _go_on(group, refresh, now)
    elif not _stuck(group, refresh, now) and not _left(group, refresh):
        refresh.reason = ""
        refresh.end("RollbackSuccessful", now, group.desired, group.members)


def _start(group: Group, refresh: Refresh, now: float) -> None:
    refresh.status, refresh.started, refresh.progressed = "InProgress", now, now
    refresh.begin(group.members)
    if refresh.preferences.standby == "Terminate":
        # [M] StandbyInstances: "Terminates instances that are in Standby".
        for member in list(group.members.by_state["Standby"].values()):
            if member.id in refresh.sorted.eligible:
                cause = causes.taken_out(now, member.id, causes.REFRESH)
                terminate(group, member, now, cause)
    _go_on(group, refresh, now)


def _alarmed(group: Group, refresh: Refresh) -> str:
    for name in refresh.preferences.alarms:
        try:
            state = group.cloud.alarms.state(name)
        except KeyError:
            return f"The CloudWatch alarm {name} does not exist."
        if state == "ALARM":
            return f"The CloudWatch alarm {name} went into ALARM state."
    return ""


def _go_on(group: Group, refresh: Refresh, now: float) -> None:
    done = refresh.percentage(group.desired)
    points = refresh.checkpoints
    reached = max((i for i, percent in enumerate(points) if percent <= done), default=-1)
    if reached == len(points) - 1:
        if not _left(group, refresh):
            _finish(group, refresh, now)
            return
    elif reached > refresh.reached:
        refresh.reached, refresh.progressed = reached, now
        refresh.paused_until = now + refresh.preferences.delay
    elif reached < refresh.reached:
        refresh.reached, refresh.paused_until = reached, None
    if refresh.paused_until is not None:
        refresh.progressed = now
        if now < refresh.paused_until:
            return
        refresh.paused_until = None
    _stuck(group, refresh, now)


def _left(group: Group, refresh: Refresh) -> bool:
    """Whether instances are left to replace, or to become ready, for the last checkpoint."""
    rows = refresh.sorted
    pool = refresh.pool(group.desired)
    goal = -(-pool * refresh.checkpoints[-1] // 100)
    ready = len(rows.updated)
    return len(rows.old) - len(rows.ignored) > pool - goal or ready < goal


def _finish(group: Group, refresh: Refresh, now: float) -> None:
    if refresh.preferences.bake:
        refresh.status, refresh.baked_at = "Baking", now + refresh.preferences.bake
        refresh.paused_until = None
    else:
        _succeed(group, refresh, now)


def _succeed(group: Group, refresh: Refresh, now: float) -> None:
    """[M] StartInstanceRefresh: "Once the instance refresh succeeds, ... updates the settings"."""
    if refresh.wanted is not None:
        group.configuration = refresh.configuration
    refresh.reason = ""
    refresh.end("Successful", now, group.desired, group.members)


def _stuck(group: Group, refresh: Refresh, now: float) -> bool:
    """Fail a refresh that has waited too long for something to happen."""
    if refresh.started is not None and now >= refresh.started + LONGEST_SECONDS:
        fail(group, refresh, now, "The instance refresh has run for 14 days.")
        return True
    if now < refresh.progressed + STUCK_SECONDS:
        return False
    if _moves(group, refresh, now):
        refresh.progressed = now
        return False
    fail(group, refresh, now, f"Timed out after an hour. {reason(group, refresh, now)}".strip())
    return True


def _moves(group: Group, refresh: Refresh, now: float) -> bool:
    states = group.members.by_state
    # One after the other that is abandoned is no progress, however long each is waited for.
    if not group.failures and (states["Pending:Wait"] or states["Terminating:Wait"]):
        return True
    return any(
        row.state == "InService"
        and row.health == "Healthy"
        and now < row.warm_until
        and not waits_for_elb(group, row)
        for row in refresh.sorted.fresh.values()
    )


def fail(group: Group, refresh: Refresh, now: float, why: str) -> None:
    """The refresh has failed, and is rolled back if its preferences say so; a rollback fails."""
    refresh.reason = why[:REASON_LENGTH]
    if refresh.status == "RollbackInProgress":
        refresh.end("RollbackFailed", now, group.desired, group.members)
    elif refresh.preferences.auto_rollback:
        roll_back(group, refresh, now, f"Automatic rollback: {why}")
    else:
        refresh.end("Failed", now, group.desired, group.members)


def roll_back(group: Group, refresh: Refresh, now: float, why: str) -> None:
    """Replace what was replaced. Raises ScalingError (IrreversibleInstanceRefresh).

    [M] RollbackInstanceRefresh: "restores your Auto Scaling group to the configuration that it was
    using before the start".
    """
    if refresh.wanted is None:
        raise irreversible("The instance refresh has no desired configuration.")
    if found := refresh.previous.no_way_back(group.cloud.templates):
        raise irreversible(f"The instance refresh cannot be rolled back: {found}.")
    version = refresh.previous.spec.resolved(group.cloud.templates)
    details = {
        "RollbackReason": why[:REASON_LENGTH],
        "RollbackStartTime": utc(now),
        "PercentageCompleteOnRollback": refresh.percentage(group.desired),
        "InstancesToUpdateOnRollback": refresh.to_update(group.desired),
    }
    refresh.rollback, refresh.status = details, "RollbackInProgress"
    refresh.started = refresh.started if refresh.started is not None else now
    refresh.paused_until = refresh.baked_at = None
    refresh.reached, refresh.progressed = -1, now
    refresh.aim, refresh.aim_version = refresh.previous, version
    refresh.begin(group.members)


def cancel(group: Group, refresh: Refresh, now: float, *, wait: bool) -> None:
    """[M] CancelInstanceRefresh, WaitForTransitioningInstances."""
    refresh.reason = CANCELLED if wait else CANCELLED_AT_ONCE
    refresh.final = refresh.percentage(group.desired), refresh.to_update(group.desired)
    refresh.status, refresh.waits_for_others = "Cancelling", wait
    refresh.paused_until = refresh.baked_at = None
    group.members.watch = None
    if not wait:
        refresh.end("Cancelled", now, group.desired, group.members)


def reason(group: Group, refresh: Refresh, now: float) -> str:
    """[M] StatusReason: what it waits for, in AWS's words where they are known.

    Those are "Waiting for instances to warm up before continuing. For example: ... is warming up."
    and "Waiting for remaining instances to be available. For example: ... has insufficient data to
    evaluate its health with ..." or "... is protected. Remove instance scale-in protection to
    continue."
    """
    if refresh.status not in REPLACING:
        return refresh.reason
    if refresh.paused_until is not None:
        percent = refresh.checkpoints[refresh.reached]
        until = utc(refresh.paused_until).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"Waiting at the checkpoint of {percent} percent until {until}."
    rows = refresh.sorted
    unavailable = ""
    for member in rows.fresh.values():
        if member.ready or member.state != "InService":
            continue
        if now < member.warm_until:
            return (
                "Waiting for instances to warm up before continuing. For example: "
                f"{member.id} is warming up."
            )
        by = "Elastic Load Balancing" if waits_for_elb(group, member) else "Amazon EC2"
        unavailable = f"{member.id} has insufficient data to evaluate its health with {by}."
    pending = next((row.id for row in rows.fresh.values() if row.state != "InService"), "")
    if not unavailable and pending:
        unavailable = f"{pending} has insufficient data to evaluate its health with Amazon EC2."
    if not unavailable and not rows.eligible and rows.blocked:
        member = next(iter(rows.blocked.values()))
        unavailable = f"{member.id} is in standby. Return it to service to continue."
        if member.protected:
            unavailable = (
                f"{member.id} is protected. Remove instance scale-in protection to continue."
            )
    text = "Waiting for remaining instances to be available. For example: "
    return f"{text}{unavailable}" if unavailable else ""


def next_time(group: Group, refresh: Refresh) -> float:
    """When `step` has something to do, if no instance changes."""
    if refresh.status == "Pending":
        return refresh.created + PENDING_SECONDS
    if refresh.status == "Cancelling" or not group.may("InstanceRefresh"):
        return NEVER
    times = [refresh.next_time]
    if refresh.status in FORWARD:
        times += [_alarm_time(group, name) for name in refresh.preferences.alarms]
    if refresh.status in REPLACING and refresh.paused_until is None:
        times.append(refresh.progressed + STUCK_SECONDS)
        times.append((refresh.started or 0.0) + LONGEST_SECONDS)
    return min(times)


def _alarm_time(group: Group, name: str) -> float:
    try:
        return group.cloud.alarms.next_change(name)
    except KeyError:
        return NEVER
