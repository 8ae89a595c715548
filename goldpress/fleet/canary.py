"""Owns the canary: one machine outside the fleet that shows the new version before any group does.

    launched from the new template version, verified by the suite
    registered behind the group's load balancers until they call it healthy: it takes requests then,
    for some minutes where the wave's gates look at those
    deregistered, left alone until its requests have ended, ended

Whoever dies in between finds it again by its token. One whose verification nobody saw the end of is
ended, and another one is launched by another token: EC2 answers a token that it knows with the
instance of then, though that was terminated.
"""

from __future__ import annotations

from goldpress.digest import sha256_bytes
from goldpress.fleet import gates
from goldpress.fleet.actions import Action, Deregister, End, Launch, MakeTemplate, Register
from goldpress.fleet.ending import Waiting
from goldpress.fleet.journal import RollState
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.fleet.sight import Sight
from goldpress.replacement import Limits

HEALTHY = "healthy"
#: States of a target that has ended its requests, or never had any.
LEFT = frozenset({"", "unused"})
#: From registration until a load balancer calls it healthy; it answered well on itself before.
HEALTHY_SECONDS = 600.0
#: Longer than AWS lets anything drain.
DRAIN_SECONDS = 3600.0
POLL_SECONDS = 15.0
MINUTE = 60.0


def token_of(state: RollState) -> str:
    """What the next machine of a roll is launched with: 32 characters."""
    text = f"{state.plan} {state.began} {state.canary.attempt}"
    return f"goldpress-{sha256_bytes(text.encode())[:22]}"


def group_of(plan: RollPlan) -> GroupPlan | None:
    """The group whose template it is of; None for a plan without one."""
    return plan.group(plan.canary) if plan.canary else None


def is_over(plan: RollPlan, state: RollState) -> bool:
    """Whether there is none to be looked after any more."""
    return not plan.canary or state.canary.stage == "ended"


def next_step(  # noqa: PLR0911 - one stage after another
    plan: RollPlan, state: RollState, sight: Sight, now: float, limits: Limits
) -> tuple[Action, ...] | Waiting | None:
    """What is to be done of it on the way on; None when it is over."""
    group = group_of(plan)
    if group is None or is_over(plan, state):
        return None
    canary = state.canary
    if canary.stage == "launching":
        return (End(group=group, token=canary.token, again=True),)
    if not canary.stage:
        version = state.group(group.key).to_version
        if not version:
            return (MakeTemplate(group=group, digest=plan.digest),)
        return (Launch(group=group, version=version, token=token_of(state)),)
    seen = sight.groups.get(group.key)
    if seen is None:
        why = sight.unseen.get(group.key, "nobody looked")
        return Waiting(until=now + POLL_SECONDS, why=f"canary: {group.key}: {why}")
    targets = seen.group.target_groups
    if canary.stage == "proven" and targets:
        if why := gates.bad(_said(plan, group, state, sight, limits)):
            # Else it would be this image's doing.
            return Waiting(until=now + MINUTE, why=f"canary: {why}; it was so before it came")
        return (Register(group=group, targets=targets, instance=canary.instance),)
    if canary.stage == "registered" and (
        step := _behind(plan, group, state, sight, now, limits=limits)
    ):
        return step
    return next_end(plan, state, sight, now)


def next_end(
    plan: RollPlan, state: RollState, sight: Sight, now: float
) -> tuple[Action, ...] | Waiting | None:
    """What is to be done so that nothing is left of it; None when nothing is."""
    group = group_of(plan)
    canary = state.canary
    if group is None or canary.stage in {"", "ended"}:
        return None
    end = (End(group=group, token=canary.token),)
    seen = sight.groups.get(group.key)
    targets = seen.group.target_groups if seen else ()
    if canary.stage == "registered" and targets:
        return (Deregister(group=group, targets=targets, instance=canary.instance),)
    if canary.stage == "drained" and now < canary.since + DRAIN_SECONDS:
        states = [sight.canary.get(arn, "") for arn in targets]
        if not LEFT.issuperset(states):
            return Waiting(
                until=now + POLL_SECONDS, why=f"canary: {canary.instance} ends its requests"
            )
    return end


def failed(plan: RollPlan, state: RollState, sight: Sight, now: float, limits: Limits) -> str:
    """Why the new version is not good by it; empty when it is, or is not known yet."""
    canary, group = state.canary, group_of(plan)
    if group is None or canary.stage != "registered":
        return ""
    if why := gates.bad(_said(plan, group, state, sight, limits)):
        return f"canary: {canary.instance}, since it takes requests: {why}"
    if now < canary.since + HEALTHY_SECONDS:
        return ""
    states = [row for row in sight.canary.values() if row]
    if not states or all(row == HEALTHY for row in states):
        # Not seen, or not registered after all: whoever meant to may have died before.
        return ""
    return (
        f"canary: {canary.instance} passed the suite, and is {', '.join(states)} behind its load "
        f"balancers after {now - canary.since:.0f} s"
    )


def _behind(
    plan: RollPlan, group: GroupPlan, state: RollState, sight: Sight, now: float, *, limits: Limits
) -> tuple[Action, ...] | Waiting | None:
    """What is to be done of one behind the load balancers; None when it has shown enough."""
    canary, targets = state.canary, sight.groups[group.key].group.target_groups
    states = [sight.canary.get(arn, "") for arn in targets]
    if not all(state_ == HEALTHY for state_ in states):
        if "" in states:
            # Whoever meant to register it may have died before.
            again = Register(group=group, targets=targets, instance=canary.instance)
            return _once(again, canary.since, now)
        return Waiting(
            until=now + POLL_SECONDS,
            why=f"canary: {canary.instance} is {', '.join(states)} behind its load balancers",
        )
    until = canary.since + limits.canary_minutes * MINUTE
    if now < until and _said(plan, group, state, sight, limits):
        return Waiting(
            until=min(until, now + POLL_SECONDS), why=f"canary: {canary.instance} takes requests"
        )
    return None


def _said(
    plan: RollPlan, group: GroupPlan, state: RollState, sight: Sight, limits: Limits
) -> tuple[gates.Verdict, ...]:
    """What those gates of the wave under way say of its group that look at requests."""
    if state.wave >= len(plan.waves):
        return ()
    return gates.of_requests(plan.waves[state.wave], group.key, sight, limits)


def _once(action: Action, since: float, now: float) -> tuple[Action, ...] | Waiting:
    """AWS may tell of a registration a little later; asked again only after that."""
    if now < since + POLL_SECONDS:
        return Waiting(until=since + POLL_SECONDS, why="canary: its registration shows soon")
    return (action,)
