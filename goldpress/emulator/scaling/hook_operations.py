"""Owns the operations on lifecycle hooks. See `hooks` for what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from goldpress.emulator.scaling import hooks
from goldpress.emulator.scaling.errors import invalid
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.hooks import Waiting
from goldpress.emulator.scaling.member import Member
from goldpress.emulator.scaling.moving import after_hooks
from goldpress.emulator.scaling.region import Region


def put_all(group: Group, rows: Iterable[Mapping[str, Any]]) -> None:
    """[M] LifecycleHookSpecificationList of CreateAutoScalingGroup."""
    for row in rows:
        group.hooks[row["LifecycleHookName"]] = hooks.put(group.hooks, row)


def put(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] PutLifecycleHook."""
    put_all(region.group(request["AutoScalingGroupName"]), [request])
    return {}


def delete(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteLifecycleHook completes what waits: ABANDON at launches, CONTINUE at ends."""
    group = region.group(request["AutoScalingGroupName"])
    name = request["LifecycleHookName"]
    if group.hooks.pop(name, None) is None:
        raise invalid(f"No Lifecycle Hook found with the name {name}")
    for state, result in (("Pending:Wait", "ABANDON"), ("Terminating:Wait", "CONTINUE")):
        for member in list(group.members.by_state[state].values()):
            if member.waits and member.waits.rows.pop(name, None):
                last = result == "ABANDON" or not member.waits.rows
                after_hooks(group, member, result if last else "", region.now)
    region.settle_group(group)
    return {}


def describe(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeLifecycleHooks."""
    group = region.group(request["AutoScalingGroupName"])
    names = request.get("LifecycleHookNames") or sorted(group.hooks)
    return {
        "LifecycleHooks": [
            group.hooks[name].document(group.name) for name in names if name in group.hooks
        ]
    }


def complete(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CompleteLifecycleAction."""
    group, member, _ = _found(region, request)
    waits = member.waits
    if waits is not None:
        after_hooks(group, member, waits.complete(request), region.now)
    region.settle_group(group)
    return {}


def beat(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] RecordLifecycleActionHeartbeat."""
    group, member, row = _found(region, request)
    if member.waits is not None:
        member.waits.beat(row, region.now)
        group.look(member, member.waits.next_time, region.now)
    region.settle_group(group)
    return {}


def _found(region: Region, request: Mapping[str, Any]) -> tuple[Group, Member, Waiting]:
    group = region.group(request["AutoScalingGroupName"])
    instance = request.get("InstanceId")
    if not instance and "LifecycleActionToken" not in request:
        raise invalid("Either LifecycleActionToken or InstanceId is needed.")
    members = group.members.every
    rows = [members[instance]] if instance in members else []
    for member in rows if instance else members.values():
        if member.waits and (found := member.waits.find(request)):
            return group, member, found
    what = f"instance ID {instance}" if instance else "this token"
    raise invalid(f"No active Lifecycle Action found with {what}")


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "PutLifecycleHook": put,
    "DeleteLifecycleHook": delete,
    "DescribeLifecycleHooks": describe,
    "CompleteLifecycleAction": complete,
    "RecordLifecycleActionHeartbeat": beat,
}
