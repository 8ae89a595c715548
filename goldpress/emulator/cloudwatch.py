"""Owns CloudWatch over HTTP: moto's front, with the metrics and alarms of this cloud behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import xform_name  # noqa: TID251 - how moto names its methods
from moto.cloudwatch.responses import CloudWatchResponse

from goldpress.emulator import alarms, metric_calls, patches
from goldpress.emulator.alarms import AlarmBook
from goldpress.emulator.fronts import Call, answering, refusing
from goldpress.emulator.metrics import Metrics
from goldpress.emulator.world import World, current

SERVICE = "cloudwatch"
#: Calls about metric data and about alarms, by the name that clients call them.
METRICS: Mapping[str, Call[Metrics]] = {
    "PutMetricData": metric_calls.put_metric_data,
    "GetMetricData": metric_calls.get_metric_data,
    "GetMetricStatistics": metric_calls.get_metric_statistics,
    "ListMetrics": metric_calls.list_metrics,
}
ALARMS: Mapping[str, Call[AlarmBook]] = {
    "PutMetricAlarm": alarms.put_metric_alarm,
    "DescribeAlarms": alarms.describe_alarms,
    "DescribeAlarmsForMetric": alarms.describe_alarms_for_metric,
    "SetAlarmState": alarms.set_alarm_state,
    "DeleteAlarms": alarms.delete_alarms,
}
#: What moto would answer from alarms of its own.
REFUSED = ("EnableAlarmActions", "DisableAlarmActions", "TagResource", "UntagResource",
           "ListTagsForResource")  # fmt: skip

_BOOKS: dict[tuple[int, str, str], AlarmBook] = {}


def extend_cloudwatch() -> None:
    """Put this cloud's metrics and alarms behind moto's front. Raises RuntimeError."""
    methods = {
        **{xform_name(n): answering(SERVICE, n, c, _metrics) for n, c in METRICS.items()},
        **{xform_name(n): answering(SERVICE, n, c, _book) for n, c in ALARMS.items()},
        **{xform_name(name): refusing(SERVICE, name) for name in REFUSED},
    }
    for name in methods:
        found = getattr(CloudWatchResponse, name, None)
        if getattr(found, "__module__", "") != "goldpress.emulator.fronts":
            patches.original(CloudWatchResponse, name, ("self",))
    for name, method in methods.items():
        setattr(CloudWatchResponse, name, method)


def book_of(account: str, region: str, world: World | None = None) -> AlarmBook:
    """The alarms of an account and region of a cloud, and its metrics with them."""
    cloud = world or current()
    with cloud.lock:
        found = _BOOKS.get((id(cloud), account, region))
        if found is None:
            metrics = Metrics(clock=cloud.clock)
            found = AlarmBook(metrics=metrics, account=account, region=region)
            _BOOKS[id(cloud), account, region] = found
        return found


def _book(response: Any) -> AlarmBook:
    return book_of(response.current_account, response.region)


def _metrics(response: Any) -> Metrics:
    return _book(response).metrics
