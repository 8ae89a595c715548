"""Owns what the rules of Auto Scaling ask of the cloud around them: machines, targets, alarms.

The rules know neither HTTP nor moto. Whoever implements these four protocols gives them a cloud:
the embedded one with real or virtual instances, or the one inside a process for simulations. One
object of each serves one account and region.

Nothing is polled that says when it may next be different: every question about a state has a
`next_...` beside it that gives the Unix time in seconds up to which the answer stays the same
(``inf``: for good, unless someone acts). An implementation that cannot know answers with the time
at which it wants to be asked again, such as a second from now. One that learns of a change earlier
(someone terminates an instance past the group) calls `Region.wake` of `goldpress.emulator.scaling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

#: What `next_...` answers when nothing will change by itself.
NEVER = float("inf")


class LaunchRefused(Exception):  # noqa: N818 - it is EC2's answer, not a fault of ours
    """EC2 does not launch: its code and words, as in ``InsufficientInstanceCapacity``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass(frozen=True, kw_only=True)
class TemplateVersion:
    """A version of a launch template; `number` is never ``$Latest``, `data` is boto-shaped."""

    id: str
    name: str
    number: int
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """One instance that a group wants. `image_id` may be empty: then the template's holds.

    `subnet` may be empty, `zone` never is; `spot` asks for a Spot instance. `tags` are those that
    the group passes on, ``aws:autoscaling:groupName`` and the template's two among them.
    """

    group: str
    template: TemplateVersion
    instance_type: str
    zone: str
    subnet: str = ""
    image_id: str = ""
    spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


class Machines(Protocol):
    """EC2 instances of one account and region."""

    def launch(self, request: LaunchRequest) -> str:
        """The new instance's id. Raises LaunchRefused."""

    def state(self, instance: str) -> str:
        """[M] InstanceStateName: pending, running, shutting-down, terminated, stopping, stopped.

        `terminated` also for one that nobody remembers.
        """

    def impaired(self, instance: str) -> bool:
        """Whether one of EC2's status checks says `impaired`; not while it is initializing."""

    def next_change(self, instance: str) -> float:
        """Until when `state` and `impaired` stay as they are."""

    def terminate(self, instance: str) -> None:
        """Begin its end; nothing for one that has ended."""

    def place(self, instance: str) -> tuple[str, str]:
        """Its type and zone, for AttachInstances. Raises KeyError."""


class Targets(Protocol):
    """The target groups of one account and region, by ARN."""

    def exists(self, target_group: str) -> bool:
        """Whether there is such a target group."""

    def register(self, target_group: str, instance: str) -> None:
        """Add it; registered ones stay as they are."""

    def deregister(self, target_group: str, instance: str) -> None:
        """Begin to drain it; it is `unused` once the deregistration delay is over."""

    def look(self, target_group: str, instance: str) -> tuple[str, float]:
        """[M] TargetHealthStateEnum, and until when it stays so.

        initial, healthy, unhealthy, draining, unused; in a target group that is gone it is unused.
        """


class Alarms(Protocol):
    """CloudWatch's alarms of one account and region."""

    def state(self, name: str) -> str:
        """[M] StateValue: OK, ALARM, INSUFFICIENT_DATA. Raises KeyError for no such alarm."""

    def next_change(self, name: str) -> float:
        """Until when it stays as it is."""


class Templates(Protocol):
    """The launch templates of one account and region."""

    def version(self, template: str, version: str) -> TemplateVersion:
        """A version by the template's id or name; empty is ``$Default``. Raises KeyError."""

    def problem(self, version: TemplateVersion) -> str:
        """Why RunInstances would refuse it, in EC2's words; empty: it would not."""


class Time(Protocol):
    """What tells the time: `goldpress.emulator.clock.Clock` is one."""

    def now(self) -> float:
        """Unix time in seconds."""


class Networks(Protocol):
    """The subnets and zones of one account and region."""

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet. Raises KeyError."""

    def zones(self) -> tuple[str, ...]:
        """The region's zones."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Everything around the groups of one account and region."""

    account: str
    region: str
    clock: Time
    machines: Machines
    targets: Targets
    alarms: Alarms
    templates: Templates
    networks: Networks
