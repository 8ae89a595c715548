"""Owns an Auto Scaling group: its settings, its instances, and when it has to be looked at again.

[M] AutoScalingGroup. The rules that change it are in the other modules of this package.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goldpress.emulator.scaling.activities import Activities, utc
from goldpress.emulator.scaling.configuration import Configuration
from goldpress.emulator.scaling.hooks import Hook
from goldpress.emulator.scaling.member import Member, Members
from goldpress.emulator.scaling.world import NEVER, Cloud

if TYPE_CHECKING:
    from goldpress.emulator.scaling.refresh import Refresh

#: [M] SuspendProcesses: the processes.
PROCESSES = (
    "Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck",
    "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions",
)  # fmt: skip
#: [M] CreateAutoScalingGroup: the defaults.
DEFAULT_COOLDOWN = 300
#: What an implementation of `Machines` has to keep: nothing changes sooner than this.
LEAST_SECONDS = 0.001
AT_ONCE = 0.0
#: Our own guess: how long a group waits after a failed launch, doubled each time up to the second.
RETRY_SECONDS, LONGEST_RETRY = 30.0, 600.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """[M] InstanceMaintenancePolicy, in percent of the desired capacity."""

    min: int
    max: int


@dataclass(kw_only=True, eq=False)
class Group:
    """One group. Times are Unix seconds of the cloud's clock.

    `subnets` are pairs of subnet (may be empty) and zone; `warmup` is DefaultInstanceWarmup.
    """

    cloud: Cloud
    name: str
    created: float
    configuration: Configuration
    identity: Callable[[], str]
    min: int
    max: int
    desired: int
    subnets: tuple[tuple[str, str], ...]
    health_check: str = "EC2"
    grace: int = 0
    warmup: int | None = None
    cooldown: int = DEFAULT_COOLDOWN
    protect_new: bool = False
    policy: Bounds | None = None
    target_groups: list[str] = field(default_factory=list)
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    suspended: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    termination_policies: tuple[str, ...] = ("Default",)
    #: members of the group that are kept as they were given and shown, with no effect here
    shown: dict[str, Any] = field(default_factory=dict)
    members: Members = field(default_factory=Members)
    refreshes: list[Refresh] = field(default_factory=list)
    deleting: bool = False
    launches: int = 0
    failures: int = 0
    retry_at: float = 0.0
    #: why the desired capacity is as it is, for the next activity's cause
    because: str = ""
    #: the group itself is to be looked at then, whatever its instances do
    timer: float = NEVER
    activities: Activities = field(init=False)
    agenda: list[tuple[float, int, str]] = field(default_factory=list)
    counter: itertools.count[int] = field(default_factory=itertools.count)
    _rendered: tuple[int, list[dict[str, Any]]] = (-1, [])

    def __post_init__(self) -> None:
        self.activities = Activities(group=self.name, identity=self.identity)

    @property
    def arn(self) -> str:
        """Its ARN; the middle is made from the name, so that it stays."""
        where = f"{self.cloud.region}:{self.cloud.account}:autoScalingGroup:{self.name}"
        return f"arn:aws:autoscaling:{where}:autoScalingGroupName/{self.name}"

    @property
    def refresh(self) -> Refresh | None:
        """The refresh or rollback that is going on."""
        last = self.refreshes[-1] if self.refreshes else None
        return last if last is not None and last.active else None

    @property
    def elb(self) -> bool:
        """Whether target health counts: [M] HealthCheckType, "comma-separated"."""
        return bool(self.target_groups) and "ELB" in self.health_check.split(",")

    @property
    def warmup_seconds(self) -> int:
        """[M] RefreshPreferences.InstanceWarmup: default warmup, or the grace period."""
        return self.grace if self.warmup is None else self.warmup

    def may(self, process: str) -> bool:
        """Whether a process is not suspended."""
        return process not in self.suspended

    def delay(self, now: float) -> None:
        """A launch has failed: try again later, later each time."""
        self.failures += 1
        wait = min(RETRY_SECONDS * 2 ** min(self.failures - 1, 10), LONGEST_RETRY)
        self.retry_at = now + wait

    def look(self, member: Member, at: float, now: float) -> None:
        """Look at an instance again at this time."""
        member.due = at if at > now else now + LEAST_SECONDS
        if member.due < NEVER:
            heapq.heappush(self.agenda, (member.due, next(self.counter), member.id))

    def look_at_once(self, member: Member) -> None:
        """Look at an instance now: something from outside concerns it."""
        member.due = AT_ONCE
        heapq.heappush(self.agenda, (AT_ONCE, next(self.counter), member.id))

    def look_at_all(self) -> None:
        """Look at every instance now."""
        for member in self.members.every.values():
            self.look_at_once(member)

    def due(self, now: float) -> list[Member]:
        """The instances that are to be looked at now, no longer on the agenda."""
        found = []
        while self.agenda and self.agenda[0][0] <= now:
            at, _, name = heapq.heappop(self.agenda)
            member = self.members.every.get(name)
            if member is not None and member.due == at:
                member.due = NEVER
                found.append(member)
        return found

    @property
    def next_time(self) -> float:
        """When it has to be looked at next."""
        while self.agenda:
            at, _, name = self.agenda[0]
            member = self.members.every.get(name)
            if member is not None and member.due == at:
                return min(at, self.timer)
            heapq.heappop(self.agenda)
        return self.timer

    def instances(self) -> list[dict[str, Any]]:
        """[M] Instances: the same list until one of them changes; nobody may change it."""
        if self._rendered[0] != self.members.revision:
            rows = [member.document() for member in self.members.every.values()]
            self._rendered = (self.members.revision, rows)
        return self._rendered[1]

    def document(self) -> dict[str, Any]:
        """[M] AutoScalingGroup."""
        row: dict[str, Any] = {
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
            **self.configuration.document(),
            "MinSize": self.min,
            "MaxSize": self.max,
            "DesiredCapacity": self.desired,
            "DefaultCooldown": self.cooldown,
            "AvailabilityZones": sorted({zone for _, zone in self.subnets}),
            "LoadBalancerNames": [],
            "TargetGroupARNs": list(self.target_groups),
            "HealthCheckType": self.health_check,
            "HealthCheckGracePeriod": self.grace,
            "Instances": self.instances(),
            "CreatedTime": utc(self.created),
            "SuspendedProcesses": [
                {"ProcessName": name, "SuspensionReason": why}
                for name, why in sorted(self.suspended.items())
            ],
            "EnabledMetrics": [],
            "Tags": [self.tags[key] for key in sorted(self.tags)],
            "TerminationPolicies": list(self.termination_policies),
            "NewInstancesProtectedFromScaleIn": self.protect_new,
            "ServiceLinkedRoleARN": f"arn:aws:iam::{self.cloud.account}:role/aws-service-role/"
            "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            "TrafficSources": [{"Identifier": arn, "Type": "elbv2"} for arn in self.target_groups],
            **self.shown,
        }
        if subnets := [subnet for subnet, _ in self.subnets if subnet]:
            row["VPCZoneIdentifier"] = ",".join(subnets)
        if self.warmup is not None:
            row["DefaultInstanceWarmup"] = self.warmup
        if self.policy is not None:
            row["InstanceMaintenancePolicy"] = _percentages(self.policy)
        if self.deleting:
            row["Status"] = "Delete in progress"
        return row


def _percentages(bounds: Bounds) -> Mapping[str, int]:
    return {"MinHealthyPercentage": bounds.min, "MaxHealthyPercentage": bounds.max}
