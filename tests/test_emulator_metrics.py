"""Metric data: what was put comes back by period, and what was not put does not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from clouds import Account, refused

from goldpress.emulator import metric_calls
from goldpress.emulator.metrics import Metrics
from goldpress.emulator.scaling.errors import ScalingError

NAME = "TargetResponseTime"
BOTH = [{"Name": "LoadBalancer", "Value": "app/a/1"}, {"Name": "TargetGroup", "Value": "t/b/2"}]


@dataclass
class Time:
    at: float = 600_000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(clock=Time())


def put(metrics: Metrics, **row: Any) -> None:
    datum = {"MetricName": NAME, "Dimensions": BOTH, **row}
    metric_calls.put_metric_data(metrics, {"Namespace": "N", "MetricData": [datum]})


def query(stat: str = "Sum", period: int = 60, dimensions: Any = None) -> dict[str, Any]:
    metric = {"Namespace": "N", "MetricName": NAME, "Dimensions": dimensions or BOTH}
    return {"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}


def asked(metrics: Metrics, *queries: Any, **given: Any) -> list[dict[str, Any]]:
    request = {"StartTime": 599_700.0, "EndTime": 600_060.0, "MetricDataQueries": list(queries)}
    found = metric_calls.get_metric_data(metrics, {**request, **given})["MetricDataResults"]
    assert isinstance(found, list)
    return found


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def test_values_come_back_by_period_the_newest_first(metrics: Metrics) -> None:
    put(metrics, Timestamp=at(599_890), Value=1.0)
    put(metrics, Timestamp=at(599_999), Value=2.0)
    put(metrics, Value=4.0)
    (row,) = asked(metrics, query())
    assert row["Values"] == [4.0, 2.0, 1.0]
    assert row["Timestamps"] == [at(600_000), at(599_940), at(599_880)]
    assert (row["Label"], row["StatusCode"]) == (NAME, "Complete")
    (row,) = asked(metrics, query(period=300), ScanBy="TimestampAscending")
    assert (row["Values"], row["Timestamps"]) == ([3.0, 4.0], [at(599_700), at(600_000)])


def test_what_was_not_put_is_missing_and_not_zero(metrics: Metrics) -> None:
    put(metrics, Value=1.0)
    other = [{"Name": "LoadBalancer", "Value": "app/a/1"}]
    (row,) = asked(metrics, query(dimensions=other))
    assert (row["Values"], row["Timestamps"]) == ([], [])


def test_statistics(metrics: Metrics) -> None:
    put(metrics, Values=[0.1, 0.5, 9.0], Counts=[98.0, 1.0, 1.0])
    names = ("SampleCount", "Sum", "Average", "Minimum", "Maximum", "p50", "p99", "p99.9", "p100")
    values = [asked(metrics, query(name))[0]["Values"][0] for name in names]
    assert values[0] == 100
    assert values[1:3] == pytest.approx([19.3, 0.193])
    assert values[3:] == [0.1, 9.0, 0.1, 0.5, 9.0, 9.0]


def test_sets_of_statistics_have_no_percentiles(metrics: Metrics) -> None:
    told = {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}
    put(metrics, StatisticValues=told)
    put(metrics, Value=6.0)
    assert asked(metrics, query("Average"))[0]["Values"] == [16 / 5]
    assert asked(metrics, query("Maximum"))[0]["Values"] == [6.0]
    assert asked(metrics, query("p90"))[0]["Values"] == []


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"Value": float("nan")}, "The value nan for parameter MetricData.member.1.Value"),
        ({"Value": 1.0, "Values": [2.0]}, "exactly one of Value, Values and StatisticValues"),
        ({}, "no value: exactly one"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "of the same size"),
        ({"Value": 1.0, "StorageResolution": 5}, "StorageResolution 5 is neither 1 nor 60"),
        ({"Value": 1.0, "Timestamp": at(600_000 + 7201)}, "two hours ahead"),
        (
            {"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}},
            "of no samples",
        ),
    ],
)
def test_bad_data_are_refused(metrics: Metrics, row: dict[str, Any], text: str) -> None:
    with pytest.raises(ScalingError, match=text):
        put(metrics, **row)
    assert metrics.data == {}


@pytest.mark.parametrize(
    ("queries", "given", "text"),
    [
        ([{"Id": "e", "Expression": "m/2"}], {}, "no metric math"),
        ([query("tm90")], {}, "no statistic 'tm90'"),
        ([query(), query()], {}, "'m' of an Id is used twice"),
        ([query(period=90)], {}, "Period 90"),
        ([query()], {"EndTime": 599_700.0}, "StartTime must be less"),
        ([query()], {"MaxDatapoints": 1}, "has no pages"),
    ],
)
def test_bad_questions_are_refused(
    metrics: Metrics, queries: list[Any], given: dict[str, Any], text: str
) -> None:
    with pytest.raises(ScalingError, match=text):
        asked(metrics, *queries, **given)


def test_over_http(account: Account) -> None:
    cloudwatch = account.client("cloudwatch")
    now = dt.datetime.now(dt.UTC)
    rows = [{"MetricName": NAME, "Dimensions": BOTH, "Values": [0.2, 0.4], "Unit": "Seconds"}]
    cloudwatch.put_metric_data(Namespace="N", MetricData=rows)
    times = {"StartTime": now - dt.timedelta(minutes=5), "EndTime": now + dt.timedelta(minutes=5)}
    (found,) = cloudwatch.get_metric_data(MetricDataQueries=[query("p90")], **times)[
        "MetricDataResults"
    ]
    assert found["Values"] == [0.4]
    points = cloudwatch.get_metric_statistics(
        Namespace="N", MetricName=NAME, Dimensions=BOTH, Period=60, Statistics=["Average"], **times
    )["Datapoints"]
    assert points[0]["Average"] == pytest.approx(0.3)
    assert points[0]["Unit"] == "Seconds"
    (listed,) = cloudwatch.list_metrics(Namespace="N")["Metrics"]
    assert listed == {"Namespace": "N", "MetricName": NAME, "Dimensions": BOTH}
    refused(
        "ValidationError",
        cloudwatch.get_metric_data,
        MetricDataQueries=[{"Id": "e", "Expression": "1"}],
        **times,
    )
    refused(
        "InvalidParameterCombination",
        cloudwatch.put_metric_data, Namespace="N",
        MetricData=[{"MetricName": NAME, "Value": 1.0, "Values": [1.0]}],
    )  # fmt: skip
