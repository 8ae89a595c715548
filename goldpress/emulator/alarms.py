"""Owns CloudWatch's metric alarms: their states follow from metric data, at each evaluation.

[D] CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing
data", whose two tables of examples are tests; "Alarm periods": evaluated once a minute, with a
period below a minute every ten seconds. Only whole periods count. [M] SetAlarmState: "temporarily",
until the next evaluation. New alarms begin as INSUFFICIENT_DATA; changed ones keep their state.
Composite alarms, anomaly detection and metric math are refused.
"""

from __future__ import annotations

import json
import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from goldpress.emulator.metrics import (
    MINUTE,
    Key,
    Metrics,
    check_statistic,
    key_of,
    moment,
)
from goldpress.emulator.scaling.errors import ScalingError, invalid
from goldpress.emulator.scaling.requests import page

FAST = 10
DAY = 86400
#: [D] more than EvaluationPeriods are looked at, so that late data count; in the examples, two.
FURTHER = 2
MISSING = ("missing", "ignore", "breaching", "notBreaching")
STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
#: What PutMetricAlarm may say and DescribeAlarms repeats.
SAID = (
    "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions",
    "InsufficientDataActions", "MetricName", "Namespace", "Statistic", "ExtendedStatistic",
    "Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold",
    "ComparisonOperator", "TreatMissingData",
)  # fmt: skip
REQUIRED = ("MetricName", "Namespace", "Period", "EvaluationPeriods", "Threshold",
            "ComparisonOperator")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm, its state, and when it is evaluated next; times are Unix time in seconds."""

    said: Mapping[str, Any]
    key: Key
    statistic: str
    period: int
    of: int
    enough: int
    treat: str
    configured: float
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    data: str = ""
    updated: float = 0.0
    due: float = 0.0

    @property
    def step(self) -> int:
        """Seconds between two evaluations."""
        return FAST if self.period < MINUTE else MINUTE


def judged(points: Sequence[bool | None], *, of: int, enough: int, treat: str, state: str) -> str:
    """The state that follows from data points (breaching or not, None: missing), the newest last.

    `of` is EvaluationPeriods, `enough` DatapointsToAlarm, `treat` TreatMissingData and `state` the
    one before. All points are the evaluation range, which is longer than `of`.
    """
    real = [point for point in points if point is not None][-of:]
    breaching, lacking = sum(real), of - len(real)
    if breaching >= enough:
        return "ALARM"
    if not lacking or treat == "notBreaching":
        return "OK"
    if treat == "breaching":
        return "ALARM" if breaching + lacking >= enough else "OK"
    if len(real) > breaching:
        return "OK"
    if treat == "ignore":
        return state
    # [D] all that is there breaches, and the oldest of it is as old as DatapointsToAlarm.
    oldest = next((i for i, point in enumerate(points) if point), None)
    return "ALARM" if oldest is not None and len(points) - oldest >= enough else STATES[2]


@dataclass(kw_only=True)
class AlarmBook:
    """All alarms of one account and region, over its metrics: `scaling.world.Alarms`."""

    metrics: Metrics
    account: str
    region: str
    alarms: dict[str, Alarm] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def state(self, name: str) -> str:
        """[M] StateValue now. Raises KeyError for no such alarm."""
        return self.current(name).state

    def next_change(self, name: str) -> float:
        """Its next evaluation: until then nothing but SetAlarmState changes it."""
        return self.current(name).due

    def current(self, name: str) -> Alarm:
        """An alarm as of now. Raises KeyError."""
        with self.lock:
            alarm = self.alarms[name]
            now = self.metrics.clock.now()
            if now >= alarm.due:
                alarm = self.alarms[name] = self._evaluated(alarm, now)
            return alarm

    def _evaluated(self, alarm: Alarm, now: float) -> Alarm:
        end = now - now % alarm.step
        count = alarm.of + FURTHER
        start = end - count * alarm.period
        unit = alarm.said.get("Unit", "")
        found = dict(
            self.metrics.values(
                alarm.key, alarm.statistic, start=start, end=end, period=alarm.period, unit=unit
            )
        )
        threshold = float(alarm.said["Threshold"])
        breaches = COMPARISONS[alarm.said["ComparisonOperator"]]
        values = [found.get(start + i * alarm.period) for i in range(count)]
        points = [None if value is None else breaches(value, threshold) for value in values]
        state = judged(
            points, of=alarm.of, enough=alarm.enough, treat=alarm.treat, state=alarm.state
        )
        alarm = replace(alarm, due=end + alarm.step)
        if state == alarm.state:
            return alarm
        recent = [value for value in values if value is not None][-alarm.of :]
        reason = (
            f"Threshold Crossed: {len(recent)} datapoints {recent} and {alarm.of - len(recent)} "
            f"missing ones ({alarm.treat}) against {alarm.said['ComparisonOperator']} {threshold}"
        )
        if state == "INSUFFICIENT_DATA":
            reason = f"Insufficient Data: {alarm.of} datapoints were unknown."
        told = {"version": "1.0", "statistic": alarm.statistic, "period": alarm.period,
                "recentDatapoints": recent, "threshold": threshold}  # fmt: skip
        return replace(
            alarm, state=state, reason=reason[:1023], data=json.dumps(told)[:4000], updated=now
        )

    def described(self, alarm: Alarm) -> dict[str, Any]:
        """[M] MetricAlarm."""
        arn = f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{alarm.said['AlarmName']}"
        row: dict[str, Any] = {
            "ActionsEnabled": True, "OKActions": [], "AlarmActions": [],
            "InsufficientDataActions": [], "Dimensions": [], **alarm.said, "AlarmArn": arn,
            "AlarmConfigurationUpdatedTimestamp": moment(alarm.configured),
            "StateValue": alarm.state, "StateReason": alarm.reason,
            "StateUpdatedTimestamp": moment(alarm.updated),
            "StateTransitionedTimestamp": moment(alarm.updated),
        }  # fmt: skip
        return {**row, "StateReasonData": alarm.data} if alarm.data else row


def put_metric_alarm(book: AlarmBook, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] PutMetricAlarm of one metric against a threshold. Raises ScalingError."""
    said = _one_metric(request)
    lacking = [name for name in REQUIRED if name not in said]
    if lacking:
        raise invalid(f"the embedded cloud's alarms need {', '.join(lacking)}: one metric each")
    if ("Statistic" in said) == ("ExtendedStatistic" in said):
        raise ScalingError(
            "InvalidParameterCombination", "either Statistic or ExtendedStatistic, and not both"
        )
    if said["ComparisonOperator"] not in COMPARISONS:
        raise invalid(f"the embedded cloud has no {said['ComparisonOperator']}")
    statistic = str(said.get("Statistic") or said.get("ExtendedStatistic"))
    check_statistic(statistic)
    period, of = int(said["Period"]), int(said["EvaluationPeriods"])
    if period not in {10, 20, 30} and (period < MINUTE or period % MINUTE):
        raise invalid(f"Period {period}: 10, 20, 30 or a multiple of 60")
    if period * of > DAY and period < 3600:  # noqa: PLR2004 - seconds of an hour
        raise invalid("Metrics cannot be checked across more than a day (EvaluationPeriods*Period)")
    enough = int(said.get("DatapointsToAlarm", of))
    if enough > of:
        raise invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    treat = said.get("TreatMissingData", "missing")
    if treat not in MISSING:
        raise invalid(f"TreatMissingData '{treat}' is none of {', '.join(MISSING)}")
    now = book.metrics.clock.now()
    made = Alarm(
        said={name: value for name, value in said.items() if name in SAID},
        key=key_of(said["Namespace"], said["MetricName"], said.get("Dimensions", ())),
        statistic=statistic, period=period, of=of, enough=enough, treat=treat, configured=now,
        updated=now,
    )  # fmt: skip
    made = replace(made, due=now - now % made.step + made.step)
    with book.lock:
        before = book.alarms.get(said["AlarmName"])
        if before is not None:
            kept = {n: getattr(before, n) for n in ("state", "reason", "data", "updated")}
            made = replace(made, **kept)
        book.alarms[said["AlarmName"]] = made
    return {}


def _one_metric(request: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("ThresholdMetricId", "EvaluationCriteria", "EvaluationWindow",
                 "WarmUpConfiguration", "EvaluateLowSampleCountPercentile"):  # fmt: skip
        if name in request:
            raise invalid(f"the embedded cloud's alarms have no {name}")
    if "Metrics" not in request:
        return dict(request)
    rows = request["Metrics"]
    if len(rows) != 1 or "MetricStat" not in rows[0]:
        raise invalid("the embedded cloud has no metric math: one MetricStat in Metrics")
    told = rows[0]["MetricStat"]
    name = "ExtendedStatistic" if told["Stat"].startswith("p") else "Statistic"
    flat = {key: value for key, value in request.items() if key != "Metrics"}
    unit = {"Unit": told["Unit"]} if "Unit" in told else {}
    return {**flat, **told["Metric"], "Period": told["Period"], name: told["Stat"], **unit}


def describe_alarms(book: AlarmBook, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeAlarms: by name, prefix, state or action; what does not exist is left out."""
    names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix")
    if names and prefix:
        raise invalid("AlarmNamePrefix cannot be specified with AlarmNames")
    for name in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
        if name in request:
            raise invalid(f"the embedded cloud has no composite alarms, so no {name}")
    with book.lock:
        wanted = sorted(name for name in book.alarms if not names or name in names)
        rows = [book.current(name) for name in wanted if name.startswith(prefix or "")]
    if (state := request.get("StateValue")) is not None:
        rows = [alarm for alarm in rows if alarm.state == state]
    if action := request.get("ActionPrefix"):
        rows = [a for a in rows if any(x.startswith(action) for x in _actions(a))]
    kinds = request.get("AlarmTypes") or ["MetricAlarm"]
    part, token = page(rows if "MetricAlarm" in kinds else [], request, default=50, most=100)
    answer: dict[str, Any] = {
        "MetricAlarms": [book.described(alarm) for alarm in part],
        "CompositeAlarms": [],
    }
    return {**answer, "NextToken": token} if token else answer


def _actions(alarm: Alarm) -> list[str]:
    names = ("OKActions", "AlarmActions", "InsufficientDataActions")
    return [action for name in names for action in alarm.said.get(name, ())]


def describe_alarms_for_metric(book: AlarmBook, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeAlarmsForMetric."""
    key = key_of(request["Namespace"], request["MetricName"], request.get("Dimensions", ()))
    with book.lock:
        rows = [
            book.current(name) for name, alarm in sorted(book.alarms.items()) if alarm.key == key
        ]
    return {"MetricAlarms": [book.described(alarm) for alarm in rows]}


def set_alarm_state(book: AlarmBook, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] SetAlarmState: until the alarm is evaluated next. Raises ScalingError."""
    name, data = request["AlarmName"], request.get("StateReasonData", "")
    if request["StateValue"] not in STATES:
        raise invalid(f"StateValue '{request['StateValue']}' is none of {', '.join(STATES)}")
    try:
        json.loads(data or "{}")
    except ValueError:
        raise ScalingError("InvalidFormat", "StateReasonData is not JSON") from None
    with book.lock:
        if name not in book.alarms:
            raise ScalingError("ResourceNotFound", f"no such alarm: {name}")
        now = book.metrics.clock.now()
        book.alarms[name] = replace(
            book.current(name), state=request["StateValue"], reason=request["StateReason"],
            data=data, updated=now,
        )  # fmt: skip
    return {}


def delete_alarms(book: AlarmBook, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteAlarms: none when one of them does not exist. Raises ScalingError."""
    with book.lock:
        for name in request["AlarmNames"]:
            if name not in book.alarms:
                raise ScalingError("ResourceNotFound", f"no such alarm: {name}")
        for name in request["AlarmNames"]:
            book.alarms.pop(name, None)
    return {}
