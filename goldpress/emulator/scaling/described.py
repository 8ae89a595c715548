"""Owns what a group tells: itself, its instances, its activities, the account's limits.

[M] DescribeAutoScalingGroups, DescribeAutoScalingInstances, DescribeScalingActivities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling.errors import invalid
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.region import Region
from goldpress.emulator.scaling.requests import page, paged

PAGE, MOST = 50, 100


def describe(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeAutoScalingGroups."""
    names = request.get("AutoScalingGroupNames") or sorted(region.groups)
    rows = [region.groups[name] for name in names if name in region.groups]
    for wanted in request.get("Filters", ()):
        rows = [group for group in rows if _meets(group, wanted)]
    found, token = page(rows, request, default=PAGE, most=MOST)
    shown = [group.document() for group in found]
    if not request.get("IncludeInstances", True):
        shown = [{**row, "Instances": []} for row in shown]
    return paged({"AutoScalingGroups": shown}, token)


def _meets(group: Group, wanted: Mapping[str, Any]) -> bool:
    name, values = wanted.get("Name", ""), set(wanted.get("Values", ()))
    if name == "tag-key":
        return bool(values & set(group.tags))
    if name == "tag-value":
        return bool(values & {row.get("Value", "") for row in group.tags.values()})
    if name.startswith("tag:"):
        row = group.tags.get(name.removeprefix("tag:"))
        return row is not None and row.get("Value", "") in values
    raise invalid(f"Filter type {name} is not correct. Allowed Filter types are: tag-key, "
                  "tag-value, tag:key")  # fmt: skip


def describe_instances(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeAutoScalingInstances."""
    wanted = set(request.get("InstanceIds", ()))
    rows = [
        {"AutoScalingGroupName": group.name, **member.document(),
         "HealthStatus": member.health.upper()}
        for group, member in region.members()
        if not wanted or member.id in wanted
    ]  # fmt: skip
    found, token = page(rows, request, default=PAGE, most=PAGE)
    return paged({"AutoScalingInstances": found}, token)


def describe_activities(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeScalingActivities: "the previous six weeks", the newest first."""
    name = request.get("AutoScalingGroupName")
    groups = [region.group(name)] if name else list(region.groups.values())
    rows = [(row, group) for group in groups for row in group.activities.newest_first(region.now)]
    if len(groups) > 1:
        rows.sort(key=lambda pair: pair[0].started, reverse=True)
    if wanted := set(request.get("ActivityIds", ())):
        rows = [pair for pair in rows if pair[0].id in wanted]
    found, token = page(rows, request, default=MOST, most=MOST)
    return paged({"Activities": [row.document(group.arn) for row, group in found]}, token)


def limits(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeAccountLimits; [D] 500 groups, 200 launch configurations in a region."""
    del request
    return {
        "MaxNumberOfAutoScalingGroups": 500,
        "MaxNumberOfLaunchConfigurations": 200,
        "NumberOfAutoScalingGroups": len(region.groups),
        "NumberOfLaunchConfigurations": 0,
    }


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "DescribeAutoScalingGroups": describe,
    "DescribeAutoScalingInstances": describe_instances,
    "DescribeScalingActivities": describe_activities,
    "DescribeAccountLimits": limits,
}
