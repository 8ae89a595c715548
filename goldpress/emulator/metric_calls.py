"""Owns CloudWatch's calls about metric data: a boto-shaped request, a boto-shaped answer.

[M] botocore's model of `cloudwatch`. Metric math, metrics insights, trimmed means and pages of data
points are refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from goldpress.emulator.metrics import (
    MINUTE,
    Bucket,
    Key,
    Metrics,
    check_statistic,
    key_of,
    moment,
    seconds,
)
from goldpress.emulator.scaling.errors import ScalingError, invalid

#: [M] PutMetricData: "time stamps can be from two weeks before ... to two hours after".
OLDEST, NEWEST = 14 * 86400.0, 2 * 3600.0
MOST_VALUES, MOST_QUERIES = 150, 500
LARGEST = 2.0**360
QUERY_ID = re.compile(r"[a-z][A-Za-z0-9_]*")


def put_metric_data(metrics: Metrics, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] PutMetricData; nothing is kept when one of the data is refused. Raises ScalingError."""
    rows = [_datum(metrics, row, i + 1) for i, row in enumerate(request.get("MetricData", ()))]
    with metrics.lock:
        for row, bucket, at, resolution in rows:
            key = key_of(request["Namespace"], row["MetricName"], row.get("Dimensions", ()))
            metrics.bucket(key, at, resolution).merge(bucket)
    return {}


def _datum(
    metrics: Metrics, row: Mapping[str, Any], number: int
) -> tuple[Mapping[str, Any], Bucket, float, int]:
    place = f"MetricData.member.{number}"
    now = metrics.clock.now()
    at = seconds(row["Timestamp"]) if "Timestamp" in row else now
    if not now - OLDEST <= at <= now + NEWEST:
        raise _bad(f"{place}.Timestamp is more than two weeks ago or two hours ahead")
    given = [name for name in ("Value", "Values", "StatisticValues") if name in row]
    if len(given) != 1:
        raise ScalingError(
            "InvalidParameterCombination",
            f"{place} has {' and '.join(given) or 'no value'}: exactly one of Value, Values and "
            "StatisticValues",
        )
    bucket, unit = Bucket(), str(row.get("Unit") or "")
    if "StatisticValues" in row:
        told = row["StatisticValues"]
        count, total = float(told["SampleCount"]), float(told["Sum"])
        low, high = float(told["Minimum"]), float(told["Maximum"])
        if count <= 0 or low > high:
            raise _bad(
                f"{place}.StatisticValues is of no samples, or its Minimum above its Maximum"
            )
        values = {low: count} if low == high else None
        bucket = Bucket(count=count, total=total, low=low, high=high, values=values)
        bucket.units = {unit} if unit else set()
    else:
        found = [row["Value"]] if "Value" in row else row["Values"]
        counts = row.get("Counts") or [1.0] * len(found)
        if len(counts) != len(found) or len(found) > MOST_VALUES:
            raise _bad(f"{place}: Values and Counts of the same size, at most {MOST_VALUES}")
        for value, count in zip(found, counts, strict=True):
            if not math.isfinite(value) or abs(value) > LARGEST:
                raise _bad(f"The value {value} for parameter {place}.Value is invalid.")
            bucket.add(float(value), float(count), unit)
    resolution = int(row.get("StorageResolution", MINUTE))
    if resolution not in {1, MINUTE}:
        raise _bad(f"{place}.StorageResolution {resolution} is neither 1 nor 60")
    return row, bucket, at, resolution


def get_metric_data(metrics: Metrics, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetMetricData, without metric math and without pages. Raises ScalingError."""
    queries = request["MetricDataQueries"]
    if len(queries) > MOST_QUERIES:
        raise invalid(f"{len(queries)} queries: at most {MOST_QUERIES} in a request")
    if "MaxDatapoints" in request or "NextToken" in request:
        raise invalid("the embedded cloud's GetMetricData has no pages")
    start, end = seconds(request["StartTime"]), seconds(request["EndTime"])
    if start >= end:
        raise invalid("The parameter StartTime must be less than the parameter EndTime.")
    seen: set[str] = set()
    results = []
    for query in queries:
        name = query["Id"]
        if name in seen or not QUERY_ID.fullmatch(name):
            raise invalid(f"The value '{name}' of an Id is used twice, or no lower-case word.")
        seen.add(name)
        rows = _asked(metrics, query, start, end)
        if request.get("ScanBy") != "TimestampAscending":
            rows.reverse()
        if query.get("ReturnData", True):
            label = query.get("Label") or query["MetricStat"]["Metric"]["MetricName"]
            results.append(
                {
                    "Id": name,
                    "Label": label,
                    "Timestamps": [moment(begin) for begin, _ in rows],
                    "Values": [value for _, value in rows],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results, "Messages": []}


def _asked(
    metrics: Metrics, query: Mapping[str, Any], start: float, end: float
) -> list[tuple[float, float]]:
    if "Expression" in query or "MetricStat" not in query:
        raise invalid(f"{query['Id']}: the embedded cloud has no metric math, only MetricStat")
    told = query["MetricStat"]
    check_statistic(told["Stat"])
    metric = told["Metric"]
    key = key_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", ()))
    period = checked_period(told["Period"])
    begin = start - start % min(period, MINUTE)
    unit = told.get("Unit", "")
    found = metrics.values(key, told["Stat"], start=begin, end=end, period=period, unit=unit)
    return list(found)


def get_metric_statistics(metrics: Metrics, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetMetricStatistics. Raises ScalingError."""
    simple, others = request.get("Statistics") or [], request.get("ExtendedStatistics") or []
    if bool(simple) == bool(others):
        raise ScalingError(
            "InvalidParameterCombination", "either Statistics or ExtendedStatistics, and not both"
        )
    for name in (*simple, *others):
        check_statistic(name)
    start, end = seconds(request["StartTime"]), seconds(request["EndTime"])
    if start >= end:
        raise _bad("The parameter StartTime must be less than the parameter EndTime.")
    period = checked_period(request["Period"])
    key = key_of(request["Namespace"], request["MetricName"], request.get("Dimensions", ()))
    begin, unit = start - start % min(period, MINUTE), request.get("Unit", "")
    points = []
    for at, bucket in metrics.periods(key, start=begin, end=end, period=period, unit=unit):
        point: dict[str, Any] = {"Timestamp": moment(at), "Unit": min(bucket.units, default="None")}
        point.update({name: bucket.statistic(name) for name in simple})
        told = {name: bucket.statistic(name) for name in others}
        if others:
            point["ExtendedStatistics"] = {k: v for k, v in told.items() if v is not None}
        points.append(point)
    return {"Label": request["MetricName"], "Datapoints": points}


def list_metrics(metrics: Metrics, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] ListMetrics, all at once: by namespace, name and some of the dimensions."""
    wanted = {(d["Name"], d.get("Value")) for d in request.get("Dimensions", ())}
    with metrics.lock:
        found = sorted(
            key
            for key in metrics.data
            if request.get("Namespace") in {None, key.namespace}
            and request.get("MetricName") in {None, key.name}
            and all(_has(key, name, value) for name, value in wanted)
        )
    return {
        "Metrics": [
            {
                "Namespace": key.namespace,
                "MetricName": key.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in key.dimensions],
            }
            for key in found
        ]
    }


def _has(key: Key, name: str, value: str | None) -> bool:
    return any(name == own and value in {None, of_it} for own, of_it in key.dimensions)


def checked_period(period: int) -> int:
    """[M] Period: 1, 5, 10, 20, 30 or a multiple of 60. Raises ScalingError."""
    if period not in {1, 5, 10, 20, 30} and (period < MINUTE or period % MINUTE):
        raise invalid(f"Period {period}: 1, 5, 10, 20, 30 or a multiple of 60")
    return period


def _bad(message: str) -> ScalingError:
    return ScalingError("InvalidParameterValue", message)
