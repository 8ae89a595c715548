"""Owns a group of a cloud inside this process, as tests of Auto Scaling's rules start from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID251 - what a refusal is

from goldpress.emulator.checks import Rules
from goldpress.emulator.inprocess import InProcessCloud
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.settings import Model, Settings
from goldpress.emulator.simulated.place import Place

#: They know an instance's group by themselves.
ALONE = ("set_instance_health", "terminate_instance_in_auto_scaling_group")
ACCOUNT, REGION = "111111111111", "us-east-1"
GOOD = Model(median_seconds=60.0, sigma=0.0)
#: Checks every ten seconds, and a deregistration delay of half a minute.
RULES = Rules(path="/healthz", interval=10.0, healthy=2, unhealthy=2, delay=30.0)
PREFERENCES = {
    "MinHealthyPercentage": 100, "MaxHealthyPercentage": 110, "SkipMatching": True,
    "AutoRollback": True,
}  # fmt: skip


@dataclass(kw_only=True)
class Stage:
    """A group `web` of instances of ami-a; version 2 of its template has ami-b."""

    cloud: InProcessCloud
    place: Place
    group: Group
    template: str
    lowest: int = 10**9
    highest: int = 0
    seen: list[str] = field(default_factory=list)

    def asg(self, operation: str, **request: Any) -> Any:
        """A call of Auto Scaling about the group; `operation` is boto3's name."""
        client = self.cloud.access(ACCOUNT).client("autoscaling", REGION)
        if operation not in ALONE:
            request.setdefault("AutoScalingGroupName", "web")
        return getattr(client, operation)(**request)

    def service(self, name: str) -> Any:
        return self.cloud.access(ACCOUNT).client(name, REGION)

    def refused(self, code: str, operation: str, **request: Any) -> str:
        """The message of the refusal, which has to be this one."""
        with pytest.raises(ClientError) as caught:
            self.asg(operation, **request)
        error = caught.value.response["Error"]
        assert error["Code"] == code, error
        return str(error["Message"])

    def start(self, version: int | str = 2, **preferences: Any) -> str:
        """Start a refresh to a version of the group's template."""
        wanted = {"LaunchTemplateId": self.template, "Version": str(version)}
        answer = self.asg(
            "start_instance_refresh",
            DesiredConfiguration={"LaunchTemplate": wanted},
            Preferences={**PREFERENCES, **preferences},
        )
        return str(answer["InstanceRefreshId"])

    @property
    def refresh(self) -> dict[str, Any]:
        """The newest refresh, as DescribeInstanceRefreshes shows it."""
        found: dict[str, Any] = self.asg("describe_instance_refreshes")["InstanceRefreshes"][0]
        return found

    @property
    def status(self) -> str:
        return str(self.refresh["Status"])

    def until(self, ready: Callable[[], bool], *, hours: float = 3.0, step: float = 10.0) -> None:
        """Let time pass until this is so, at most so long."""
        for _ in range(int(hours * 3600 / step)):
            if ready():
                return
            self.cloud.advance(step)
        raise AssertionError(f"not within {hours} hours: {self.asg_state()}")

    def over(self, status: str, **given: float) -> dict[str, Any]:
        """Let time pass until the refresh is over, and it has to have ended like this."""
        ends = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}
        self.until(lambda: self.status in ends, **given)
        found = self.refresh
        assert found["Status"] == status, found
        return found

    def asg_state(self) -> str:
        return f"{self.refresh if self.group.refreshes else ''} {self.versions}"

    @property
    def described(self) -> dict[str, Any]:
        client = self.cloud.access(ACCOUNT).client("autoscaling", REGION)
        answer = client.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])
        found: dict[str, Any] = answer["AutoScalingGroups"][0]
        return found

    @property
    def versions(self) -> dict[str, int]:
        """How many live instances are of each template version."""
        found: dict[str, int] = {}
        for member in self.group.members.every.values():
            if member.live:
                key = str(member.template.number) if member.template else "none"
                found[key] = found.get(key, 0) + 1
        return found

    @property
    def ids(self) -> list[str]:
        return [m.id for m in self.group.members.every.values() if m.state == "InService"]

    def states(self) -> dict[str, int]:
        rows = self.group.members.by_state.items()
        return {state: len(found) for state, found in rows if found}

    def causes(self) -> list[str]:
        rows = self.asg("describe_scaling_activities")["Activities"]
        return [str(row["Cause"]) for row in rows]

    def activities(self) -> list[dict[str, Any]]:
        return list(self.asg("describe_scaling_activities")["Activities"])

    def watch(self) -> None:
        """From now on remember the fewest ready and the most live instances."""
        self.lowest, self.highest = 10**9, 0

        def look(_: InProcessCloud) -> None:
            self.lowest = min(self.lowest, len(self.group.members.ready))
            self.highest = max(self.highest, self.group.members.live)
            refresh = self.group.refreshes[-1] if self.group.refreshes else None
            if refresh and self.seen[-1:] != [refresh.status]:
                self.seen.append(refresh.status)

        self.cloud.watchers.append(look)


def stage(
    *,
    desired: int = 10,
    models: Mapping[str, Model] | None = None,
    elb: bool = True,
    settled: bool = True,
    settings: Mapping[str, Any] | None = None,
    **given: Any,
) -> Stage:
    """A cloud with the group, all of its instances ready."""
    found = {"*": GOOD, **(models or {})}
    cloud = InProcessCloud(settings=Settings(models=found, pending_seconds=5.0, **(settings or {})))
    place = cloud.place(ACCOUNT, REGION)
    for image in ("ami-a", "ami-b", "ami-c"):
        place.add_image(image)
    arns = (place.add_target_group("web", rules=RULES),) if elb else ()
    request = {"grace": 120, "warmup": 60, "least": 0, "most": max(desired * 2, 4), **given}
    group = place.add_group("web", image="ami-a", desired=desired, target_groups=arns, **request)
    template = place.templates.by_name["web"].id
    client = cloud.access(ACCOUNT).client("ec2", REGION)
    for image in ("ami-b", "ami-c"):
        client.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": image}
        )
    made = Stage(cloud=cloud, place=place, group=group, template=template)
    if settled:
        cloud.advance(600)
        assert len(group.members.ready) == desired
    cloud.calls.clear()
    return made
