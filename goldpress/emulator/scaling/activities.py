"""Owns scaling activities: what a group did, why, and how it ended.

[M] Activity, ScalingActivityStatusCode. Descriptions and causes are worded as AWS's documentation
and public reports quote them ("Launching a new EC2 instance: i-...").
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

#: [M] DescribeScalingActivities: "Scaling activities ... for the previous six weeks".
KEPT_SECONDS = 42 * 24 * 3600
#: So many of one group are kept here whatever their age: a simulation of weeks has a bound.
KEPT = 10_000
#: [M] Cause: XmlStringMaxLen1023; StatusMessage: XmlStringMaxLen255.
CAUSE_LENGTH, MESSAGE_LENGTH = 1023, 255


def utc(at: float) -> dt.datetime:
    """A time as boto3 gives it."""
    return dt.datetime.fromtimestamp(at, tz=dt.UTC)


@lru_cache(maxsize=1024)
def stamp(at: float) -> str:
    """A time as AWS writes it into causes; what is done at one moment has the same one."""
    return utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(kw_only=True, slots=True)
class Activity:
    """One activity of a group; `ended` is None while it goes on."""

    id: str
    group: str
    description: str
    cause: str
    started: float
    zone: str = ""
    status: str = "InProgress"
    message: str = ""
    progress: int = 0
    ended: float | None = None

    def end(self, now: float, *, failure: str = "", cancelled: bool = False) -> None:
        """It ended: well, with a failure's message, or because nobody wants it any more."""
        if self.ended is not None:
            return
        self.ended, self.progress = now, 100
        self.status = "Failed" if failure else "Cancelled" if cancelled else "Successful"
        if failure:
            self.message = failure[:MESSAGE_LENGTH]
            self.description = f"{self.description}  Status Reason: {failure}"

    def document(self, arn: str) -> dict[str, Any]:
        """[M] Activity."""
        row: dict[str, Any] = {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "AutoScalingGroupARN": arn,
            "Description": self.description,
            "Cause": self.cause[:CAUSE_LENGTH],
            "StartTime": utc(self.started),
            "StatusCode": self.status,
            "Progress": self.progress,
            "Details": f'{{"Availability Zone":"{self.zone}"}}' if self.zone else "{}",
        }
        if self.ended is not None:
            row["EndTime"] = utc(self.ended)
        if self.message:
            row["StatusMessage"] = self.message
        return row


@dataclass(kw_only=True)
class Activities:
    """The activities of one group, in the order in which they began."""

    group: str
    identity: Callable[[], str]
    rows: deque[Activity] = field(default_factory=lambda: deque(maxlen=KEPT))

    def begin(self, description: str, cause: str, now: float, *, zone: str = "") -> Activity:
        """Remember a new one."""
        made = Activity(
            id=self.identity(), group=self.group, description=description, cause=cause,
            started=now, zone=zone,
        )  # fmt: skip
        self.rows.append(made)
        return made

    def newest_first(self, now: float) -> Iterator[Activity]:
        """Those of the last six weeks."""
        while self.rows and self.rows[0].started < now - KEPT_SECONDS:
            self.rows.popleft()
        return reversed(self.rows)
