"""Owns what has to be so at every moment of a roll, whatever happens; each breach is told.

    floor      as many instances are ready as the fleet's `min_healthy` of what a group is to have
    ceiling    no more are there than its `max_healthy`
    images     nothing is launched but the plan's AMI and the one before; nor what is held
    refreshes  a group has one refresh at a time
    sizes      minimum, maximum and desired are as others set them
    journal    every call that changes something is meant by the journal at that moment

What falls by itself (an instance that dies, or is taken), and what goes at the moment in which
somebody else lowers the desired capacity, lowers the floor until it was replaced; what somebody
else asks for in addition raises it only once it is there: a roll must not take more, and is not
asked to bring what it does not launch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.inprocess import Call, InProcessCloud
from goldpress.emulator.scaling.pace import limits
from goldpress.emulator.simulated.machines import Machines
from goldpress.emulator.simulated.place import Place
from goldpress.fleet import plan as plans
from goldpress.fleet.journal import GroupRoll, RollJournal, RollState
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.replacement import Replacing
from goldpress.simulation.duties import TAG
from goldpress.simulation.fleet import Fleet, Sized

#: More of them tell nothing more.
MOST_BREACHES = 20


@dataclass(frozen=True, kw_only=True)
class Breach:
    """An invariant that did not hold, of which group, so many seconds after the begin."""

    invariant: str
    scenario: str
    where: str
    seconds: float
    told: str

    @property
    def text(self) -> str:
        """It in a line."""
        hours, rest = divmod(int(self.seconds), 3600)
        at = f"{hours}:{rest // 60:02}:{rest % 60:02}"
        return f"{self.scenario}: {self.invariant}: {self.where} at {at}: {self.told}"


@dataclass(kw_only=True, eq=False)
class Watched:
    """A group, what was so of it when it was last looked at, and its bounds since."""

    sized: Sized
    terms: Replacing
    revision: int = -1
    desired: int = -1
    ready: frozenset[str] = frozenset()
    floor: int = 0
    live: int = 0
    refreshes: int = 0


@dataclass(kw_only=True, eq=False)
class Invariants:
    """Looks at every moment of the cloud's time, and at every call before it is carried out."""

    fleet: Fleet
    ticks: int = 0
    looks: int = 0
    writes: int = 0
    lost: int = 0
    breaches: list[Breach] = field(default_factory=list)
    #: the image is held, and the tick that did it has ended: from now on nobody launches it
    forbidden: bool = False
    _groups: list[Watched] = field(default_factory=list)
    _launched: dict[tuple[str, str], int] = field(default_factory=dict)
    _plan: RollPlan | None = None
    _digest: str = ""

    def __post_init__(self) -> None:
        by_key = {
            (fleet.account or self.fleet.layout.owner, fleet.region, name): fleet.replacing
            for fleet in self.fleet.layout.channel.policy.fleets
            for name in fleet.groups
        }
        for row in self.fleet.groups.values():
            terms = by_key[row.shape.account, row.shape.region, row.shape.name]
            self._groups.append(Watched(sized=row, terms=terms))
        for key, place in self.fleet.cloud.places.items():
            self._launched[key] = place.machines.launched
        self.moment(self.fleet.cloud)
        for watched in self._groups:
            watched.floor = self._wanted(watched)
        self.ticks = self.looks = 0
        self.fleet.cloud.watchers.append(self.moment)
        self.fleet.cloud.observers.append(self.call)

    # ---- each moment ----

    def moment(self, _cloud: InProcessCloud) -> None:
        """Look at everything that has changed since the last moment."""
        self.ticks += 1
        for key, place in self.fleet.cloud.places.items():
            if place.machines.launched != self._launched.get(key, 0):
                self._launches(key, place)
        for row in self._groups:
            group = row.sized.group
            if (group.min, group.max, group.desired) != row.sized.sizes:
                self._sizes(row)
            if len(group.refreshes) != row.refreshes:
                self._refreshes(row)
            if group.members.revision != row.revision or group.desired != row.desired:
                self._members(row)

    def _breach(self, invariant: str, where: str, told: str) -> None:
        if len(self.breaches) < MOST_BREACHES:
            self.breaches.append(
                Breach(
                    invariant=invariant, scenario=self.fleet.scenario.name, where=where,
                    seconds=self.fleet.now - self.fleet.began, told=told,
                )
            )  # fmt: skip

    def _sizes(self, row: Watched) -> None:
        group = row.sized.group
        found = (group.min, group.max, group.desired)
        told = f"min, max and desired are {found}, others set {row.sized.sizes}"
        self._breach("sizes", row.sized.shape.key, told)
        row.sized.sizes = found

    def _refreshes(self, row: Watched) -> None:
        group = row.sized.group
        row.refreshes = len(group.refreshes)
        active = [found.id for found in group.refreshes if found.active]
        if len(active) > 1:
            self._breach("refreshes", row.sized.shape.key, f"{len(active)} at once: {active}")

    def _launches(self, key: tuple[str, str], place: Place) -> None:
        machines = place.machines
        count = machines.launched - self._launched.get(key, 0)
        self._launched[key] = machines.launched
        approved = self.fleet.promoted.approved(place.region)
        if self.forbidden:
            approved -= {self.fleet.new(place.region)}
        for made in itertools.islice(reversed(machines.every.values()), count):
            if made.image not in approved:
                held = " (held)" if made.image == self.fleet.new(place.region) else ""
                where = f"{place.account}/{place.region}/" + made.tags.get(
                    "aws:autoscaling:groupName", made.id
                )
                self._breach("images", where, f"{made.id} was launched of {made.image}{held}")

    def _wanted(self, row: Watched) -> int:
        return -(-row.sized.group.desired * row.terms.min_healthy // 100)

    def _members(self, row: Watched) -> None:
        """The floor and the ceiling of a group; see the module for what lowers the floor."""
        self.looks += 1
        group = row.sized.group
        members = group.members
        ready = frozenset(members.ready)
        if left := row.ready - ready:
            fell = sum(_fell(row.sized.place.machines, name, self.fleet.now) for name in left)
            row.floor -= fell
            self.lost += fell
        wanted = self._wanted(row)
        row.floor = min(row.floor, wanted)
        if group.desired < row.desired:
            # AWS chooses what goes by age and zone, whether or not the others are ready yet.
            row.floor = min(row.floor, len(ready))
        if len(ready) < row.floor:
            told = f"{len(ready)} of {group.desired} are ready, the floor is {row.floor}"
            self._breach("floor", row.sized.shape.key, told)
            row.floor = len(ready)
        row.floor = max(row.floor, min(wanted, len(ready)))
        most = limits(
            group.desired, min_healthy=row.terms.min_healthy, max_healthy=row.terms.max_healthy
        ).ceiling
        if members.live > max(most, row.live):
            told = f"{members.live} are there for {group.desired} desired, the ceiling is {most}"
            self._breach("ceiling", row.sized.shape.key, told)
        row.revision, row.desired = members.revision, group.desired
        row.ready, row.live = ready, members.live

    # ---- each call ----

    def call(self, call: Call) -> None:
        """Whether the journal means a call that is about to be made."""
        if not call.writes:
            return
        self.writes += 1
        made = self.fleet.promoted
        state = RollJournal.read(made.ws.store.objects, made.channel.image, made.channel.name).state
        if state is None:
            why = "there is no journal"
        else:
            if self._plan is None or self._digest != state.plan:
                self._plan, self._digest = plans.load(made.ws.store, state.plan), state.plan
            machines = self.fleet.cloud.place(call.account, call.region).machines.every
            canaries = (
                frozenset(
                    row.id for row in machines.values() if row.tags.get(TAG) == state.canary.token
                )
                if call.operation == "TerminateInstances"
                else frozenset[str]()
            )
            why = unexplained(call, self._plan, state, canaries)
        if why:
            name = call.request.get("AutoScalingGroupName", call.service)
            where = f"{call.account}/{call.region}/{name}"
            self._breach("journal", where, f"{call.service}:{call.operation}: {why}")


def _fell(machines: Machines, instance: str, now: float) -> bool:
    """Whether an instance has ended by itself: by its fate, or because EC2 took it."""
    row = machines.every.get(instance)
    return row is not None and (now >= row.dies or now >= row.ends)


def unexplained(
    call: Call, plan: RollPlan, state: RollState, canaries: frozenset[str] = frozenset()
) -> str:
    """Why the journal does not mean this call; empty when it does. Pure.

    `canaries` are the instances that were launched with the token of the journal's canary.
    """
    request = call.request
    name = f"{call.service}:{call.operation}"
    rows = {
        row.key: (row, state.group(row.key))
        for row in plan.groups
        if (row.account, row.region) == (call.account, call.region)
    }
    if name == "ec2:CreateLaunchTemplateVersion":
        template = request.get("LaunchTemplateId")
        meant = (r for g, r in rows.values() if g.template == template)
        ok = any(_means(roll, "template") for roll in meant)
        return "" if ok else f"no group's template {template} was about to get a version"
    if call.service == "autoscaling":
        key = f"{call.account}/{call.region}/{request.get('AutoScalingGroupName', '')}"
        if key not in rows:
            return f"{key} is not of the plan"
        return _of_group(call.operation, request, *rows[key])
    if name in _CANARY:
        return _of_canary(name, request, state, canaries)
    if name == "ssm:PutParameter":
        pointer = state.pointers.get(call.region)
        moving = pointer is not None and (
            (pointer.where in {"moving", "moved"} and pointer.after == request.get("Value"))
            or (state.phase == "going-back" and pointer.before == request.get("Value"))
        )
        return "" if moving else f"no pointer was about to move to {request.get('Value')}"
    return "a roll makes no such call"


def _means(roll: GroupRoll, *calls: str) -> bool:
    return roll.intent is not None and roll.intent.call in calls


def _of_group(operation: str, request: Mapping[str, Any], group: GroupPlan, roll: GroupRoll) -> str:
    if operation == "StartInstanceRefresh":
        wanted = request["DesiredConfiguration"]
        template = (
            wanted.get("LaunchTemplate")
            or (wanted["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"])
        )
        version = template.get("Version")
        if _means(roll, "start") and version == roll.to_version:
            return ""
        if _means(roll, "start-back") and version == group.from_version:
            return ""
        return f"no refresh to version {version} was about to start"
    if operation == "CancelInstanceRefresh":
        return "" if _means(roll, "cancel", "roll-back") else "nothing was about to be cancelled"
    if operation == "RollbackInstanceRefresh":
        return "" if _means(roll, "roll-back") else "nothing was about to be taken back"
    return "a roll makes no such call"


_CANARY = frozenset(
    {
        "ec2:RunInstances", "ec2:TerminateInstances", "elbv2:RegisterTargets",
        "elbv2:DeregisterTargets",
    }
)  # fmt: skip


def _of_canary(
    name: str, request: Mapping[str, Any], state: RollState, canaries: frozenset[str]
) -> str:
    canary = state.canary
    if name == "ec2:RunInstances":
        ok = canary.stage == "launching" and request.get("ClientToken") == canary.token
        return "" if ok else "no canary with this token was about to be launched"
    if name == "ec2:TerminateInstances":
        ids = frozenset(request["InstanceIds"])
        ok = bool(canary.token) and canary.stage != "ended" and ids <= canaries
        return "" if ok else f"{', '.join(sorted(ids))}: no canary that was about to be ended"
    targets = [row["Id"] for row in request["Targets"]]
    ok = canary.stage == "registered" and targets == [canary.instance]
    return "" if ok else f"{', '.join(targets)}: the canary is {canary.instance} {canary.stage}"
