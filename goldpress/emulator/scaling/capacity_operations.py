"""Owns the operations on capacity and on single instances: desired, standby, detached, ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling import causes
from goldpress.emulator.scaling.errors import invalid, limit
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.member import TERMINATING, Member
from goldpress.emulator.scaling.moving import (
    enter_service,
    leave,
    return_to_service,
    set_health,
    terminate,
)
from goldpress.emulator.scaling.region import Region

#: [M] EnterStandby, ExitStandby, DetachInstances, AttachInstances; SetInstanceProtection.
MOST_IDS, MOST_PROTECTED = 20, 50


def set_desired(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SetDesiredCapacity. There are no cooldowns here: HonorCooldown changes nothing."""
    group = region.group(request["AutoScalingGroupName"])
    wanted = request["DesiredCapacity"]
    if wanted > group.max:
        raise invalid(
            f"New SetDesiredCapacity value {wanted} is above max value {group.max} for the "
            "AutoScalingGroup."
        )
    if wanted < group.min:
        raise invalid(
            f"New SetDesiredCapacity value {wanted} is below min value {group.min} for the "
            "AutoScalingGroup."
        )
    if wanted != group.desired:
        group.because = causes.desired_changed(region.now, group.desired, wanted)
        group.desired = wanted
    region.settle_group(group)
    return {}


def health(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SetInstanceHealth: by default not within the grace period."""
    wanted = request["HealthStatus"]
    if wanted not in {"Healthy", "Unhealthy"}:
        raise invalid("Valid instance health states are: [Healthy, Unhealthy].")
    group, member = _managed(region, request["InstanceId"])
    respected = request.get("ShouldRespectGracePeriod", True)
    if not (respected and region.now < member.grace_until):
        set_health(group, member, wanted, region.now)
        if wanted == "Healthy":
            group.look_at_once(member)
    region.settle_group(group)
    return {}


def _managed(region: Region, instance: str) -> tuple[Group, Member]:
    found = region.of_instance(instance)
    if found is None:
        raise invalid(
            f"Instance Id not found - No managed instance found for instance ID: {instance}"
        )
    return found


def protect(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SetInstanceProtection."""
    group = region.group(request["AutoScalingGroupName"])
    ids = request["InstanceIds"]
    if len(ids) > MOST_PROTECTED:
        raise limit(f"You can specify up to {MOST_PROTECTED} instances, not {len(ids)}.")
    for member in [_of(group, name) for name in ids]:
        member.protected = request["ProtectedFromScaleIn"]
        group.members.changed(member)
    region.settle_group(group)
    return {}


def _of(group: Group, instance: str) -> Member:
    found = group.members.every.get(instance)
    if found is None:
        raise invalid(f"The instance {instance} is not part of Auto Scaling group {group.name}.")
    return found


def _ids(request: Mapping[str, Any]) -> list[str]:
    ids = list(request.get("InstanceIds", ()))
    if not 1 <= len(ids) <= MOST_IDS:
        raise invalid(f"You can specify 1 to {MOST_IDS} instances, not {len(ids)}.")
    return ids


def enter_standby(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] EnterStandby."""
    return _leaving(
        region, request, by="EnteringStandby", words="Moving EC2 instance to Standby",
        what="moved to standby", action="EnterStandby",
    )  # fmt: skip


def detach(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DetachInstances; ones in standby can be detached, too."""
    return _leaving(
        region, request, by="Detaching", words="Detaching EC2 instance", what="detached",
        action="DetachInstances",
    )  # fmt: skip


def _leaving(
    region: Region, request: Mapping[str, Any], *, by: str, words: str, what: str, action: str
) -> dict[str, Any]:
    group = region.group(request["AutoScalingGroupName"])
    members = [_of(group, name) for name in _ids(request)]
    allowed = {"InService", "Standby"} if by == "Detaching" else {"InService"}
    for member in members:
        if member.state not in allowed:
            raise invalid(f"The instance {member.id} is not in {' or '.join(sorted(allowed))}.")
    serving = sum(1 for member in members if member.live)
    if request["ShouldDecrementDesiredCapacity"]:
        if group.desired - serving < group.min:
            raise invalid(
                f"AutoScalingGroup has min-size={group.min}, max-size={group.max}, and "
                f"desired-size={group.desired}. To place into {action} {serving} instances, the "
                "desired capacity would fall below the minimum."
            )
        group.desired -= serving
    now = region.now
    begun = []
    for member in members:
        member.activity = group.activities.begin(
            f"{words}: {member.id}", causes.asked(now, member.id, what), now, zone=member.zone
        )
        begun.append(member.activity)
        leave(group, member, now, by=by)
    region.settle_group(group)
    return {"Activities": [row.document(group.arn) for row in begun]}


def exit_standby(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] ExitStandby: "the desired capacity is incremented"."""
    group = region.group(request["AutoScalingGroupName"])
    members = [_of(group, name) for name in _ids(request)]
    for member in members:
        if member.state != "Standby":
            raise invalid(f"The instance {member.id} is not in Standby.")
    if not group.may("Launch"):
        # [D] "While Launch is suspended, you cannot return an instance in the Standby state".
        raise invalid(f"The Launch process of {group.name} is suspended.")
    if group.desired + len(members) > group.max:
        raise invalid(
            f"AutoScalingGroup has min-size={group.min}, max-size={group.max}, and "
            f"desired-size={group.desired}. To remove {len(members)} instances from standby, "
            "increase the max size."
        )
    now = region.now
    group.desired += len(members)
    begun = []
    for member in members:
        member.activity = group.activities.begin(
            f"Moving EC2 instance out of Standby: {member.id}",
            causes.asked(now, member.id, "moved out of standby"),
            now,
            zone=member.zone,
        )
        begun.append(member.activity)
        return_to_service(group, member, now)
    region.settle_group(group)
    return {"Activities": [row.document(group.arn) for row in begun]}


def attach(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] AttachInstances: they run, are in no group, and fit below the maximum."""
    group = region.group(request["AutoScalingGroupName"])
    ids = _ids(request)
    if not group.may("Launch"):
        raise invalid(f"The Launch process of {group.name} is suspended.")
    if group.desired + len(ids) > group.max:
        raise invalid(
            f"AutoScalingGroup has min-size={group.min}, max-size={group.max}, and "
            f"desired-size={group.desired}. To attach {len(ids)} instances, increase the max size."
        )
    machines = region.cloud.machines
    zones = {zone for _, zone in group.subnets}
    placed = {}
    for name in ids:
        if region.of_instance(name) is not None:
            raise invalid(f"Instance {name} is already part of an AutoScalingGroup.")
        if machines.state(name) != "running":
            raise invalid(f"Instance {name} is not in correct state: it has to be running.")
        placed[name] = machines.place(name)
        if placed[name][1] not in zones:
            raise invalid(f"The instance {name} is in an Availability Zone that the group lacks.")
    group.desired += len(ids)
    for name, (kind, zone) in placed.items():
        member = Member(
            id=name, type=kind, zone=zone, template=None, launched=region.now, attached=True
        )
        group.members.add(member)
        enter_service(group, member, region.now)
    region.settle_group(group)
    return {}


def end(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] TerminateInstanceInAutoScalingGroup: one, or up to 100 of one group."""
    many = "InstanceIds" in request
    ids = request["InstanceIds"] if many else [request.get("InstanceId", "")]
    if many and "AutoScalingGroupName" not in request:
        raise invalid("InstanceIds needs AutoScalingGroupName.")
    found = [_managed(region, name) for name in ids]
    group = found[0][0]
    members = [member for owner, member in found if owner is group]
    serving = sum(1 for member in members if member.live)
    if request["ShouldDecrementDesiredCapacity"]:
        if group.desired - serving < group.min:
            raise invalid(
                f"Currently, desiredSize equals minSize ({group.min}). Terminating instance "
                "without replacement will violate group's min size constraint. Either set "
                "shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        group.desired -= serving
    begun = []
    for member in members:
        if member.state not in TERMINATING:
            cause = causes.asked(region.now, member.id, "taken out of service")
            terminate(group, member, region.now, cause)
        if member.activity is not None:
            begun.append(member.activity.document(group.arn))
    region.settle_group(group)
    return {"Activities": begun} if many else {"Activity": begun[0]}


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "SetDesiredCapacity": set_desired,
    "SetInstanceHealth": health,
    "SetInstanceProtection": protect,
    "EnterStandby": enter_standby,
    "ExitStandby": exit_standby,
    "DetachInstances": detach,
    "AttachInstances": attach,
    "TerminateInstanceInAutoScalingGroup": end,
}
