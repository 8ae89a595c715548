"""Owns the operations on groups themselves: made, changed, suspended, deleted.

[M] CreateAutoScalingGroup, UpdateAutoScalingGroup and what belongs to them. Members that change
nothing in the emulated cloud (a placement group, metrics) are kept and shown as they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling import causes, refreshing
from goldpress.emulator.scaling.activities import stamp
from goldpress.emulator.scaling.belonging import attach_all, tag_one
from goldpress.emulator.scaling.configuration import KEYS, checked
from goldpress.emulator.scaling.errors import ScalingError, busy, in_use, invalid
from goldpress.emulator.scaling.group import DEFAULT_COOLDOWN, PROCESSES, Bounds, Group
from goldpress.emulator.scaling.hook_operations import put_all
from goldpress.emulator.scaling.member import PENDING, TERMINATING
from goldpress.emulator.scaling.moving import terminate
from goldpress.emulator.scaling.region import Region

WHOLE = 100
#: Kept and shown only.
SHOWN = (
    "PlacementGroup", "MaxInstanceLifetime", "CapacityRebalance", "Context", "DesiredCapacityType",
    "AvailabilityZoneDistribution", "AvailabilityZoneImpairmentPolicy", "DeletionProtection",
    "CapacityReservationSpecification", "InstanceLifecyclePolicy", "AvailabilityZoneIds",
)  # fmt: skip
#: What this cloud does not have, so that nobody takes it for granted.
REFUSED = (
    "LaunchConfigurationName", "InstanceId", "LoadBalancerNames", "SkipZonalShiftValidation",
)  # fmt: skip
#: [M] DescribeAutoScalingGroups, DescribeAutoScalingInstances, DescribeScalingActivities.
PAGE, MOST = 50, 100
REFRESH_LOCKS = (
    "An active instance refresh with a desired configuration exists. All configuration options "
    "derived from the desired configuration are not available for update while the instance "
    "refresh is active."
)


def create(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CreateAutoScalingGroup."""
    name = request["AutoScalingGroupName"]
    if name in region.groups:
        raise ScalingError(
            "AlreadyExists",
            "AutoScalingGroup by this name already exists - A group with the name "
            f"{name} already exists",
        )
    _check_known(request)
    least, most = request["MinSize"], request["MaxSize"]
    desired = request.get("DesiredCapacity", least)
    _check_sizes(least, most, desired)
    now = region.now
    group = Group(
        cloud=region.cloud,
        name=name,
        created=now,
        configuration=checked(request, region.cloud.templates),
        identity=region.identity,
        min=least,
        max=most,
        desired=desired,
        subnets=_subnets(region, request),
        cooldown=request.get("DefaultCooldown", DEFAULT_COOLDOWN),
        protect_new=request.get("NewInstancesProtectedFromScaleIn", False),
        because=causes.created(now, least, most, desired),
    )
    # What CreateAutoScalingGroup has in common with an update.
    _configure(group, request)
    attach_all(region, group, request.get("TargetGroupARNs", ()))
    attach_all(region, group, [row["Identifier"] for row in request.get("TrafficSources", ())])
    put_all(group, request.get("LifecycleHookSpecificationList", ()))
    for tag in request.get("Tags", ()):
        tag_one(group, tag)
    region.groups[name] = group
    region.settle_group(group)
    return {}


def _check_known(request: Mapping[str, Any]) -> None:
    for name in REFUSED:
        if request.get(name):
            raise invalid(f"the emulated cloud has no {name} for groups")


def _check_sizes(least: int, most: int, desired: int) -> None:
    if least > most:
        raise invalid(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise invalid(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max "
            f"size:{most}"
        )


def _subnets(region: Region, request: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    networks = region.cloud.networks
    if given := request.get("VPCZoneIdentifier"):
        names = [name.strip() for name in given.split(",")]
        try:
            return tuple((name, networks.zone_of(name)) for name in names)
        except KeyError as error:
            raise invalid(f"The subnet ID '{error.args[0]}' does not exist") from error
    zones = request.get("AvailabilityZones", ())
    if not zones:
        raise invalid("At least one Availability Zone or VPC Subnet is required.")  # in AWS's words
    for zone in zones:
        if zone not in networks.zones():
            raise invalid(f"Invalid Availability Zone: [{zone}]")
    return tuple(("", zone) for zone in zones)


def _configure(group: Group, request: Mapping[str, Any]) -> None:
    group.health_check = request.get("HealthCheckType", group.health_check)
    group.grace = request.get("HealthCheckGracePeriod", group.grace)
    if "DefaultInstanceWarmup" in request:
        # [M] "To remove a value that you previously set, ... specify -1".
        given = request["DefaultInstanceWarmup"]
        group.warmup = None if given == -1 else given
    if "InstanceMaintenancePolicy" in request:
        group.policy = _policy(request["InstanceMaintenancePolicy"])
    if "TerminationPolicies" in request:
        group.termination_policies = tuple(request["TerminationPolicies"])
    group.shown.update({key: request[key] for key in SHOWN if key in request})


def _policy(given: Mapping[str, Any]) -> Bounds | None:
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if least is None or most is None:
        raise invalid("Both MinHealthyPercentage and MaxHealthyPercentage must be specified.")
    if least == -1 or most == -1:
        return None
    if most < WHOLE or most - least > WHOLE:
        raise invalid(
            "MaxHealthyPercentage is from 100 to 200, and at most 100 above MinHealthyPercentage."
        )
    return Bounds(min=least, max=most)


def update(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] UpdateAutoScalingGroup: what is named changes; the sizes follow each other."""
    group = region.group(request["AutoScalingGroupName"])
    _check_known(request)
    refresh = group.refresh
    if any(key in request for key in KEYS):
        if refresh is not None and refresh.wanted is not None:
            raise invalid(REFRESH_LOCKS)
        group_configuration = checked(request, region.cloud.templates)
    else:
        group_configuration = group.configuration
    least, most = request.get("MinSize", group.min), request.get("MaxSize", group.max)
    # [M] "If a new value for MinSize is specified without setting a value for DesiredCapacity, and
    # the new MinSize is larger than the current size", it becomes the desired one; MaxSize too.
    desired = request.get("DesiredCapacity")
    if desired is None:
        desired = min(max(group.desired, least), most)
    _check_sizes(least, most, desired)
    if request.get("VPCZoneIdentifier") or request.get("AvailabilityZones"):
        group.subnets = _subnets(region, request)
    group.configuration = group_configuration
    group.min, group.max = least, most
    group.cooldown = request.get("DefaultCooldown", group.cooldown)
    group.protect_new = request.get("NewInstancesProtectedFromScaleIn", group.protect_new)
    if desired != group.desired:
        group.because = causes.desired_changed(region.now, group.desired, desired)
        group.desired = desired
    _configure(group, request)
    group.look_at_all()
    region.settle_group(group)
    return {}


def delete(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteAutoScalingGroup; ForceDelete ends its instances and its refresh."""
    group = region.group(request["AutoScalingGroupName"])
    now = region.now
    if not request.get("ForceDelete"):
        if group.members.any_in((*PENDING, *TERMINATING)):
            raise busy(group.name)
        if group.members.every:
            raise in_use(
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group."
            )
    if group.refresh is not None:
        refreshing.cancel(group, group.refresh, now, wait=False)
    group.deleting, group.min, group.desired = True, 0, 0
    group.hooks.clear()
    for member in list(group.members.every.values()):
        terminate(group, member, now, causes.asked(now, member.id, "taken out of service"))
    region.settle_group(group)
    return {}


def suspend(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SuspendProcesses."""
    group = region.group(request["AutoScalingGroupName"])
    for name in _processes(request):
        group.suspended[name] = f"User suspended at {stamp(region.now)}"
    region.settle_group(group)
    return {}


def resume(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] ResumeProcesses."""
    group = region.group(request["AutoScalingGroupName"])
    for name in _processes(request):
        group.suspended.pop(name, None)
        if name == "InstanceRefresh" and group.refresh is not None:
            # It rested: nobody has waited for it.
            group.refresh.progressed = region.now
    group.look_at_all()
    region.settle_group(group)
    return {}


def _processes(request: Mapping[str, Any]) -> tuple[str, ...]:
    given = tuple(request.get("ScalingProcesses") or PROCESSES)
    for name in given:
        if name not in PROCESSES:
            raise invalid(f"Invalid scaling process: {name}. Valid are: {', '.join(PROCESSES)}")
    return given


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "CreateAutoScalingGroup": create,
    "UpdateAutoScalingGroup": update,
    "DeleteAutoScalingGroup": delete,
    "SuspendProcesses": suspend,
    "ResumeProcesses": resume,
}
