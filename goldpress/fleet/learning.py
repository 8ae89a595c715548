"""Owns what a look teaches: the journal once what was seen is taken into it. Pure.

A change that was meant is found again here: a refresh that leads to the plan's version, and was not
there when the intent was written, is this roll's, whoever started it and died. So nothing is ever
started twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from goldpress.aws.scaling import Refresh
from goldpress.fleet import canary, gates
from goldpress.fleet.actions import started
from goldpress.fleet.journal import Failure, GroupRoll, RollState
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import WHOLE_PERCENT, GroupPlan, RollPlan, WavePlan, count_of
from goldpress.fleet.shortage import has_failed, noticed
from goldpress.fleet.sight import (
    Sight,
    new_of,
    new_serving,
    others_of,
    reference,
    refresh_of,
)
from goldpress.replacement import Limits

MINUTE = 60
#: Instances are lost whose health AWS calls bad; what is ended by a scale-in is healthy.
MOST_LOST = 50


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is so beside the fleets: the gates' limits, whether the digest is `held`, and why.

    `frozen`: why nothing new may begin now. `no_way_back`: why nobody may go back (the version
    before is held, too). `tried`: what this very tick tried already.
    """

    limits: Limits
    held: str = ""
    frozen: str = ""
    no_way_back: str = ""
    tried: frozenset[str] = frozenset()


def learned(plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms) -> RollState:
    """The journal after a look. It tells of no change that AWS does not show."""
    if state.over:
        return state
    for group in plan.groups:
        seen = sight.groups.get(group.key)
        if seen is not None:
            state = _group(plan, group, state, seen, sight, now=now)
    if state.phase != "rolling":
        return state
    if terms.held:
        return failing(state, f"the digest is held: {terms.held}", now)
    if why := canary.failed(plan, state, sight, now, terms.limits):
        return failing(state, why, now)
    if state.wave < len(plan.waves) and canary.is_over(plan, state):
        return _wave(plan, state, sight, now, terms)
    return state


def failing(state: RollState, why: str, now: float, *, by_hand: bool = False) -> RollState:
    """The journal from when on the roll goes back. The first reason stays the one.

    A roll that heals has nothing to go back to, and stops.
    """
    if state.phase != "rolling":
        return state
    failure = state.failure or Failure(why=why, at=now, by_hand=by_hand)
    return replace(
        state,
        phase="aborting" if state.heals else "going-back",
        failure=failure,
        paused="",
        open_since=0.0,
        waits_since=0.0,
    )


def share_of(plan: RollPlan, wave: int, key: str) -> int:
    """How much of a group is to be new by the end of a wave; 0 for nothing yet."""
    return max(
        (row.share for found in plan.waves[: wave + 1] for row in found.groups if row.key == key),
        default=0,
    )


def reached(wave: WavePlan, state: RollState) -> bool:
    """Whether every group of a wave has as many new instances as it asks for."""
    return all(
        state.group(row.key).state == "done"
        or (state.group(row.key).state == "cancelled" and state.group(row.key).share >= row.share)
        for row in wave.groups
    )


def _group(
    plan: RollPlan, group: GroupPlan, state: RollState, seen: Observed, sight: Sight, *, now: float
) -> RollState:
    state = _adopted(plan, group, state, seen, now)
    roll = state.group(group.key)
    if roll.touched and state.phase == "rolling":
        state = _lost(group, state, seen, now)
    found = refresh_of(seen, roll.refresh) if roll.refresh else None
    if found is not None and roll.state in {"started", "checkpoint"}:
        if short := sight.short.get(group.key):
            state = noticed(group.key, state, found, short, now)
        return _forward(plan, group, state, seen, found, now=now)
    if found is not None and roll.state == "rolling-back":
        return _backward(group, state, seen, found, now)
    if state.phase == "going-back" and roll.touched and roll.state != "rolled-back":
        # Nothing was replaced of it, or AWS put everything back before anybody looked.
        if seen.active is None and is_back(group, seen) and not roll.may_show(now):
            return state.with_group(group.key, state="rolled-back", since=now, intent=None)
        return state
    if roll.state in {"template", "pending"} and not roll.touched and _is_new(group, roll, seen):
        earlier = group.from_version != roll.to_version
        why = "it was so already"
        return state.with_group(
            group.key, state="done", share=WHOLE_PERCENT, since=now, why=why, earlier=earlier
        )
    return state


def _adopted(
    plan: RollPlan, group: GroupPlan, state: RollState, seen: Observed, now: float
) -> RollState:
    roll = state.group(group.key)
    intent = roll.intent
    if intent is None or intent.call not in {"start", "start-back"}:
        # AWS has one at a time: one that leads there wholly, whoever began it, is gone on with.
        active = seen.active
        waits = roll.state == "template" and state.phase == "rolling"
        if waits and active is not None and active.id != roll.refresh:
            target = reference(group, roll.to_version)
            whole = share_of(plan, state.wave, group.key) == WHOLE_PERCENT
            if whole and target.same(active.desired) and not active.rollback:
                return started(state, group.key, active.id, now, back=False)
        return state
    back = intent.call == "start-back"
    target = reference(group, group.from_version if back else roll.to_version)
    for row in seen.refreshes:
        if row.id not in intent.known and target.same(row.desired):
            return started(state, group.key, row.id, now, back=back)
    return state


def _lost(group: GroupPlan, state: RollState, seen: Observed, now: float) -> RollState:
    roll = state.group(group.key)
    bad = {row.id for row in new_of(seen, group, roll) if not row.healthy} - seen.taken
    lost = tuple(sorted({*roll.lost, *bad}))[:MOST_LOST]
    if lost != roll.lost:
        state = state.with_group(group.key, lost=lost)
    why = gates.lost(state.group(group.key), new_serving(seen, group, roll))
    return failing(state, f"{group.key}: {why}", now) if why else state


def _forward(  # noqa: PLR0911 - one for each way a refresh ends
    plan: RollPlan,
    group: GroupPlan,
    state: RollState,
    seen: Observed,
    found: Refresh,
    *,
    now: float,
) -> RollState:
    key, roll = group.key, state.group(group.key)
    name = f"{key}: refresh {found.id}"
    if has_failed(found) and roll.short and not roll.lost:
        # Whatever AWS has taken back, the next refresh brings again.
        share = 0 if found.rollback else roll.share
        return state if found.active else _ended(state, key, found, now, share=share)
    if found.rollback:
        why = f"{name} was taken back by AWS: {found.reason or found.status}"
        state = state.with_group(key, state="rolling-back", since=now, intent=None)
        return _backward(group, failing(state, why, now), seen, found, now)
    if found.status == "Successful":
        return _successful(group, state, seen, now)
    if found.status == "Failed":
        state = _ended(state, key, found, now, share=roll.share)
        return failing(state, f"{name} failed: {found.reason or 'no reason told'}", now)
    share = share_of(plan, state.wave, key)
    new, wanted = new_serving(seen, group, roll), count_of(seen.group.desired, share)
    if found.status == "Cancelled":
        meant = roll.state == "checkpoint" or state.phase != "rolling" or bool(roll.short)
        reached_ = share if new >= wanted else roll.share
        state = state.with_group(key, state="cancelled", share=reached_, since=now, intent=None)
        if meant and (new >= wanted or state.phase != "rolling" or roll.short):
            return state
        by = "at its checkpoint" if meant else f"by somebody else ({found.reason})"
        return replace(state, paused=f"{name} was cancelled {by}, with {new} of {wanted} new")
    waits = share < WHOLE_PERCENT and new >= wanted and found.percentage >= share
    if roll.state == "started" and waits and _at_rest(seen):
        return state.with_group(key, state="checkpoint", since=now)
    return state


def _ended(state: RollState, key: str, found: Refresh, now: float, *, share: int) -> RollState:
    return state.with_group(
        key, state="cancelled", share=share, since=now, intent=None, why=found.reason
    )


def _at_rest(seen: Observed) -> bool:
    """Whether AWS has ended what was replaced: a cancel would end the newest of too many."""
    staying = [row for row in seen.group.members if not row.state.startswith("Terminat")]
    return len(staying) <= seen.group.desired and all(row.in_service for row in staying)


def _successful(group: GroupPlan, state: RollState, seen: Observed, now: float) -> RollState:
    """AWS says that it is new; every instance is looked at before it is believed."""
    key, roll = group.key, state.group(group.key)
    other = [
        f"{row.id} {ami}"
        for row in new_of(seen, group, roll)
        if (ami := seen.ami_of(row)) not in {"", group.to_ami}
    ]
    if other:
        why = f"{key}: not {group.to_ami}, though of its template: {', '.join(other)}"
        return failing(state.with_group(key, state="cancelled", since=now, why=why), why, now)
    if others_of(seen, group, roll.to_version) or not _moved(group, roll, seen):
        # Launched from the version before while it ended: another refresh replaces just those.
        return state.with_group(key, state="template", since=now, intent=None)
    return state.with_group(key, state="done", share=WHOLE_PERCENT, since=now, intent=None)


def _backward(
    group: GroupPlan, state: RollState, seen: Observed, found: Refresh, now: float
) -> RollState:
    key, roll = group.key, state.group(group.key)
    if found.active:
        return state
    if found.status in {"RollbackSuccessful", "Successful"} or not roll.back:
        if is_back(group, seen):
            return state.with_group(key, state="rolled-back", since=now, intent=None)
        # AWS did not come so far: a refresh to the version before does.
        return state.with_group(key, state="cancelled", since=now, intent=None, why=found.reason)
    why = f"{key}: refresh {found.id} to the version before: {found.status}: {found.reason}"
    return state.with_group(key, state="failed", since=now, intent=None, why=why)


def is_back(group: GroupPlan, seen: Observed) -> bool:
    """Whether a group is what it was before: its template version, and all that it replaces."""
    mine = reference(group, group.from_version)
    return mine.same(seen.group.template) and not others_of(seen, group, group.from_version)


def _is_new(group: GroupPlan, roll: GroupRoll, seen: Observed) -> bool:
    staying = [row for row in seen.group.members if not row.state.startswith("Terminat")]
    return (
        group.preferences.skip_matching
        and _moved(group, roll, seen)
        and seen.active is None
        and not others_of(seen, group, roll.to_version)
        and all(seen.ami_of(row) in {"", group.to_ami} for row in staying)
    )


def _moved(group: GroupPlan, roll: GroupRoll, seen: Observed) -> bool:
    return bool(roll.to_version) and reference(group, roll.to_version).same(seen.group.template)


def _wave(plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms) -> RollState:
    wave = plan.waves[state.wave]
    rows = gates.verdicts(plan, state, sight, terms.limits)
    state = replace(state, gates=tuple(row.text for row in rows))
    if why := gates.bad(rows):
        return failing(state, why, now)
    if not reached(wave, state):
        return replace(state, open_since=0.0, waits_since=0.0)
    if gates.waits(rows):
        return replace(state, open_since=0.0, waits_since=state.waits_since or now)
    since = state.open_since or now
    state = replace(state, open_since=since, waits_since=0.0)
    if now < since + wave.soak_minutes * MINUTE:
        return state
    return replace(state, wave=state.wave + 1, wave_since=now, open_since=0.0, sample="", gates=())
