"""Alarms: their state follows from metric data, as CloudWatch documents it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from clouds import Account, refused
from emulated import Emulator

from goldpress.emulator import alarms
from goldpress.emulator.alarms import AlarmBook, judged
from goldpress.emulator.metrics import Key, Metrics
from goldpress.emulator.scaling.errors import ScalingError

ERRORS = Key("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", (("LoadBalancer", "app/web/1"),))
ALARM: dict[str, Any] = {
    "AlarmName": "errors", "Namespace": ERRORS.namespace, "MetricName": ERRORS.name,
    "Dimensions": [{"Name": "LoadBalancer", "Value": "app/web/1"}], "Statistic": "Sum",
    "Period": 60, "EvaluationPeriods": 2, "Threshold": 5, "TreatMissingData": "notBreaching",
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


@dataclass
class Time:
    at: float = 6000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def book() -> AlarmBook:
    return AlarmBook(metrics=Metrics(clock=Time()), account="1" * 12, region="eu-west-1")


def pass_to(book: AlarmBook, at: float) -> None:
    clock = book.metrics.clock
    assert isinstance(clock, Time)
    clock.at = at


#: [D] CloudWatch user guide, "How alarm state is evaluated when data is missing": the data points,
#: then the state for missing, ignore ("" keeps the one before), breaching and notBreaching.
THREE_OF_THREE = [
    ("0 - X - X", "OK", "OK", "OK", "OK"),
    ("0 - - - -", "OK", "OK", "OK", "OK"),
    ("- - - - 0", "OK", "OK", "OK", "OK"),
    ("- - - - -", "INSUFFICIENT_DATA", "", "ALARM", "OK"),
    ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - - - X", "INSUFFICIENT_DATA", "", "ALARM", "OK"),
    ("- - X - -", "ALARM", "", "ALARM", "OK"),
    ("X - - - -", "ALARM", "", "ALARM", "OK"),
]
TWO_OF_THREE = [
    ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", "OK", "OK", "ALARM", "OK"),
    ("- - - - X", "INSUFFICIENT_DATA", "", "ALARM", "OK"),
    ("- - - X -", "ALARM", "", "ALARM", "OK"),
]


@pytest.mark.parametrize(
    ("enough", "row"), [(3, row) for row in THREE_OF_THREE] + [(2, row) for row in TWO_OF_THREE]
)
def test_the_tables_of_the_user_guide(enough: int, row: tuple[str, ...]) -> None:
    points = [{"0": False, "X": True, "-": None}[word] for word in row[0].split()]
    for treat, expected in zip(alarms.MISSING, row[1:], strict=True):
        for before in alarms.STATES:
            state = judged(points, of=3, enough=enough, treat=treat, state=before)
            assert state == (expected or before), (treat, before)


def test_a_new_alarm_knows_nothing_until_its_first_evaluation(book: AlarmBook) -> None:
    alarms.put_metric_alarm(book, ALARM)
    assert book.state("errors") == "INSUFFICIENT_DATA"
    assert book.next_change("errors") == 6060.0
    pass_to(book, 6060.0)
    assert book.state("errors") == "OK"
    with pytest.raises(KeyError):
        book.state("other")


def test_it_needs_as_many_whole_periods_as_it_says(book: AlarmBook) -> None:
    """The period that goes on does not count yet; two in a row breach, one does not."""
    alarms.put_metric_alarm(book, ALARM)
    book.metrics.add(ERRORS, 9.0, at=6000.0)
    book.metrics.add(ERRORS, 9.0, at=6060.0)
    pass_to(book, 6119.0)
    assert book.state("errors") == "OK"
    pass_to(book, 6120.0)
    assert book.state("errors") == "ALARM"
    (row,) = alarms.describe_alarms(book, {})["MetricAlarms"]
    assert "Threshold Crossed: 2 datapoints [9.0, 9.0]" in row["StateReason"]
    # No errors are no data points: good, as the alarm says.
    pass_to(book, 6420.0)
    assert book.state("errors") == "OK"


def test_a_state_that_was_set_holds_until_the_next_evaluation(book: AlarmBook) -> None:
    """[M] SetAlarmState: temporarily."""
    alarms.put_metric_alarm(book, ALARM)
    pass_to(book, 6070.0)
    alarms.set_alarm_state(
        book, {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "a drill"}
    )
    pass_to(book, 6119.9)
    assert book.state("errors") == "ALARM"
    pass_to(book, 6120.0)
    assert book.state("errors") == "OK"


def test_a_short_period_is_evaluated_every_ten_seconds(book: AlarmBook) -> None:
    alarms.put_metric_alarm(book, {**ALARM, "Period": 10, "EvaluationPeriods": 1})
    book.metrics.add(ERRORS, 6.0, at=6003.0, resolution=1)
    assert book.next_change("errors") == 6010.0
    pass_to(book, 6010.0)
    assert book.state("errors") == "ALARM"


def test_a_changed_alarm_keeps_its_state(book: AlarmBook) -> None:
    alarms.put_metric_alarm(book, ALARM)
    pass_to(book, 6060.0)
    assert book.state("errors") == "OK"
    alarms.put_metric_alarm(book, {**ALARM, "Threshold": 7})
    (row,) = alarms.describe_alarms(book, {"AlarmNames": ["errors", "no such"]})["MetricAlarms"]
    assert (row["StateValue"], row["Threshold"]) == ("OK", 7)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Period": 45}, "Period 45: 10, 20, 30 or a multiple of 60"),
        ({"DatapointsToAlarm": 3}, "DatapointsToAlarm must be less than or equal"),
        ({"TreatMissingData": "good"}, "TreatMissingData 'good' is none of"),
        ({"ExtendedStatistic": "p99"}, "either Statistic or ExtendedStatistic"),
        ({"Statistic": "Median"}, "no statistic 'Median'"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "has no GreaterThanUpperThreshold"),
        ({"ThresholdMetricId": "band"}, "alarms have no ThresholdMetricId"),
        ({"Metrics": [{"Id": "e", "Expression": "a/b"}]}, "no metric math"),
        ({"EvaluationPeriods": 1441}, "more than a day"),
    ],
)
def test_what_cloudwatch_or_this_cloud_refuses(
    book: AlarmBook, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(ScalingError, match=text):
        alarms.put_metric_alarm(book, {**ALARM, **change})
    assert book.alarms == {}


def test_over_http_with_the_clock(account: Account, emulator: Emulator) -> None:
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM)
    (row,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert (row["StateValue"], row["AlarmName"]) == ("INSUFFICIENT_DATA", "errors")
    assert row["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{account.id}:alarm:errors"
    now = emulator.ask("clock", {"advance": 1, "stopped": True})["now"]
    for ago in (60, 120):
        cloudwatch.put_metric_data(
            Namespace=ERRORS.namespace,
            MetricData=[
                {
                    "MetricName": ERRORS.name,
                    "Dimensions": ALARM["Dimensions"],
                    "Timestamp": dt.datetime.fromtimestamp(now - ago, dt.UTC),
                    "Values": [3.0, 1.0],
                    "Counts": [2.0, 1.0],
                }
            ],
        )
    emulator.ask("clock", {"advance": 60})
    (row,) = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert row["StateReason"].startswith("Threshold Crossed")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="a drill")
    assert cloudwatch.describe_alarms(StateValue="OK")["MetricAlarms"][0]["AlarmName"] == "errors"
    refused(
        "ResourceNotFound",
        cloudwatch.set_alarm_state, AlarmName="x", StateValue="OK", StateReason="y",
    )  # fmt: skip
    refused("ValidationError", cloudwatch.put_metric_alarm, **{**ALARM, "Period": 45})
    refused("ResourceNotFound", cloudwatch.delete_alarms, AlarmNames=["errors", "x"])
    cloudwatch.delete_alarms(AlarmNames=["errors"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_a_bad_day_of_cloudwatch(account: Account, emulator: Emulator) -> None:
    cloudwatch = account.client("cloudwatch")
    emulator.fail({"service": "monitoring", "status": 400, "code": "Throttling", "times": 1})
    refused("Throttling", cloudwatch.describe_alarms)
    assert emulator.used() == [1]
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    assert emulator.ask("calls")["monitoring:DescribeAlarms"] >= 1
