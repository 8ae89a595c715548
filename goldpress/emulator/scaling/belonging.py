"""Owns what belongs to a group: its target groups and its tags.

[M] AttachTrafficSources, AttachLoadBalancerTargetGroups, CreateOrUpdateTags and their opposites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling.errors import invalid
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.health import target_health
from goldpress.emulator.scaling.region import Region
from goldpress.emulator.scaling.requests import page, paged

PAGE, MOST = 50, 100


def attach_all(region: Region, group: Group, arns: Any) -> None:
    """Attach target groups. Raises ScalingError."""
    for arn in arns:
        if not region.cloud.targets.exists(arn):
            raise invalid(f"Provided Target Groups may not be valid: {arn}")
        if arn not in group.target_groups:
            group.target_groups.append(arn)
            if group.may("AddToLoadBalancer"):
                for instance in group.members.by_state["InService"]:
                    region.cloud.targets.register(arn, instance)


def _detach(region: Region, group: Group, arns: Any) -> None:
    for arn in arns:
        if arn not in group.target_groups:
            raise invalid(f"Trying to remove Target Groups that are not part of the group: {arn}")
        group.target_groups.remove(arn)
        for member in group.members.every.values():
            if target_health(group, arn, member) not in {"unused", "draining"}:
                region.cloud.targets.deregister(arn, member.id)


def _traffic(
    change: Callable[[Region, Group, Any], None], arns: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Region, Mapping[str, Any]], dict[str, Any]]:
    def operation(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        """[M] AttachTrafficSources, AttachLoadBalancerTargetGroups, and their opposites."""
        group = region.group(request["AutoScalingGroupName"])
        change(region, group, arns(request))
        group.look_at_all()
        region.settle_group(group)
        return {}

    return operation


def describe_target_groups(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeLoadBalancerTargetGroups."""
    group = region.group(request["AutoScalingGroupName"])
    state = "InService" if group.members.by_state["InService"] else "Added"
    return {
        "LoadBalancerTargetGroups": [
            {"LoadBalancerTargetGroupARN": arn, "State": state} for arn in group.target_groups
        ]
    }


def describe_traffic(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeTrafficSources."""
    group = region.group(request["AutoScalingGroupName"])
    state = "InService" if group.members.by_state["InService"] else "Added"
    return {
        "TrafficSources": [
            {"Identifier": arn, "State": state, "Type": "elbv2"} for arn in group.target_groups
        ]
    }


def tag_one(group: Group, tag: Mapping[str, Any]) -> None:
    """Set a tag. Raises ScalingError."""
    key = tag["Key"]
    if key.startswith("aws:"):
        raise invalid(f"The tag key {key} is reserved")
    group.tags[key] = {
        "ResourceId": group.name,
        "ResourceType": "auto-scaling-group",
        "Key": key,
        "Value": tag.get("Value", ""),
        "PropagateAtLaunch": tag.get("PropagateAtLaunch", False),
    }


def tag(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CreateOrUpdateTags."""
    rows = [(region.group(row.get("ResourceId", "")), row) for row in request["Tags"]]
    for group, row in rows:
        tag_one(group, row)
    return {}


def untag(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteTags."""
    for row in request["Tags"]:
        region.group(row.get("ResourceId", "")).tags.pop(row["Key"], None)
    return {}


def describe_tags(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeTags."""
    rows = [row for group in region.groups.values() for row in group.tags.values()]
    for wanted in request.get("Filters", ()):
        name, values = wanted["Name"], wanted.get("Values", ())
        field = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}.get(name)
        if field is None:
            raise invalid(f"Filter type {name} is not correct.")
        rows = [row for row in rows if row[field] in values]
    found, token = page(rows, request, default=PAGE, most=MOST)
    return paged({"Tags": found}, token)


def _arns(request: Mapping[str, Any]) -> Any:
    return request["TargetGroupARNs"]


def _sources(request: Mapping[str, Any]) -> Any:
    return [row["Identifier"] for row in request["TrafficSources"]]


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "AttachLoadBalancerTargetGroups": _traffic(attach_all, _arns),
    "DetachLoadBalancerTargetGroups": _traffic(_detach, _arns),
    "AttachTrafficSources": _traffic(attach_all, _sources),
    "DetachTrafficSources": _traffic(_detach, _sources),
    "DescribeLoadBalancerTargetGroups": describe_target_groups,
    "DescribeTrafficSources": describe_traffic,
    "CreateOrUpdateTags": tag,
    "DeleteTags": untag,
    "DescribeTags": describe_tags,
}
