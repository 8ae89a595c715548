"""Owns the instances of a group: their states, and the sets in which the rules look for them.

[M] LifecycleState. Every change of a state goes through `Members.move`, so that no rule has to
look at all instances to count some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.scaling.activities import Activity
from goldpress.emulator.scaling.hooks import Waits
from goldpress.emulator.scaling.world import NEVER, TemplateVersion

PENDING = ("Pending", "Pending:Wait", "Pending:Proceed")
TERMINATING = ("Terminating", "Terminating:Wait", "Terminating:Proceed")
#: Those that count to the group's capacity.
LIVE = frozenset({*PENDING, "InService"})
STATES = (
    *PENDING, "InService", *TERMINATING, "EnteringStandby", "Standby", "Detaching",
)  # fmt: skip


@dataclass(kw_only=True, eq=False)
class Member:
    """An instance of a group. Times are Unix seconds, None where they have not come yet.

    `ready` is what an instance refresh counts: in service, healthy, warmed up, and healthy for the
    load balancer where the group asks that. `template` is None for one that was attached.
    """

    id: str
    type: str
    zone: str
    template: TemplateVersion | None
    image: str = ""
    spot: bool = False
    launched: float
    state: str = "Pending"
    health: str = "Healthy"
    protected: bool = False
    in_service: float | None = None
    grace_until: float = 0.0
    warm_until: float = 0.0
    ready: bool = False
    marked: bool = False
    waits: Waits | None = None
    draining: set[str] = field(default_factory=set)
    activity: Activity | None = None
    #: when it is to be looked at next; older entries of the group's agenda are void
    due: float = NEVER
    row: dict[str, Any] | None = None
    #: brought in by AttachInstances, and not seen by a refresh yet
    attached: bool = False

    @property
    def live(self) -> bool:
        """Whether it counts to the group's capacity."""
        return self.state in LIVE

    def document(self) -> dict[str, Any]:
        """[M] Instance: the same object until something changes; nobody may change it."""
        if self.row is None:
            self.row = {
                "InstanceId": self.id,
                "InstanceType": self.type,
                "AvailabilityZone": self.zone,
                "LifecycleState": self.state,
                "HealthStatus": self.health,
                "ProtectedFromScaleIn": self.protected,
            }
            if self.template is not None:
                self.row["LaunchTemplate"] = {
                    "LaunchTemplateId": self.template.id,
                    "LaunchTemplateName": self.template.name,
                    "Version": str(self.template.number),
                }
            if self.image:
                # [M] Instance.ImageId: "Instances launched with AMI overrides".
                self.row["ImageId"] = self.image
        return self.row


@dataclass(kw_only=True)
class Members:
    """The instances of one group, by id, and by state."""

    every: dict[str, Member] = field(default_factory=dict)
    by_state: dict[str, dict[str, Member]] = field(
        default_factory=lambda: {state: {} for state in STATES}
    )
    ready: dict[str, Member] = field(default_factory=dict)
    unhealthy: dict[str, Member] = field(default_factory=dict)
    #: live ones
    in_zone: Counter[str] = field(default_factory=Counter)
    on_demand: int = 0
    live: int = 0
    #: counts changes: an answer made of the same revision is the same answer
    revision: int = 0
    #: a refresh that goes on wants to know of each change
    watch: Callable[[Member], None] | None = None
    #: who else is told of each change, in service or out: what counts need not look at all
    observers: list[Callable[[Member], None]] = field(default_factory=list)

    def add(self, member: Member) -> None:
        """A new one, in the state that it has."""
        self.every[member.id] = member
        self.by_state[member.state][member.id] = member
        self._count(member, 1 if member.live else 0)

    def move(self, member: Member, state: str) -> None:
        """Give it another state."""
        before = member.live
        del self.by_state[member.state][member.id]
        member.state = state
        self.by_state[state][member.id] = member
        if state != "InService":
            self.mark_ready(member, ready=False)
        if not member.live:
            self.unhealthy.pop(member.id, None)
        self._count(member, int(member.live) - int(before))

    def remove(self, member: Member) -> None:
        """It is no longer the group's."""
        del self.every[member.id]
        del self.by_state[member.state][member.id]
        self.ready.pop(member.id, None)
        self.unhealthy.pop(member.id, None)
        self._count(member, -1 if member.live else 0)

    def mark_ready(self, member: Member, *, ready: bool) -> None:
        """Whether it can serve: see `Member`."""
        if member.ready != ready:
            member.ready = ready
            self.revision += 1
            if ready:
                self.ready[member.id] = member
            else:
                self.ready.pop(member.id, None)
            self._tell(member)

    def mark_health(self, member: Member, health: str) -> None:
        """``Healthy`` or ``Unhealthy``."""
        member.health = health
        if health == "Healthy":
            self.unhealthy.pop(member.id, None)
        elif member.live:
            self.unhealthy[member.id] = member
        self.changed(member)

    def changed(self, member: Member) -> None:
        """Something that DescribeAutoScalingGroups shows has changed."""
        member.row = None
        self.revision += 1
        self._tell(member)

    def _tell(self, member: Member) -> None:
        if self.watch is not None:
            self.watch(member)
        for told in self.observers:
            told(member)

    def _count(self, member: Member, by: int) -> None:
        if by:
            self.live += by
            self.in_zone[member.zone] += by
            self.on_demand += 0 if member.spot else by
        self.changed(member)

    def any_in(self, states: tuple[str, ...]) -> bool:
        """Whether some are in one of these states."""
        return any(self.by_state[state] for state in states)
