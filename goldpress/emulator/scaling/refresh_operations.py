"""Owns the operations on instance refreshes. See `refreshing` for what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling import preferences, refreshing
from goldpress.emulator.scaling.configuration import parsed
from goldpress.emulator.scaling.errors import invalid, no_refresh, refresh_runs
from goldpress.emulator.scaling.refresh import Refresh
from goldpress.emulator.scaling.region import Region
from goldpress.emulator.scaling.requests import page

#: [M] DescribeInstanceRefreshes: six weeks; "The default value is 50 and the maximum value is 100".
KEPT_SECONDS = 42 * 24 * 3600
PAGE, MOST = 50, 100


def start(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] StartInstanceRefresh. It has no client token: a second call is refused while one runs."""
    group = region.group(request["AutoScalingGroupName"])
    if group.refresh is not None:
        raise refresh_runs()
    templates = region.cloud.templates
    if request.get("Strategy", "Rolling") != "Rolling":
        raise invalid("the emulated cloud replaces no root volumes: Strategy has to be Rolling")
    given = request.get("Preferences", {})
    wanted = preferences.parsed(given, policy=group.policy, warmup=group.warmup_seconds)
    asked = request.get("DesiredConfiguration")
    configuration = parsed(asked, templates) if asked is not None else group.configuration
    if group.configuration.mixed is not None and configuration.mixed is None:
        # [D] "To update a mixed instances group, you must specify settings for a mixed instances
        # policy in your desired configuration."
        raise invalid(
            "The Auto Scaling group has a mixed instances policy: the desired configuration has to "
            "have one, too."
        )
    version = configuration.spec.resolved(templates)
    if wanted.auto_rollback:
        if asked is None:
            raise invalid("AutoRollback cannot be enabled without a desired configuration.")
        if why := group.configuration.no_way_back(templates):
            raise invalid(f"AutoRollback cannot be enabled: {why}.")
    for name in wanted.alarms:
        try:
            region.cloud.alarms.state(name)
        except KeyError as error:
            raise invalid(f"The CloudWatch alarm {name} does not exist.") from error
    made = Refresh(
        id=region.identity(),
        group=group.name,
        created=region.now,
        configuration=configuration,
        version=version,
        previous=group.configuration,
        preferences=wanted,
        warmup=group.warmup_seconds if wanted.warmup is None else wanted.warmup,
        wanted=configuration.document() if asked is not None else None,
    )
    group.refreshes.append(made)
    region.settle_group(group)
    return {"InstanceRefreshId": made.id}


def describe(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeInstanceRefreshes: the newest first."""
    group = region.group(request["AutoScalingGroupName"])
    now = region.now
    wanted = set(request.get("InstanceRefreshIds", ()))
    rows = [
        row
        for row in reversed(group.refreshes)
        if (not wanted or row.id in wanted) and row.created >= now - KEPT_SECONDS
    ]
    found, token = page(rows, request, default=PAGE, most=MOST)
    shown = [row.document(group.desired, refreshing.reason(group, row, now)) for row in found]
    return {"InstanceRefreshes": shown, **({"NextToken": token} if token else {})}


def cancel(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CancelInstanceRefresh: a refresh or a rollback; what was replaced stays."""
    group = region.group(request["AutoScalingGroupName"])
    refresh = group.refresh
    if refresh is None or refresh.status == "Cancelling":
        raise no_refresh(group.name)
    wait = request.get("WaitForTransitioningInstances", True)
    refreshing.cancel(group, refresh, region.now, wait=wait)
    region.settle_group(group)
    return {"InstanceRefreshId": refresh.id}


def roll_back(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] RollbackInstanceRefresh: of a refresh that has not ended."""
    group = region.group(request["AutoScalingGroupName"])
    refresh = group.refresh
    if refresh is None or refresh.status in {"Cancelling", "RollbackInProgress"}:
        raise no_refresh(group.name)
    refreshing.roll_back(group, refresh, region.now, "User initiated a rollback.")
    region.settle_group(group)
    return {"InstanceRefreshId": refresh.id}


OPERATIONS: Mapping[str, Callable[[Region, Mapping[str, Any]], dict[str, Any]]] = {
    "StartInstanceRefresh": start,
    "DescribeInstanceRefreshes": describe,
    "CancelInstanceRefresh": cancel,
    "RollbackInstanceRefresh": roll_back,
}
