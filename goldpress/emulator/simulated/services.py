"""Owns which calls a simulated cloud answers: (service, operation) to a function of a place."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator import alarms, metric_calls, targets
from goldpress.emulator.scaling import operations
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.simulated import ec2
from goldpress.emulator.simulated.place import Place, TargetGroup

Call = Callable[[Place, Mapping[str, Any]], dict[str, Any]]


def _scaling(name: str) -> Call:
    return lambda place, request: operations.call(place.scaling, name, request)


def _targets(call: Any) -> Call:
    def operation(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = call(place.targets, request)
        for row in request.get("Targets", ()):
            place.wake(row["Id"])
        return found

    return operation


def _alarms(call: Any) -> Call:
    def operation(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = call(place.alarms, request)
        return found

    return operation


def set_alarm_state(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SetAlarmState: a refresh that watches the alarm sees it at once."""
    found = alarms.set_alarm_state(place.alarms, request)
    place.scaling.wake()
    return found


def _metrics(call: Any) -> Call:
    return lambda place, request: dict(call(place.metrics, request))


def _shown(group: TargetGroup, place: Place) -> dict[str, Any]:
    rules = group.rules
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": "HTTP",
        "Port": rules.port,
        "VpcId": f"vpc-{place.account}",
        "TargetType": rules.kind,
        "HealthCheckProtocol": rules.protocol,
        "HealthCheckPort": "traffic-port",
        "HealthCheckPath": rules.path,
        "HealthCheckEnabled": rules.enabled,
        "HealthCheckIntervalSeconds": int(rules.interval),
        "HealthCheckTimeoutSeconds": int(rules.timeout),
        "HealthyThresholdCount": rules.healthy,
        "UnhealthyThresholdCount": rules.unhealthy,
        "Matcher": {"HttpCode": rules.codes},
        "LoadBalancerArns": [group.balancer],
    }


def _group(place: Place, arn: str) -> TargetGroup:
    found = place.target_groups.get(arn)
    if found is None:
        raise ScalingError("TargetGroupNotFound", "One or more target groups not found")
    return found


def target_groups(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeTargetGroups."""
    arns = request.get("TargetGroupArns") or sorted(place.target_groups)
    return {"TargetGroups": [_shown(_group(place, arn), place) for arn in arns]}


def target_group_attributes(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeTargetGroupAttributes: the one that matters here."""
    rules = _group(place, request["TargetGroupArn"]).rules
    key = "deregistration_delay.timeout_seconds"
    return {"Attributes": [{"Key": key, "Value": str(int(rules.delay))}]}


def get_parameter(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetParameter of SSM, by its plain name."""
    found = place.parameters.get(request["Name"])
    if found is None:
        raise ScalingError("ParameterNotFound", request["Name"])
    return {"Parameter": found}


def put_parameter(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] PutParameter of SSM."""
    name = request["Name"]
    before = place.parameters.get(name)
    if before is not None and not request.get("Overwrite"):
        raise ScalingError(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in "
            "the request to true.",
        )
    version = before["Version"] + 1 if before else 1
    place.parameters[name] = {
        "Name": name,
        "Type": request.get("Type", "String"),
        "Value": request["Value"],
        "Version": version,
        "DataType": request.get("DataType", "text"),
        "ARN": f"arn:aws:ssm:{place.region}:{place.account}:parameter{name}",
    }
    return {"Version": version, "Tier": "Standard"}


def identity(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetCallerIdentity of STS."""
    del request
    arn = f"arn:aws:sts::{place.account}:assumed-role/goldpress/goldpress"
    return {"Account": place.account, "Arn": arn, "UserId": f"AROA:{uuid.UUID(int=0)}"}


def quota(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetServiceQuota: more than any simulation needs."""
    del place
    row = {key: request[key] for key in ("ServiceCode", "QuotaCode")}
    return {"Quota": {**row, "Value": 100_000.0}}


SERVICES: Mapping[str, Mapping[str, Call]] = {
    "autoscaling": {name: _scaling(name) for name in operations.OPERATIONS},
    "ec2": ec2.CALLS,
    "elbv2": {
        "DescribeTargetGroups": target_groups,
        "DescribeTargetGroupAttributes": target_group_attributes,
        "DescribeTargetHealth": _targets(targets.describe_target_health),
        "RegisterTargets": _targets(targets.register_targets),
        "DeregisterTargets": _targets(targets.deregister_targets),
    },
    "cloudwatch": {
        "PutMetricAlarm": _alarms(alarms.put_metric_alarm),
        "DescribeAlarms": _alarms(alarms.describe_alarms),
        "SetAlarmState": set_alarm_state,
        "DeleteAlarms": _alarms(alarms.delete_alarms),
        "PutMetricData": _metrics(metric_calls.put_metric_data),
        "GetMetricData": _metrics(metric_calls.get_metric_data),
    },
    "ssm": {"GetParameter": get_parameter, "PutParameter": put_parameter},
    "sts": {"GetCallerIdentity": identity},
    "service-quotas": {"GetServiceQuota": quota},
}
