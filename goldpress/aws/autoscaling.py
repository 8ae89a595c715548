"""Owns calls of Auto Scaling: groups looked at and changed, instance refreshes, standby.

No change has a client token: who changes looks first, and again after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import cause_code, translated
from goldpress.aws.scaled import parse_group, parse_refresh
from goldpress.aws.scaling import Group, Refresh, RefreshRequest, TemplateRef, moment_text
from goldpress.errors import CloudError

#: Most rows of an answer, groups and activities alike.
PAGE = 100
#: Most names of groups in a request: more than one page would come in any order.
NAMES = 100
#: Most instances of one request: EnterStandby, ExitStandby and DetachInstances; of protection.
STANDBY_IDS = 20
PROTECTION_IDS = 50
REFRESH_RUNS = "InstanceRefreshInProgress"
NO_REFRESH = "ActiveInstanceRefreshNotFound"
NO_WAY_BACK = "IrreversibleInstanceRefresh"


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A scaling activity: what AWS did to a group and why; `status` as AWS names it.

    `started` and `ended` are UTC, empty when not yet.
    """

    id: str
    status: str
    description: str
    cause: str
    message: str
    started: str
    ended: str

    @property
    def failed(self) -> bool:
        """Whether AWS could not do it."""
        return self.status in {"Failed", "Cancelled"}


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A lifecycle hook: at `launching` or terminating something has to answer in time.

    `default` is what AWS takes for the answer after `seconds`: CONTINUE or ABANDON.
    """

    name: str
    launching: bool
    seconds: int
    default: str


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Auto Scaling groups of one region, of the account that calls."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Groups:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("autoscaling", region), region=region)

    def named(self, names: Iterable[str]) -> tuple[Group, ...]:
        """The groups of these names that there are, by name. Raises CloudError."""
        wanted = sorted(set(names))
        found: list[Group] = []
        for start in range(0, len(wanted), NAMES):
            found += self._groups(AutoScalingGroupNames=wanted[start : start + NAMES])
        return tuple(sorted(found, key=lambda row: row.name))

    def group(self, name: str) -> Group | None:
        """A group by its name, or None. Raises CloudError."""
        return next(iter(self.named([name])), None)

    def every(self) -> tuple[Group, ...]:
        """Every group of the region, by name. Raises CloudError."""
        return tuple(sorted(self._groups(), key=lambda row: row.name))

    def refreshes(self, group: str, ids: Sequence[str] = ()) -> tuple[Refresh, ...]:
        """The refreshes of a group that AWS remembers (six weeks), the newest first."""
        asked: dict[str, Any] = {"AutoScalingGroupName": group, "MaxRecords": PAGE}
        if ids:
            asked["InstanceRefreshIds"] = list(ids)
        rows = self._pages("describe_instance_refreshes", "InstanceRefreshes", group, asked)
        found = [parse_refresh(row) for row in rows]
        # One that waits to be started has no time yet: it is the newest.
        return tuple(sorted(found, key=lambda row: row.started or "~", reverse=True))

    def start(self, request: RefreshRequest) -> str:
        """Start a refresh; returns its id. Raises CloudError, see `refresh_runs`."""
        with self._about(request.group):
            answer = self.client.start_instance_refresh(**request.arguments())
        return str(answer["InstanceRefreshId"])

    def cancel(self, group: str) -> bool:
        """Cancel the refresh or rollback that runs; what it replaced stays. False: none runs.

        Instances that are on their way in or out are waited for by AWS.
        """
        with self._about(group):
            try:
                self.client.cancel_instance_refresh(AutoScalingGroupName=group)
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == NO_REFRESH:
                    return False
                raise
        return True

    def roll_back(self, group: str) -> bool:
        """Take back the refresh that runs; False when none does. Raises CloudError.

        AWS refuses it where the group itself has no numeric template version.
        """
        with self._about(group):
            try:
                self.client.rollback_instance_refresh(AutoScalingGroupName=group)
            except self.client.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code == NO_REFRESH:
                    return False
                if code == NO_WAY_BACK:
                    raise CloudError(
                        f"{group} in {self.region}: AWS cannot take this refresh back",
                        hint=f"run `./inv roll.adopt {group}`, then roll to the image before",
                    ) from error
                raise
        return True

    def activities(self, group: str, *, most: int = PAGE) -> tuple[Activity, ...]:
        """The newest activities of a group, the newest first."""
        asked = {"AutoScalingGroupName": group, "MaxRecords": min(most, PAGE)}
        found: list[Activity] = []
        for row in self._pages("describe_scaling_activities", "Activities", group, asked):
            found.append(_activity(row))
            if len(found) == most:
                break
        return tuple(found)

    def hooks(self, group: str) -> tuple[Hook, ...]:
        """The lifecycle hooks of a group, by name."""
        with self._about(group):
            rows = self.client.describe_lifecycle_hooks(AutoScalingGroupName=group)
        found = [
            Hook(
                name=str(row["LifecycleHookName"]),
                launching=row["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING",
                seconds=int(row.get("HeartbeatTimeout", 3600)),
                default=str(row.get("DefaultResult", "ABANDON")),
            )
            for row in rows["LifecycleHooks"]
        ]
        return tuple(sorted(found, key=lambda row: row.name))

    def group_of(self, instance: str) -> tuple[str, str] | None:
        """The group that an instance is a member of, and its state there; None for none."""
        with self._about(instance):
            answer = self.client.describe_auto_scaling_instances(InstanceIds=[instance])
        for row in answer["AutoScalingInstances"]:
            return str(row["AutoScalingGroupName"]), str(row["LifecycleState"])
        return None

    def set_template(self, group: Group, template: TemplateRef) -> None:
        """Let a group launch from this version; nothing that runs is changed by it."""
        mixed = group.mixed_at(template)
        launch = (
            {"LaunchTemplate": template.specification()}
            if mixed is None
            else {"MixedInstancesPolicy": mixed}
        )
        with self._about(group.name):
            self.client.update_auto_scaling_group(AutoScalingGroupName=group.name, **launch)

    def set_desired(self, group: str, desired: int) -> None:
        """Set how many instances a group is to have, whatever its cooldown."""
        with self._about(group):
            self.client.set_desired_capacity(
                AutoScalingGroupName=group, DesiredCapacity=desired, HonorCooldown=False
            )

    def enter_standby(self, group: str, instances: Sequence[str], *, decrement: bool) -> None:
        """Take instances out of service; without `decrement` the group launches others."""
        for ids in _chunks(instances, STANDBY_IDS):
            with self._about(group):
                self.client.enter_standby(
                    AutoScalingGroupName=group,
                    InstanceIds=ids,
                    ShouldDecrementDesiredCapacity=decrement,
                )

    def exit_standby(self, group: str, instances: Sequence[str]) -> None:
        """Put instances back into service; the desired capacity grows by as many."""
        for ids in _chunks(instances, STANDBY_IDS):
            with self._about(group):
                self.client.exit_standby(AutoScalingGroupName=group, InstanceIds=ids)

    def detach(self, group: str, instances: Sequence[str], *, decrement: bool) -> None:
        """Let a group know nothing of these instances any more; AWS deregisters them."""
        for ids in _chunks(instances, STANDBY_IDS):
            with self._about(group):
                self.client.detach_instances(
                    AutoScalingGroupName=group,
                    InstanceIds=ids,
                    ShouldDecrementDesiredCapacity=decrement,
                )

    def attach(self, group: str, instances: Sequence[str]) -> None:
        """Make instances members of a group; its desired capacity grows by as many."""
        for ids in _chunks(instances, STANDBY_IDS):
            with self._about(group):
                self.client.attach_instances(AutoScalingGroupName=group, InstanceIds=ids)

    def protect(self, group: str, instances: Sequence[str], *, protected: bool) -> None:
        """Protect instances from scale-in, or no longer."""
        for ids in _chunks(instances, PROTECTION_IDS):
            with self._about(group):
                self.client.set_instance_protection(
                    AutoScalingGroupName=group, InstanceIds=ids, ProtectedFromScaleIn=protected
                )

    def _groups(self, **asked: Any) -> Iterator[Group]:
        rows = self._pages(
            "describe_auto_scaling_groups",
            "AutoScalingGroups",
            "Auto Scaling groups",
            {"MaxRecords": PAGE, **asked},
        )
        return (parse_group(row, region=self.region) for row in rows)

    def _pages(
        self, call: str, key: str, what: str, asked: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        following: dict[str, str] = {}
        while True:
            with self._about(what):
                answer = getattr(self.client, call)(**asked, **following)
            yield from answer[key]
            if not answer.get("NextToken"):
                return
            following = {"NextToken": str(answer["NextToken"])}

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="autoscaling")


def refresh_runs(error: CloudError) -> bool:
    """Whether AWS refused to start a refresh because one runs already."""
    return cause_code(error) == REFRESH_RUNS


def _activity(row: Mapping[str, Any]) -> Activity:
    return Activity(
        id=str(row["ActivityId"]),
        status=str(row["StatusCode"]),
        description=str(row.get("Description", "")),
        cause=str(row.get("Cause", "")),
        message=str(row.get("StatusMessage", "")),
        started=moment_text(row.get("StartTime")),
        ended=moment_text(row.get("EndTime")),
    )


def _chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
