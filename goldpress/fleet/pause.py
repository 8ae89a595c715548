"""Owns a pause: nothing begins until a person lets it, whoever it was that paused. Pure."""

from __future__ import annotations

from goldpress.fleet.actions import Action, Cancel
from goldpress.fleet.ending import Ending, Person, Waiting
from goldpress.fleet.journal import RollState
from goldpress.fleet.learning import Terms
from goldpress.fleet.plan import RollPlan
from goldpress.fleet.sight import Sight

POLL_SECONDS = 60.0


def next_paused(
    plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> tuple[Action, ...] | Ending:
    """What is due in a pause, or how the tick ends.

    A person's pause is waited for. One for want of instances needs a person, once the refreshes
    that get none have been cancelled; one that AWS takes back already is left to it.
    """
    resume = f"`./inv roll.resume {state.channel}` goes on"
    rows = [row for row in plan.groups if state.group(row.key).short]
    found: list[Action] = []
    waits = ""
    for group in rows:
        roll, seen = state.group(group.key), sight.groups.get(group.key)
        active = seen.active if seen else None
        if active is None or active.id != roll.refresh:
            continue
        if active.status == "Cancelling":
            waits = f"{group.key}: its refresh is being cancelled"
        elif roll.may_show(now):
            waits = f"{group.key}: whether its refresh was cancelled shows soon"
        elif roll.state == "started" and not active.rollback and group.key not in terms.tried:
            found.append(Cancel(group=group, why="nothing is launched"))
    if found:
        return tuple(found)
    if waits:
        return Waiting(until=now + POLL_SECONDS, why=f"{waits}; {state.paused}")
    if any(state.paused == state.group(row.key).short for row in rows):
        return Person(why=f"{state.paused}; the image is not held for it", hint=f"then {resume}")
    return Waiting(until=float("inf"), why=f"paused: {state.paused}; {resume}")
