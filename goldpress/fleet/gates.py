"""Owns gates: what is looked at before the next wave, and what it says, with its numbers.

A gate is `open`, `bad` (the roll goes back) or it `waits`. Data that is missing is never open: the
roll waits, and says for what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from goldpress.fleet.journal import GroupRoll, RollState
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import RollPlan, WaveGroup, WavePlan, count_of
from goldpress.fleet.sight import Sight, new_serving
from goldpress.replacement import Limits
from goldpress.terms import Gate

Says = Literal["open", "bad", "waits"]
ALARM, OK = "ALARM", "OK"
#: One instance of many may be lost to EC2 or Spot; more of them are the image's.
LOST_PERCENT = 5
PER_MILLE = 1000
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one gate says of one group (its key; empty: of the wave), with its numbers in words.

    `before`: it is bad, and was before anything was begun.
    """

    gate: Gate
    group: str
    says: Says
    told: str
    before: bool = False

    @property
    def text(self) -> str:
        """It in a line."""
        name = self.group.rpartition("/")[2] or "the wave"
        return f"{self.gate} {self.says}: {name}: {self.told}"


def verdicts(plan: RollPlan, state: RollState, sight: Sight, limits: Limits) -> tuple[Verdict, ...]:
    """What every gate of the wave under way says now, group by group."""
    wave = plan.waves[state.wave]
    found: list[Verdict] = []
    for gate in wave.gates:
        if gate == "verify":
            found.append(verify(wave, state))
        else:
            found += (_of(gate, plan, row, state, sight, limits=limits) for row in wave.groups)
    return tuple(found)


def of_requests(wave: WavePlan, key: str, sight: Sight, limits: Limits) -> tuple[Verdict, ...]:
    """What the gates of a wave that look at requests say of a group, whoever answered them."""
    return tuple(
        Verdict(gate=gate, group=key, says=says, told=told)
        for gate in wave.gates
        if gate in {"alarms", "errors", "latency"}
        for says, told in (_measured(gate, key, sight, limits),)
    )


def _measured(gate: Gate, key: str, sight: Sight, limits: Limits) -> tuple[Says, str]:
    if key in sight.blind:
        return "waits", f"CloudWatch cannot be asked: {sight.blind[key]}"
    if gate == "alarms":
        return alarms(sight, key)
    return (errors if gate == "errors" else latency)(sight, key, limits)


def _of(
    gate: Gate, plan: RollPlan, row: WaveGroup, state: RollState, sight: Sight, *, limits: Limits
) -> Verdict:
    seen = sight.groups.get(row.key)
    if seen is None:
        why = sight.unseen.get(row.key, "nobody looked")
        return Verdict(gate=gate, group=row.key, says="waits", told=f"cannot be seen: {why}")
    roll = state.group(row.key)
    if gate == "healthy":
        says, told = healthy(plan, row, roll, seen)
        return Verdict(gate=gate, group=row.key, says=says, told=told)
    says, told = _measured(gate, row.key, sight, limits)
    # What was bad before anything was begun is not the image's doing.
    if says == "bad" and not roll.touched:
        told = f"{told}; it was so before anything was begun"
        return Verdict(gate=gate, group=row.key, says="waits", told=told, before=True)
    return Verdict(gate=gate, group=row.key, says=says, told=told)


def healthy(plan: RollPlan, row: WaveGroup, roll: GroupRoll, seen: Observed) -> tuple[Says, str]:
    """Whether as many instances serve as the group is to have, and enough of them are new."""
    desired, serving = seen.group.desired, len(seen.serving())
    new = new_serving(seen, plan.group(row.key), roll)
    wanted = count_of(desired, row.share)
    numbers = f"{serving} of {desired} serve, {new} of {wanted} are new"
    if reason := lost(roll, new):
        return "bad", f"{reason}; {numbers}"
    # What scales out at a checkpoint launches the old version: it is the next wave's.
    enough = new >= (1 if roll.state == "cancelled" else wanted)
    return ("open" if serving >= desired and enough else "waits"), numbers


def lost(roll: GroupRoll, serving: int) -> str:
    """Why the new instances that were lost are too many; empty when they are not.

    The first one is, where no other new one serves: AWS would go on launching such for an hour.
    """
    count = len(roll.lost)
    allowed = max(1, serving * LOST_PERCENT // 100)
    if count == 0 or (serving > 0 and count <= allowed):
        return ""
    more = f" and {count - NAMED} more" if count > NAMED else ""
    return f"{count} new instances failed: {', '.join(roll.lost[:NAMED])}{more}"


def alarms(sight: Sight, key: str) -> tuple[Says, str]:
    """Whether every alarm of the group says OK."""
    rows = sorted(sight.alarms.get(key, {}).items())
    if not rows:
        return "waits", "no alarm was found to look at"
    if ringing := [name for name, state in rows if state == ALARM]:
        return "bad", f"in ALARM: {', '.join(ringing)}"
    if silent := [f"{name} {state or 'is not there'}" for name, state in rows if state != OK]:
        return "waits", f"no data: {', '.join(silent)}"
    return "open", f"{len(rows)} OK"


def errors(sight: Sight, key: str, limits: Limits) -> tuple[Says, str]:
    """Whether few enough requests were answered by an error."""
    traffic = sight.traffic.get(key)
    if traffic is None or traffic.requests is None or traffic.errors is None:
        return "waits", f"CloudWatch has no requests of the last {limits.minutes} minutes"
    found, count = traffic.errors, traffic.requests
    numbers = f"{found:.0f} errors in {count:.0f} requests of {limits.minutes} minutes"
    # Too few to be sure that all is well may be enough to see that it is not.
    if found * PER_MILLE > limits.errors_per_mille * max(count, limits.requests):
        return "bad", f"{numbers}; {limits.errors_per_mille} of {PER_MILLE} may be"
    if count < limits.requests:
        return "waits", f"{numbers}; {limits.requests} are needed"
    return "open", f"{numbers}; {limits.errors_per_mille} of {PER_MILLE} may be"


def latency(sight: Sight, key: str, limits: Limits) -> tuple[Says, str]:
    """Whether requests are answered soon enough: all but the slowest of a hundred."""
    traffic = sight.traffic.get(key)
    if traffic is None or traffic.latency_seconds is None:
        return "waits", f"CloudWatch has no latency of the last {limits.minutes} minutes"
    found = traffic.latency_seconds * 1000
    numbers = f"p99 {found:.0f} ms, at most {limits.latency_ms} ms"
    if (traffic.requests or 0) < limits.requests:
        return "waits", f"{numbers}; {limits.requests} requests are needed to judge"
    return ("open" if found <= limits.latency_ms else "bad"), numbers


def verify(wave: WavePlan, state: RollState) -> Verdict:
    """Whether the suite passed on one of the wave's new instances."""
    if state.sample:
        return Verdict(gate="verify", group="", says="open", told=f"evidence {state.sample}")
    why = state.left.get("verify") or f"no new instance of {wave.name} was verified yet"
    return Verdict(gate="verify", group="", says="waits", told=why)


def bad(rows: Sequence[Verdict]) -> str:
    """Why the roll has to go back; empty when no gate says so."""
    return "; ".join(row.text for row in rows if row.says == "bad")


def waits(rows: Sequence[Verdict]) -> str:
    """What the roll waits for; empty when every gate is open."""
    return "; ".join(row.text for row in rows if row.says == "waits")


def before(rows: Sequence[Verdict]) -> Iterator[Verdict]:
    """What was bad before anything was begun."""
    return (row for row in rows if row.before)
