"""Owns metric data: what was put, and its statistics by period.

[M] botocore's model of `cloudwatch`: each unique combination of dimensions is a metric of its own;
StorageResolution 60 unless 1 is said; values of a period as Sum, Average, Minimum, Maximum,
SampleCount or a percentile; a period without data has no value at all, which is not zero.
"""

from __future__ import annotations

import bisect
import datetime as dt
import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from goldpress.emulator.scaling.errors import invalid
from goldpress.emulator.scaling.world import Time

MINUTE = 60
SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
PERCENTILE = re.compile(r"p(100|\d{1,2}(\.\d{1,10})?)")


class Key(NamedTuple):
    """A metric: its namespace, its name and all of its dimensions in order."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(kw_only=True)
class Bucket:
    """What was put for one moment; `values` counts each value, None where only sums are known."""

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    values: dict[float, float] | None = field(default_factory=dict)
    units: set[str] = field(default_factory=set)

    def add(self, value: float, count: float, unit: str) -> None:
        """Add a value that occurred `count` times."""
        self._widen(count, value * count, value, value, unit)
        if self.values is not None:
            self.values[value] = self.values.get(value, 0.0) + count

    def merge(self, other: Bucket) -> None:
        """Add another moment's."""
        self._widen(other.count, other.total, other.low, other.high, "")
        self.units |= other.units
        if self.values is None or other.values is None:
            self.values = None
            return
        for value, count in other.values.items():
            self.values[value] = self.values.get(value, 0.0) + count

    def _widen(self, count: float, total: float, low: float, high: float, unit: str) -> None:
        self.count += count
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        if unit:
            self.units.add(unit)

    def statistic(self, name: str) -> float | None:
        """A statistic; None for a percentile of what only sums are known of."""
        if name in SIMPLE:
            average = self.total / self.count
            return dict(
                zip(SIMPLE, (self.count, average, self.total, self.low, self.high), strict=True)
            )[name]
        if self.low == self.high:
            return self.low
        return None if self.values is None else _percentile(self.values, float(name[1:]))


def _percentile(values: Mapping[float, float], percent: float) -> float:
    """The least value that this share of all samples does not exceed."""
    wanted = percent / 100 * sum(values.values())
    seen = 0.0
    for value in sorted(values):
        seen += values[value]
        if seen >= wanted:
            return value
    return max(values)


def check_statistic(name: str) -> None:
    """Raises ScalingError for a statistic that this cloud does not have."""
    if name not in SIMPLE and not PERCENTILE.fullmatch(name):
        raise invalid(f"the embedded cloud has no statistic '{name}': {', '.join(SIMPLE)} and pNN")


def key_of(namespace: str, name: str, dimensions: Iterable[Mapping[str, Any]]) -> Key:
    """A metric by its boto-shaped dimensions."""
    return Key(namespace, name, tuple(sorted((d["Name"], d["Value"]) for d in dimensions)))


@dataclass(kw_only=True)
class Metrics:
    """All metrics of one account and region."""

    clock: Time
    data: dict[Key, dict[float, Bucket]] = field(default_factory=dict)
    times: dict[Key, list[float]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(
        self,
        key: Key,
        value: float,
        *,
        count: float = 1.0,
        unit: str = "",
        at: float | None = None,
        resolution: int = MINUTE,
    ) -> None:
        """Add a value that occurred `count` times at `at` (now), to the minute unless finer."""
        moment = self.clock.now() if at is None else at
        with self.lock:
            self.bucket(key, moment, resolution).add(value, count, unit)

    def bucket(self, key: Key, at: float, resolution: int) -> Bucket:
        """Where what is put for a moment is kept; hold the lock while it is changed."""
        moment = at - at % resolution
        buckets = self.data.setdefault(key, {})
        found = buckets.get(moment)
        if found is None:
            found = buckets[moment] = Bucket()
            bisect.insort(self.times.setdefault(key, []), moment)
        return found

    def values(
        self, key: Key, statistic: str, *, start: float, end: float, period: float, unit: str = ""
    ) -> Iterator[tuple[float, float]]:
        """(start of the period, value) of each period from `start` to before `end` with data."""
        for begin, bucket in self.periods(key, start=start, end=end, period=period, unit=unit):
            value = bucket.statistic(statistic)
            if value is not None:
                yield begin, value

    def periods(
        self, key: Key, *, start: float, end: float, period: float, unit: str = ""
    ) -> list[tuple[float, Bucket]]:
        """What was put in each period that has data, the oldest first."""
        with self.lock:
            times, buckets = self.times.get(key, []), self.data.get(key, {})
            found: dict[float, Bucket] = {}
            for moment in times[bisect.bisect_left(times, start) : bisect.bisect_left(times, end)]:
                if unit and buckets[moment].units - {unit}:
                    continue
                begin = start + (moment - start) // period * period
                found.setdefault(begin, Bucket()).merge(buckets[moment])
            return list(found.items())


def seconds(value: Any) -> float:
    """Unix time of a boto-shaped timestamp."""
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, str):
        return seconds(dt.datetime.fromisoformat(value))
    return float(value)


def moment(at: float) -> dt.datetime:
    """Unix time as answers have it."""
    return dt.datetime.fromtimestamp(at, tz=dt.UTC)
