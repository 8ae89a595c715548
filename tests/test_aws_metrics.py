"""Alarms and numbers: what is missing is None, and what is a part is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fleets import target_group
from stubbed import Stubbed

from goldpress.aws.metrics import Metrics, Query, Traffic
from goldpress.errors import CloudError

END = datetime(2026, 11, 1, 12, tzinfo=UTC)
START = END - timedelta(minutes=10)
QUERY = Query(namespace="N", metric="M", dimensions={"A": "b"}, stat="p99")


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


def metrics(cloud: Stubbed) -> Metrics:
    return Metrics(client=cloud.client("cloudwatch"), region="us-east-1")


def results(*rows: tuple[str, list[float]], **changes: Any) -> dict[str, Any]:
    return {
        "MetricDataResults": [
            {"Id": name, "Values": values, "Timestamps": [], "StatusCode": "Complete", **changes}
            for name, values in rows
        ]
    }


def test_an_alarm_that_is_not_there_is_none_and_composite_ones_are_asked_for(
    cloud: Stubbed,
) -> None:
    cloud.says(
        "cloudwatch", "describe_alarms",
        {
            "MetricAlarms": [{"AlarmName": "a", "StateValue": "OK"}],
            "CompositeAlarms": [{"AlarmName": "b", "StateValue": "ALARM", "StateReason": "why"}],
        },
        {
            "AlarmNames": ["a", "b", "c"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
            "MaxRecords": 100,
        },
    )  # fmt: skip
    found = metrics(cloud).alarms(["c", "b", "a", "a"])
    assert [row.state if row else None for row in found.values()] == ["OK", "ALARM", None]


def test_no_value_is_none_and_never_zero(cloud: Stubbed) -> None:
    cloud.says("cloudwatch", "get_metric_data", results(("n", [])))
    cloud.says("cloudwatch", "get_metric_data", results(("n", [1.0, 2.0])))
    assert metrics(cloud).number(QUERY, start=START, end=END) is None
    assert metrics(cloud).number(QUERY, start=START, end=END) == 2.0


@pytest.mark.parametrize("code", ["PartialData", "InternalError", "Forbidden"])
def test_a_part_of_the_values_is_refused(cloud: Stubbed, code: str) -> None:
    cloud.says("cloudwatch", "get_metric_data", results(("n", [1.0]), StatusCode=code))
    with pytest.raises(CloudError, match=f"CloudWatch answers {code}"):
        metrics(cloud).number(QUERY, start=START, end=END)


def test_pages_are_parts_of_a_whole(cloud: Stubbed) -> None:
    first = results(("n", [1.0]), StatusCode="PartialData")
    cloud.says("cloudwatch", "get_metric_data", {**first, "NextToken": "more"})
    cloud.says("cloudwatch", "get_metric_data", results(("n", [2.0])))
    assert metrics(cloud).values({"n": QUERY}, start=START, end=END) == {"n": (1.0, 2.0)}


def traffic(cloud: Stubbed, *rows: tuple[str, list[float]]) -> Traffic:
    cloud.says("cloudwatch", "get_metric_data", results(*rows))
    return metrics(cloud).traffic([target_group()], start=START, end=END)


def test_requests_without_errors_are_no_errors(cloud: Stubbed) -> None:
    """CloudWatch has HTTPCode_Target_5XX_Count only where there was one."""
    found = traffic(cloud, ("requests0", [60.0, 40.0]), ("errors0", []), ("latency0", [0.1, 0.3]))
    assert found == Traffic(requests=100.0, errors=0.0, latency_seconds=0.3)
    assert found.error_rate == 0.0


def test_without_requests_nothing_is_known(cloud: Stubbed) -> None:
    found = traffic(cloud, ("requests0", []), ("errors0", []), ("latency0", []))
    assert found == Traffic(requests=None, errors=None, latency_seconds=None)
    assert found.error_rate is None


def test_errors_are_a_share_of_the_requests(cloud: Stubbed) -> None:
    found = traffic(cloud, ("requests0", [200.0]), ("errors0", [3.0, 1.0]), ("latency0", [1.0]))
    assert found.error_rate == 0.02


def test_a_target_group_of_no_balancer_has_no_traffic(cloud: Stubbed) -> None:
    found = metrics(cloud).traffic([target_group(balancers=())], start=START, end=END)
    assert found.requests is None


def test_traffic_is_asked_by_the_names_that_metrics_have(cloud: Stubbed) -> None:
    asked: list[Any] = []
    cloud.client("cloudwatch").meta.events.register(
        "before-parameter-build.cloudwatch", lambda params, **_: asked.append(params)
    )
    traffic(cloud, ("requests0", []))
    dimensions = asked[0]["MetricDataQueries"][0]["MetricStat"]["Metric"]["Dimensions"]
    assert dimensions == [
        {"Name": "LoadBalancer", "Value": "app/web/0123456789abcdef"},
        {"Name": "TargetGroup", "Value": "targetgroup/web/0123456789abcdef"},
    ]
