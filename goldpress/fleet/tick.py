"""Owns the tick: what is due now, or how it ends: done, waiting until a time, or a person. Pure.

It decides by the plan, the journal, what was seen and the time, and by nothing else, so that
whoever comes next, after whatever death, decides the same.
"""

from __future__ import annotations

from dataclasses import replace

from goldpress.aws.scaling import RefreshRequest
from goldpress.digest import short
from goldpress.fleet import back, canary, gates, pause
from goldpress.fleet.actions import Action, Cancel, MakeTemplate, Point, Sample, Start
from goldpress.fleet.ceiling import room
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.fleet.journal import SHOWN_SECONDS, RollState, known
from goldpress.fleet.learning import MINUTE, Terms, reached, share_of
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import GroupPlan, RollPlan, WavePlan, checkpointed
from goldpress.fleet.sight import Sight, new_of, new_serving, reference, refresh_of

POLL_SECONDS = 60.0
#: While it soaks or waits for data; a gate that turns bad is to be seen soon.
GATE_SECONDS = 120.0
#: Data that is missing for so long will not come by itself.
PATIENCE_SECONDS = 3600.0
#: A refresh shows no progress for so long where something is wrong that AWS does not tell.
STUCK_SECONDS = 7200.0


def next_actions(  # noqa: PLR0911 - one phase after another
    plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> tuple[Action, ...] | Ending:
    """What is due now, or how the tick ends."""
    if state.over:
        return over(state)
    if state.phase == "going-back":
        return back.next_back(plan, state, sight, now, terms)
    if state.phase == "aborting":
        found = back.next_abort(plan, state, sight, now, terms)
        return found or Waiting(until=now, why="stopped")
    if state.paused:
        return pause.next_paused(plan, state, sight, now, terms)
    if terms.frozen:
        return Waiting(until=now + GATE_SECONDS, why=f"nothing begins now: {terms.frozen}")
    if points := _points(plan, state):
        return points
    step = canary.next_step(plan, state, sight, now, terms.limits)
    if step is not None:
        return step
    if state.wave >= len(plan.waves):
        return Waiting(until=now, why="every wave has ended")
    return _wave(plan, state, sight, now, terms)


def wanted(plan: RollPlan, state: RollState) -> frozenset[str]:
    """The groups that have to be looked at: those of this wave, and all that were touched."""
    keys = {row.key for row in plan.groups if state.group(row.key).touched}
    if plan.canary and not canary.is_over(plan, state):
        keys.add(plan.canary)
    if state.phase == "rolling":
        # The ceilings are of all groups together.
        keys |= {row.key for row in plan.groups}
    return frozenset(keys)


def ended(plan: RollPlan, state: RollState, sight: Sight) -> RollState:
    """The journal once nothing is left to be done."""
    if state.phase == "going-back" and back.over(plan, state):
        return replace(state, phase="rolled-back", left={})
    stopped = state.canary.stage in {"", "ended"} and not _points(plan, state)
    if state.phase == "rolling" and state.wave >= len(plan.waves) and stopped:
        return replace(state, phase="done", left={})
    if state.phase == "aborting" and state.canary.stage in {"", "ended"}:
        keys = [row.key for row in plan.groups if state.group(row.key).touched]
        seen = [sight.groups.get(key) for key in keys]
        if all(row is not None and row.active is None for row in seen):
            return replace(state, phase="aborted", left={})
    return state


def over(state: RollState) -> Ending:
    """How a tick ends of a roll that is over."""
    digest = short(state.digest)
    if state.phase == "done":
        return Done(told=f"{digest} is what every group of {state.channel} runs")
    if state.phase == "aborted" and state.heals and state.failure and not state.failure.by_hand:
        return Person(
            why=f"healing {state.channel} was stopped: {state.failure.why}",
            hint="see to it, then `./inv drift` tells what is left",
        )
    if state.phase == "aborted":
        return Done(told=f"the roll of {digest} was aborted: what it replaced stays")
    why = state.failure.why if state.failure else ""
    stays = sorted(
        region
        for region, row in state.pointers.items()
        if row.where in {"moving", "moved"} and not row.before
    )
    # The channel's first image: nothing is there to point at instead.
    left = f"; consumers of {', '.join(stays)} still take it: there is none before" if stays else ""
    return Person(
        why=f"{digest} was taken back everywhere, and is held: {why}{left}",
        hint=f"merge the revert ({state.proposed}), then `./inv promote {state.channel}`",
    )


def _points(plan: RollPlan, state: RollState) -> tuple[Action, ...]:
    """Pointers of regions whose last wave has ended; of those without groups, with the last."""
    last = {
        region: max(
            index
            for index, wave in enumerate(plan.waves)
            if any(plan.group(row.key).region == region for row in wave.groups)
        )
        for region in {plan.group(row.key).region for wave in plan.waves for row in wave.groups}
    }
    return tuple(
        Point(region=region, pointer=pointer)
        for region, pointer in sorted(state.pointers.items())
        if pointer.where in {"", "moving"} and state.wave > last.get(region, len(plan.waves) - 1)
    )


def _wave(
    plan: RollPlan, state: RollState, sight: Sight, now: float, terms: Terms
) -> tuple[Action, ...] | Ending:
    wave = plan.waves[state.wave]
    for row in wave.groups:
        if row.key not in sight.groups:
            why = sight.unseen.get(row.key, "nobody looked")
            return Waiting(until=now + POLL_SECONDS, why=f"{row.key} cannot be seen: {why}")
    if person := _meddled(plan, wave, state, sight):
        return person
    if reached(wave, state):
        return _gates(plan, wave, state, sight, now, terms=terms)
    if actions := _templates(plan, wave, state) or _cancels(plan, wave, state, sight, now):
        return actions
    return _starts(plan, wave, state, sight, now, terms=terms)


def _meddled(plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight) -> Person | None:
    """Somebody else has changed a group that this wave is to change."""
    for row in wave.groups:
        group, roll, seen = plan.group(row.key), state.group(row.key), sight.groups[row.key]
        active = seen.active
        mine = active is not None and active.id == roll.refresh
        ours = reference(group, roll.to_version).same(active.desired) if active else False
        if active is not None and not mine and not (roll.intent is not None and ours):
            return Person(
                why=f"{row.key}: refresh {active.id} of somebody else is {active.status}",
                hint=f"let it end or cancel it, {back.RESUME}",
            )
        template = seen.group.template
        versions = [v for v in (group.from_version, roll.to_version) if v]
        if not any(reference(group, version).same(template) for version in versions):
            return Person(
                why=f"{row.key}: launches from {template.text} now, the plan is of version "
                f"{group.from_version}: somebody (Terraform, CloudFormation) moved it",
                hint=f"`./inv roll.abort {state.channel}`, settle it, then plan and roll anew",
            )
    return None


def _templates(plan: RollPlan, wave: WavePlan, state: RollState) -> tuple[Action, ...]:
    return tuple(
        MakeTemplate(group=plan.group(row.key), digest=plan.digest)
        for row in wave.groups
        if not state.group(row.key).to_version
    )


def _cancels(
    plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight, now: float
) -> tuple[Action, ...]:
    """Refreshes that wait at their checkpoint."""
    found: list[Action] = []
    for row in wave.groups:
        roll, seen = state.group(row.key), sight.groups[row.key]
        active = seen.active
        if roll.state != "checkpoint" or active is None or active.id != roll.refresh:
            continue
        if active.status != "Cancelling" and not roll.may_show(now):
            why = f"{row.share} percent are new"
            found.append(Cancel(group=plan.group(row.key), why=why))
    return tuple(found)


def _starts(
    plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight, now: float, *, terms: Terms
) -> tuple[Action, ...] | Ending:
    due = [
        row.key
        for row in wave.groups
        if state.group(row.key).state in {"template", "cancelled"}
        and state.group(row.key).share < row.share
        and row.key not in terms.tried
    ]
    if not due:
        return _under_way(plan, wave, state, sight, now)
    if before := list(gates.before(gates.verdicts(plan, state, sight, terms.limits))):
        why = "; ".join(row.text for row in before)
        return Waiting(until=now + GATE_SECONDS, why=f"{wave.name} does not begin: {why}")
    if shows := [key for key in due if state.group(key).may_show(now)]:
        return Waiting(until=now + SHOWN_SECONDS, why=f"whether {shows[0]} has begun shows soon")
    found = room(plan, state, sight, due)
    if found.keys:
        return tuple(_start(plan, state, plan.group(key), sight.groups[key]) for key in found.keys)
    if found.never:
        return Person(
            why=found.why,
            hint="raise `ceilings.unavailable` or the fleet's `min_healthy`, by a pull request",
        )
    return Waiting(until=now + POLL_SECONDS, why=found.why)


def _start(plan: RollPlan, state: RollState, group: GroupPlan, seen: Observed) -> Action:
    target = reference(group, state.group(group.key).to_version)
    share = share_of(plan, state.wave, group.key)
    return Start(
        group=group,
        request=RefreshRequest(
            group=group.group,
            template=target,
            # The group's own, as it is now: what a person changed of it since stays.
            mixed=seen.group.mixed_at(target),
            preferences=checkpointed(group.preferences, share),
        ),
        known=known(row.id for row in seen.refreshes if target.same(row.desired)),
    )


def _under_way(
    plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight, now: float
) -> Ending:
    told: list[str] = []
    for row in wave.groups:
        roll, seen = state.group(row.key), sight.groups[row.key]
        if roll.state not in {"started", "checkpoint"}:
            continue
        if roll.state == "started" and now > roll.since + _patience(plan.group(row.key), row.share):
            return Person(
                why=f"{row.key}: {_progress(plan, row.key, state, seen)} after "
                f"{(now - roll.since) / MINUTE:.0f} minutes",
                hint="look at the group's activities; `./inv rollback` takes it back, "
                "`./inv roll.abort` stops it where it is",
            )
        short = sight.short.get(row.key)
        lacks = f"; nothing is launched: {short.text}" if short else ""
        told.append(f"{row.key}: {_progress(plan, row.key, state, seen)}{lacks}")
    return Waiting(until=now + POLL_SECONDS, why="; ".join(told) or f"{wave.name} begins")


def _patience(group: GroupPlan, share: int) -> float:
    """For how many seconds a refresh may take: four times what is expected, and two hours."""
    return STUCK_SECONDS + 4.0 * group.seconds(share)


def _progress(plan: RollPlan, key: str, state: RollState, seen: Observed) -> str:
    group, roll = plan.group(key), state.group(key)
    found = refresh_of(seen, roll.refresh)
    status = f"{found.status} {found.percentage} %" if found else "its refresh shows soon"
    reason = f" ({found.reason})" if found and found.reason else ""
    return f"{status}, {new_serving(seen, group, roll)} of {seen.group.desired} are new{reason}"


def _gates(
    plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight, now: float, *, terms: Terms
) -> tuple[Action, ...] | Ending:
    due = "verify" in wave.gates and not state.sample and "verify" not in terms.tried
    sample = _sample(plan, wave, state, sight) if due else None
    if sample is not None:
        return (sample,)
    rows = gates.verdicts(plan, state, sight, terms.limits)
    if why := gates.waits(rows):
        since = state.waits_since or now
        if now > since + PATIENCE_SECONDS:
            return Person(
                why=f"{wave.name} waits for more than an hour: {why}",
                hint="bring the data, or let it be: it goes on as soon as every gate is open",
            )
        return Waiting(until=now + GATE_SECONDS, why=f"{wave.name}: {why}")
    end = (state.open_since or now) + wave.soak_minutes * MINUTE
    left = max(0.0, end - now)
    return Waiting(
        until=min(end, now + GATE_SECONDS),
        why=f"{wave.name} soaks for {left / MINUTE:.0f} more minutes with every gate open",
    )


def _sample(plan: RollPlan, wave: WavePlan, state: RollState, sight: Sight) -> Action | None:
    """One new instance of the wave: the same one, whoever asks."""
    for row in wave.groups:
        group, seen = plan.group(row.key), sight.groups[row.key]
        serving = {member.id for member in seen.serving()}
        new = sorted(
            member.id
            for member in new_of(seen, group, state.group(row.key))
            if member.id in serving
        )
        if new:
            return Sample(group=group, instance=new[0])
    return None
