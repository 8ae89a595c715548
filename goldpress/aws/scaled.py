"""Owns reading what Auto Scaling answers, by its own keys.

A key that AWS promises and does not send is an error; one that it may leave out is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from goldpress.aws.scaling import (
    NO_TEMPLATE,
    ROLLBACKS,
    Group,
    Member,
    Refresh,
    TemplateRef,
    moment_text,
)


def parse_template(row: Mapping[str, Any] | None) -> TemplateRef | None:
    """A LaunchTemplateSpecification; None for none."""
    if not row:
        return None
    # AWS takes a specification without a version for the default one.
    return _template(
        str(row.get("LaunchTemplateId", "")),
        str(row.get("LaunchTemplateName", "")),
        str(row.get("Version") or "$Default"),
    )


@lru_cache(maxsize=1024)
def _template(identity: str, name: str, version: str) -> TemplateRef:
    """Thousands of instances have the same one."""
    return TemplateRef(id=identity, name=name, version=version)


def parse_group(row: Mapping[str, Any], *, region: str) -> Group:
    """A group of DescribeAutoScalingGroups."""
    mixed = row.get("MixedInstancesPolicy")
    launch = mixed["LaunchTemplate"] if mixed else {}
    template = parse_template(
        launch["LaunchTemplateSpecification"] if mixed else row.get("LaunchTemplate")
    )
    maintenance = row.get("InstanceMaintenancePolicy") or {}
    return Group(
        account=str(row["AutoScalingGroupARN"]).split(":")[4],
        region=region,
        name=str(row["AutoScalingGroupName"]),
        min=int(row["MinSize"]),
        max=int(row["MaxSize"]),
        desired=int(row["DesiredCapacity"]),
        members=tuple(_member(found) for found in row.get("Instances", ())),
        template=template or NO_TEMPLATE,
        overrides=tuple(
            str(found["InstanceType"])
            for found in launch.get("Overrides", ())
            if "InstanceType" in found
        ),
        suspended=frozenset(
            str(found["ProcessName"]) for found in row.get("SuspendedProcesses", ())
        ),
        health_check=str(row["HealthCheckType"]),
        grace_seconds=int(row.get("HealthCheckGracePeriod", 0)),
        target_groups=_targets(row),
        warmup_seconds=_warmup(row),
        mixed=mixed or None,
        tags={str(tag["Key"]): str(tag.get("Value", "")) for tag in row.get("Tags", ())},
        balancers=tuple(str(name) for name in row.get("LoadBalancerNames", ())),
        launch_configuration=str(row.get("LaunchConfigurationName", "")),
        subnets=tuple(name for name in str(row.get("VPCZoneIdentifier", "")).split(",") if name),
        service_role=str(row.get("ServiceLinkedRoleARN", "")),
        lifetime_seconds=int(row.get("MaxInstanceLifetime") or 0),
        maintenance=_maintenance(maintenance),
        protects_new=bool(row.get("NewInstancesProtectedFromScaleIn")),
        status=str(row.get("Status", "")),
    )


def parse_refresh(row: Mapping[str, Any]) -> Refresh:
    """A refresh of DescribeInstanceRefreshes."""
    desired = row.get("DesiredConfiguration") or {}
    mixed = desired.get("MixedInstancesPolicy")
    wanted = mixed["LaunchTemplate"]["LaunchTemplateSpecification"] if mixed else None
    return Refresh(
        id=str(row["InstanceRefreshId"]),
        status=str(row["Status"]),
        percentage=int(row.get("PercentageComplete") or 0),
        to_update=int(row.get("InstancesToUpdate") or 0),
        reason=str(row.get("StatusReason", "")),
        desired=parse_template(wanted or desired.get("LaunchTemplate")),
        started=moment_text(row.get("StartTime")),
        ended=moment_text(row.get("EndTime")),
        rollback=str(row["Status"]) in ROLLBACKS or bool(row.get("RollbackDetails")),
        turned=moment_text((row.get("RollbackDetails") or {}).get("RollbackStartTime")),
        preferences=dict(row.get("Preferences") or {}),
    )


def _member(row: Mapping[str, Any]) -> Member:
    return Member(
        id=str(row["InstanceId"]),
        state=str(row["LifecycleState"]),
        healthy=str(row["HealthStatus"]).lower() == "healthy",
        protected=bool(row["ProtectedFromScaleIn"]),
        template=parse_template(row.get("LaunchTemplate")),
        type=str(row.get("InstanceType", "")),
        zone=str(row["AvailabilityZone"]),
        ami=str(row.get("ImageId", "")),
    )


def _targets(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Target groups, attached by either of the two ways that AWS has."""
    sources = (s for s in row.get("TrafficSources", ()) if s.get("Type", "elbv2") == "elbv2")
    arns = [str(arn) for arn in row.get("TargetGroupARNs", ())]
    return tuple(dict.fromkeys([*arns, *(str(source["Identifier"]) for source in sources)]))


def _warmup(row: Mapping[str, Any]) -> int | None:
    """The group's default warmup; AWS writes -1 for one that was taken away."""
    value = row.get("DefaultInstanceWarmup")
    return None if value is None or int(value) < 0 else int(value)


def _maintenance(row: Mapping[str, Any]) -> tuple[int, int] | None:
    low, high = row.get("MinHealthyPercentage"), row.get("MaxHealthyPercentage")
    if low is None or high is None or int(low) < 0:
        return None
    return int(low), int(high)
