"""Owns the way back: of a roll that failed, that a person takes back, or that one just ends.

    the digest is held              at once, whatever else can be reached
    refreshes in flight             taken back by AWS itself
    regions' pointers               to the AMI before
    groups with new instances       by a refresh to the version before, the last wave first
    the channel's revert            proposed

What cannot be done is written down with its reason, and does not keep the rest from being done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from goldpress.aws.scaling import Preferences, Refresh, RefreshRequest
from goldpress.digest import short
from goldpress.fleet import canary
from goldpress.fleet.actions import (
    Action,
    Cancel,
    Hold,
    Point,
    Propose,
    Start,
    TakeBack,
    name_of,
)
from goldpress.fleet.ending import Ending, Person, Waiting
from goldpress.fleet.journal import GroupRoll, RollState, known
from goldpress.fleet.learning import Terms, is_back
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.fleet.sight import Sight, reference, refresh_of

POLL_SECONDS = 30.0
RESUME = "then run the command again: it goes on from there"


def next_back(
    plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> tuple[Action, ...] | Ending:
    """What is due on the way back of a roll that failed; Person when only people can go on."""
    failure = state.failure
    why = failure.why if failure else "by hand"
    found = [row for row in _duties(state, why) if name_of(row) not in terms.tried]
    waits: list[str] = []
    for group in in_order_back(plan):
        due = _of_group(group, state, sight, now, terms)
        if isinstance(due, str):
            waits.append(due)
        elif due is not None and group.key not in terms.tried:
            found.append(due)
    step = canary.next_end(plan, state, sight, now)
    if isinstance(step, Waiting):
        waits.append(step.why)
    elif step is not None and "canary" not in terms.tried:
        # While it is behind the load balancers, each moment costs requests.
        found = [*step, *found]
    found = _in_lanes(plan, state, found)
    if found:
        return tuple(found)
    if waits:
        return Waiting(until=now + POLL_SECONDS, why=f"going back: {'; '.join(waits)}")
    return _person(plan, state, sight, terms)


def over(plan: RollPlan, state: RollState) -> bool:
    """Whether everything is back, and everything told that has to be."""
    groups = (state.group(row.key) for row in plan.groups)
    return (
        all(not row.touched or row.state == "rolled-back" for row in groups)
        and all(
            row.where not in {"moving", "moved"} or not row.before
            for row in state.pointers.values()
        )
        and state.canary.stage in {"", "ended"}
        and bool(state.held)
        and bool(state.proposed)
    )


def next_abort(
    plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> tuple[Action, ...] | Ending | None:
    """What is due so that nothing goes on, and nothing goes back; None when all has stopped."""
    found: list[Action] = []
    waits: list[str] = []
    for group in in_order_back(plan):
        roll, seen = state.group(group.key), sight.groups.get(group.key)
        if not roll.touched:
            continue
        if seen is None:
            waits.append(f"{group.key} cannot be seen: {sight.unseen.get(group.key, '')}")
            continue
        active = seen.active
        if active is None or active.id != roll.refresh:
            continue
        if active.status == "Cancelling" or group.key in terms.tried or roll.may_show(now):
            waits.append(f"{group.key}: {active.status}")
        else:
            found.append(Cancel(group=group, why="the roll was aborted"))
    step = canary.next_end(plan, state, sight, now)
    if isinstance(step, Waiting):
        waits.append(step.why)
    elif step is not None:
        found += step
    if found:
        return tuple(found)
    if waits:
        return Waiting(until=now + POLL_SECONDS, why=f"stopping: {'; '.join(waits)}")
    return None


def in_order_back(plan: RollPlan) -> tuple[GroupPlan, ...]:
    """Every group once, those of the last wave first."""
    keys = dict.fromkeys(row.key for wave in reversed(plan.waves) for row in reversed(wave.groups))
    return tuple(plan.group(key) for key in keys)


def preferences_back(preferences: Preferences) -> Preferences:
    """How a group goes back: through to the end, whatever the alarms say of the image that goes."""
    return replace(
        preferences,
        checkpoints=(),
        alarms=(),
        bake_seconds=0,
        # To go back from going back would be to the bad one.
        auto_rollback=False,
        skip_matching=True,
    )


def _duties(state: RollState, why: str) -> Iterator[Action]:
    if not state.held:
        yield Hold(why=why)
    for region, pointer in sorted(state.pointers.items()):
        if pointer.where in {"moving", "moved"} and pointer.before:
            yield Point(region=region, pointer=pointer, back=True)
    if state.held and not state.proposed:
        yield Propose(why=why)


def _of_group(  # noqa: PLR0911 - one reason after another for which nothing is due
    group: GroupPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> Action | str | None:
    """What is due of one group: an action, what it waits for, or nothing (any more)."""
    roll, seen = state.group(group.key), sight.groups.get(group.key)
    if not roll.touched or roll.state in {"rolled-back", "failed"} or seen is None:
        return None
    if seen.active is not None:
        return _in_flight(group, roll, seen.active, now, terms)
    if terms.no_way_back:
        return None
    if roll.may_show(now):
        return f"{group.key}: whether its refresh runs shows soon"
    if roll.back and refresh_of(seen, roll.refresh) is None:
        return f"{group.key}: its refresh {roll.refresh} shows soon"
    template = seen.group.template
    mine = {reference(group, row) for row in (group.from_version, roll.to_version) if row}
    if not any(row.same(template) for row in mine):
        return None
    back = reference(group, group.from_version)
    return Start(
        group=group,
        request=RefreshRequest(
            group=group.group,
            template=back,
            mixed=seen.group.mixed_at(back),
            preferences=preferences_back(group.preferences),
        ),
        known=known(row.id for row in seen.refreshes if back.same(row.desired)),
        back=True,
    )


def _in_flight(
    group: GroupPlan, roll: GroupRoll, active: Refresh, now: float, terms: Terms
) -> Action | str:
    told = f"{group.key}: {active.status}, {active.percentage} %"
    if active.id != roll.refresh or active.rollback or active.status == "Cancelling" or roll.back:
        return told
    if roll.may_show(now) and roll.intent and roll.intent.call != "start":
        return told
    if terms.no_way_back:
        return Cancel(group=group, why=f"nobody may go back: {terms.no_way_back}")
    return TakeBack(group=group)


def _in_lanes(plan: RollPlan, state: RollState, found: list[Action]) -> list[Action]:
    """As many refreshes at once as the plan lets; whatever else is due, is."""
    lanes = plan.groups_at_once - sum(
        row.back and row.state == "rolling-back" for row in state.groups.values()
    )
    rows: list[Action] = []
    for row in found:
        if isinstance(row, Start):
            if lanes <= 0:
                continue
            lanes -= 1
        rows.append(row)
    return rows


def _person(plan: RollPlan, state: RollState, sight: Sight, terms: Terms) -> Person:
    left = dict(state.left)
    if terms.no_way_back:
        left["the way back"] = terms.no_way_back
    for group in in_order_back(plan):
        roll = state.group(group.key)
        if not roll.touched or roll.state == "rolled-back":
            continue
        seen = sight.groups.get(group.key)
        if roll.state == "failed":
            left[group.key] = roll.why
        elif seen is None:
            left[group.key] = sight.unseen.get(group.key, "cannot be seen")
        elif not is_back(group, seen):
            left.setdefault(group.key, f"its template is {seen.group.template.text} now")
    rows = "; ".join(f"{name}: {why}" for name, why in sorted(left.items()))
    why = state.failure.why if state.failure else ""
    return Person(
        why=f"{short(state.digest)} goes back ({why}), and this is left: {rows or 'nothing'}",
        hint=f"see to what is left, {RESUME}",
    )
