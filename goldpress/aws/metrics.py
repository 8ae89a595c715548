"""Owns what CloudWatch tells: the states of alarms, and numbers; what is missing is None.

A number that is not there is nobody's word that all is well: it is never taken for zero, but where
AWS documents that it leaves zeros out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated
from goldpress.aws.scaling import moment_text
from goldpress.aws.targets import TargetGroup
from goldpress.errors import CloudError

#: Most names of alarms, most queries of one request.
NAMES = 100
QUERIES = 500
BALANCERS = "AWS/ApplicationELB"
MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm; `state` is OK, ALARM or INSUFFICIENT_DATA, `since` is UTC."""

    name: str
    state: str
    why: str
    since: str


@dataclass(frozen=True, kw_only=True)
class Query:
    """One metric: `stat` as Sum, Average, p99; a value for every `period` seconds."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    stat: str
    period: int = MINUTE

    def arguments(self, query_id: str) -> dict[str, Any]:
        """A MetricDataQuery."""
        dimensions = [{"Name": k, "Value": v} for k, v in sorted(self.dimensions.items())]
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": dimensions,
        }
        stat = {"Metric": metric, "Period": self.period, "Stat": self.stat}
        return {"Id": query_id, "MetricStat": stat, "ReturnData": True}


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What went through target groups in some time; each None where CloudWatch has no number.

    `errors` are answers 5xx of targets, `latency_seconds` the highest of the minutes' p99.
    """

    requests: float | None
    errors: float | None
    latency_seconds: float | None

    @property
    def error_rate(self) -> float | None:
        """The share of requests that were answered by an error; None without requests."""
        if not self.requests or self.errors is None:
            return None
        return self.errors / self.requests


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """CloudWatch in one region of the account that calls."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Metrics:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("cloudwatch", region), region=region)

    def alarms(self, names: Iterable[str]) -> Mapping[str, Alarm | None]:
        """Each of these alarms, None for one that is not there. Raises CloudError."""
        wanted = sorted(set(names))
        found: dict[str, Alarm | None] = dict.fromkeys(wanted)
        for start in range(0, len(wanted), NAMES):
            with self._about("alarms"):
                answer = self.client.describe_alarms(
                    AlarmNames=wanted[start : start + NAMES],
                    # Composite alarms are only told of when they are asked for.
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                    MaxRecords=NAMES,
                )
            for row in (*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())):
                found[str(row["AlarmName"])] = _alarm(row)
        return found

    def values(
        self, queries: Mapping[str, Query], *, start: datetime, end: datetime
    ) -> Mapping[str, tuple[float, ...]]:
        """The values of each query from `start` to `end` (aware), oldest first; empty for none.

        Names of queries are lower-case words. Raises CloudError, also when CloudWatch has only a
        part of a query's values: a part is not the whole.
        """
        found: dict[str, list[float]] = {name: [] for name in queries}
        names = list(queries)
        for first in range(0, len(names), QUERIES):
            asked = [queries[name].arguments(name) for name in names[first : first + QUERIES]]
            for row in self._results(asked, start, end):
                found[str(row["Id"])] += [float(value) for value in row["Values"]]
        return {name: tuple(values) for name, values in found.items()}

    def number(self, query: Query, *, start: datetime, end: datetime) -> float | None:
        """The newest value of a query; None when there is none in this time."""
        values = self.values({"n": query}, start=start, end=end)["n"]
        return values[-1] if values else None

    def traffic(self, groups: Sequence[TargetGroup], *, start: datetime, end: datetime) -> Traffic:
        """What went through these target groups, all together. Raises CloudError."""
        queries: dict[str, Query] = {}
        for index, (group, balancer) in enumerate(_pairs(groups)):
            dimensions = {"LoadBalancer": balancer, "TargetGroup": group.dimension}
            for name, metric, stat in (
                ("requests", "RequestCount", "Sum"),
                ("errors", "HTTPCode_Target_5XX_Count", "Sum"),
                ("latency", "TargetResponseTime", "p99"),
            ):
                queries[f"{name}{index}"] = Query(
                    namespace=BALANCERS, metric=metric, dimensions=dimensions, stat=stat
                )
        values = self.values(queries, start=start, end=end) if queries else {}
        requests, errors, latency = (
            [value for key, row in values.items() if key.startswith(name) for value in row]
            for name in ("requests", "errors", "latency")
        )
        # CloudWatch has requests where a balancer had any, and errors only where there were some:
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
        return Traffic(
            requests=sum(requests) if requests else None,
            errors=sum(errors) if errors or requests else None,
            latency_seconds=max(latency) if latency else None,
        )

    def _results(
        self, asked: Sequence[Mapping[str, Any]], start: datetime, end: datetime
    ) -> Iterator[Mapping[str, Any]]:
        following: dict[str, str] = {}
        while True:
            with self._about("metrics"):
                answer = self.client.get_metric_data(
                    MetricDataQueries=asked,
                    StartTime=start,
                    EndTime=end,
                    ScanBy="TimestampAscending",
                    **following,
                )
            more = answer.get("NextToken")
            for row in answer["MetricDataResults"]:
                # With more pages to come, each is a part.
                if row["StatusCode"] not in {"Complete", *(["PartialData"] if more else [])}:
                    raise CloudError(
                        f"metrics in {self.region}: CloudWatch answers {row['StatusCode']} for "
                        f"{row.get('Label') or row['Id']}",
                        hint="look again in a minute; the role needs cloudwatch:GetMetricData",
                    )
                yield row
            if not more:
                return
            following = {"NextToken": str(more)}

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="cloudwatch")


def _pairs(groups: Iterable[TargetGroup]) -> Iterator[tuple[TargetGroup, str]]:
    for group in groups:
        for balancer in group.balancer_dimensions:
            yield group, balancer


def _alarm(row: Mapping[str, Any]) -> Alarm:
    return Alarm(
        name=str(row["AlarmName"]),
        state=str(row["StateValue"]),
        why=str(row.get("StateReason", "")),
        since=moment_text(
            row.get("StateTransitionedTimestamp") or row.get("StateUpdatedTimestamp")
        ),
    )
