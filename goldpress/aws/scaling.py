"""Owns what Auto Scaling tells, as values: groups, their members, templates, instance refreshes.

Names and states are those of AWS; `goldpress.aws.scaled` reads them out of its answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
#: States of a refresh in which AWS may still change the group.
ACTIVE = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})
OVER = frozenset({"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"})
ROLLBACKS = frozenset({"RollbackInProgress", "RollbackSuccessful", "RollbackFailed"})
#: The longest that AWS waits at a checkpoint, and bakes.
LONGEST_SECONDS = 172_800
IN_SERVICE = "InService"
STANDBY = frozenset({"EnteringStandby", "Standby"})

Protected = Literal["Refresh", "Ignore", "Wait"]
Standby = Literal["Terminate", "Ignore", "Wait"]


@dataclass(frozen=True, kw_only=True)
class TemplateRef:
    """A version of a launch template as a group or an instance names it; all empty: it has none.

    `version` may be `$Latest` or `$Default` where a group names it.
    """

    id: str
    name: str
    version: str

    @property
    def numeric(self) -> bool:
        """Whether it is one version for good, and not whichever is the newest."""
        return self.version.isascii() and self.version.isdecimal()

    @property
    def text(self) -> str:
        """It in a few words: ``web (lt-0123) version 3``."""
        return f"{self.name or self.id} version {self.version}" if self.id else "no launch template"

    def same(self, other: TemplateRef | None) -> bool:
        """Whether both are the same version of the same template."""
        return other is not None and (self.id, self.version) == (other.id, other.version)

    def at(self, version: str) -> TemplateRef:
        """Another version of the same template."""
        return replace(self, version=version)

    def specification(self) -> dict[str, str]:
        """How a request names it."""
        return {"LaunchTemplateId": self.id, "Version": self.version}


NO_TEMPLATE = TemplateRef(id="", name="", version="")


@dataclass(frozen=True, kw_only=True)
class Member:
    """An instance of a group. `state` is its LifecycleState, `template` what it was launched from.

    `protected`: from scale-in. `ami` is only told where it is not the template's.
    """

    id: str
    state: str
    healthy: bool
    protected: bool
    template: TemplateRef | None
    type: str
    zone: str
    ami: str = ""

    @property
    def in_service(self) -> bool:
        """Whether it serves: in service, and healthy."""
        return self.state == IN_SERVICE and self.healthy

    @property
    def standby(self) -> bool:
        """Whether it is in standby, or on its way there."""
        return self.state in STANDBY


@dataclass(frozen=True, kw_only=True)
class Group:
    """An Auto Scaling group.

    `template` is what it launches from, also with mixed instances, whose policy is `mixed`;
    `overrides` are the instance types of that. `warmup_seconds` is None where the group has none of
    its own. `suspended` are processes. `maintenance` is (min, max) healthy percent, if it has one.
    """

    account: str
    region: str
    name: str
    min: int
    max: int
    desired: int
    members: tuple[Member, ...]
    template: TemplateRef
    overrides: tuple[str, ...] = ()
    suspended: frozenset[str] = frozenset()
    health_check: str = "EC2"
    grace_seconds: int = 0
    target_groups: tuple[str, ...] = ()
    warmup_seconds: int | None = None
    mixed: Mapping[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    balancers: tuple[str, ...] = ()
    launch_configuration: str = ""
    subnets: tuple[str, ...] = ()
    service_role: str = ""
    lifetime_seconds: int = 0
    maintenance: tuple[int, int] | None = None
    protects_new: bool = False
    status: str = ""

    @property
    def key(self) -> str:
        """``account/region/name``: one group of all."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def serving(self) -> tuple[Member, ...]:
        """The members that serve."""
        return tuple(row for row in self.members if row.in_service)

    @property
    def override_rows(self) -> tuple[Mapping[str, Any], ...]:
        """The overrides of its mixed instances policy, as AWS has them."""
        return tuple((self.mixed or {}).get("LaunchTemplate", {}).get("Overrides", ()))

    def mixed_at(self, template: TemplateRef) -> Mapping[str, Any] | None:
        """Its own mixed instances policy with another template version; None when it has none."""
        if self.mixed is None:
            return None
        launch = {
            **self.mixed["LaunchTemplate"],
            "LaunchTemplateSpecification": template.specification(),
        }
        if "Overrides" in launch:
            launch["Overrides"] = [_override(row) for row in launch["Overrides"]]
        return {**self.mixed, "LaunchTemplate": launch}


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """An instance refresh; `percentage` and `to_update` as AWS counts them.

    `desired` is the template version that it brings, None when it was started without one.
    `started` and `ended` are UTC, empty when not yet. `rollback`: AWS takes it back, or did, since
    `turned` (UTC).
    """

    id: str
    status: str
    percentage: int
    to_update: int
    reason: str
    desired: TemplateRef | None
    started: str
    ended: str
    rollback: bool
    turned: str = ""
    preferences: Mapping[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether AWS may still change the group by it."""
        return not self.over

    @property
    def over(self) -> bool:
        """Whether it has ended, however."""
        return self.status in OVER


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """How instances are replaced; each is said, none is left to AWS's defaults.

    Percentages of the desired capacity. `warmup_seconds` None: the group's own. No checkpoints: it
    goes through to the end.
    """

    min_healthy: int = 100
    max_healthy: int = 110
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay: int = LONGEST_SECONDS
    bake_seconds: int = 0
    warmup_seconds: int | None = None
    alarms: tuple[str, ...] = ()
    protected: Protected = "Refresh"
    standby: Standby = "Ignore"
    auto_rollback: bool = True
    skip_matching: bool = True

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "checkpoints": list(self.checkpoints), "alarms": list(self.alarms)}

    def arguments(self) -> dict[str, Any]:
        """The Preferences of StartInstanceRefresh."""
        wanted: dict[str, Any] = {
            "MinHealthyPercentage": self.min_healthy,
            "MaxHealthyPercentage": self.max_healthy,
            "SkipMatching": self.skip_matching,
            "AutoRollback": self.auto_rollback,
            "ScaleInProtectedInstances": self.protected,
            "StandbyInstances": self.standby,
            "BakeTime": self.bake_seconds,
        }
        if self.warmup_seconds is not None:
            wanted["InstanceWarmup"] = self.warmup_seconds
        if self.checkpoints:
            wanted["CheckpointPercentages"] = list(self.checkpoints)
            wanted["CheckpointDelay"] = self.checkpoint_delay
        if self.alarms:
            wanted["AlarmSpecification"] = {"Alarms": list(self.alarms)}
        return wanted


def parse_preferences(value: Mapping[str, Any]) -> Preferences:
    """The inverse of `Preferences.document`. Raises TypeError or KeyError for anything else."""
    return Preferences(
        **{
            **value,
            "checkpoints": tuple(value["checkpoints"]),
            "alarms": tuple(value["alarms"]),
        }
    )


@dataclass(frozen=True, kw_only=True)
class RefreshRequest:
    """A refresh to be started: the group's name, the version it is to have in the end.

    `mixed` is the group's whole policy with that version, see `Group.mixed_at`; None for a group
    without one.
    """

    group: str
    template: TemplateRef
    mixed: Mapping[str, Any] | None
    preferences: Preferences

    def arguments(self) -> dict[str, Any]:
        """The arguments of StartInstanceRefresh."""
        desired = (
            {"LaunchTemplate": self.template.specification()}
            if self.mixed is None
            else {"MixedInstancesPolicy": self.mixed}
        )
        return {
            "AutoScalingGroupName": self.group,
            "Strategy": "Rolling",
            "DesiredConfiguration": desired,
            "Preferences": self.preferences.arguments(),
        }

    def is_of(self, refresh: Refresh) -> bool:
        """Whether a refresh brings just this version, so that it is the one to go on with."""
        return self.template.same(refresh.desired) and not refresh.rollback


def moment_text(moment: datetime | None) -> str:
    """A moment of an answer (aware) as text in UTC; empty for none."""
    return moment.astimezone(UTC).strftime(MOMENT) if moment else ""


def active_of(refreshes: Iterable[Refresh]) -> Refresh | None:
    """The one refresh that is not over; AWS lets a group have one at a time."""
    return next((row for row in refreshes if row.active), None)


def _override(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """An override as a request has it: AWS tells both names of its template and takes only one."""
    own = row.get("LaunchTemplateSpecification")
    if not own or "LaunchTemplateId" not in own:
        return row
    rest = {name: value for name, value in own.items() if name != "LaunchTemplateName"}
    return {**row, "LaunchTemplateSpecification": rest}
