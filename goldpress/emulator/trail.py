"""Owns CloudTrail's memory of launches, as far as LookupEvents tells of them.

[M] LookupEvents: by one attribute, from a time to a time, the newest first, pages of 50 at most.
[D] CloudTrail user guide, "Example: Amazon EC2 log file entries": RunInstances. Events are there at
once; AWS takes up to 15 minutes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

from goldpress.emulator import patches
from goldpress.emulator.world import current

KEPT = timedelta(days=90)
PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of an account and region; `at` is Unix time in seconds."""

    account: str
    region: str
    name: str
    at: float
    id: str
    value: Mapping[str, Any]


#: Oldest first.
_EVENTS: list[Event] = []


def extend_trail() -> None:
    """Teach moto's CloudTrail to look events up. Raises RuntimeError when it can by now."""
    patches.add(CloudTrailResponse, {"lookup_events": lookup_events})


def launched(
    instances: Iterable[Any], *, account: str, region: str, tags: Mapping[str, str]
) -> None:
    """Remember a launch."""
    rows = [{"instanceId": row.id, "imageId": row.image_id} for row in instances]
    given = [{"key": key, "value": value} for key, value in tags.items()]
    request: dict[str, Any] = {"instancesSet": {"items": [{"imageId": rows[0]["imageId"]}]}}
    if given:
        request["tagSpecificationSet"] = {"items": [{"resourceType": "instance", "tags": given}]}
    _remember("RunInstances", account, region, request, {"instancesSet": {"items": rows}})


def _remember(
    name: str, account: str, region: str, request: dict[str, Any], answer: dict[str, Any]
) -> None:
    now = current().clock.now()
    id_ = str(uuid.uuid4())
    identity = {"type": "IAMUser", "accountId": account, "arn": f"arn:aws:iam::{account}:user/moto"}
    moment = datetime.fromtimestamp(now, UTC)
    value = {
        "eventVersion": "1.08", "userIdentity": identity,
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "eventSource": "ec2.amazonaws.com",
        "eventName": name, "awsRegion": region, "requestParameters": request,
        "responseElements": answer, "eventID": id_, "readOnly": False,
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": account,
    }  # fmt: skip
    _EVENTS.append(Event(account=account, region=region, name=name, at=now, id=id_, value=value))


def lookup_events(self: Any) -> str:
    """[M] LookupEvents."""
    wanted = self._get_param("LookupAttributes") or []
    if len(wanted) > 1 or any(row["AttributeKey"] != "EventName" for row in wanted):
        raise JsonRESTError(
            "InvalidLookupAttributesException", "here events are looked up by EventName only"
        )
    most = int(self._get_param("MaxResults") or PAGE)
    if not 1 <= most <= PAGE:
        raise JsonRESTError("InvalidMaxResultsException", "MaxResults is from 1 to 50")
    now = current().clock.now()
    start = float(self._get_param("StartTime") or 0)
    end = float(self._get_param("EndTime") or now)
    if start > end:
        raise JsonRESTError("InvalidTimeRangeException", "the start time is after the end time")
    kept = now - KEPT.total_seconds()
    names = {row["AttributeValue"] for row in wanted}
    found = [
        row
        for row in reversed(_EVENTS)
        if (row.account, row.region) == (self.current_account, self.region)
        and max(start, kept) <= row.at <= end
        and (not names or row.name in names)
    ]
    first = int(self._get_param("NextToken") or 0)
    answer: dict[str, Any] = {"Events": [_answered(row) for row in found[first : first + most]]}
    if first + most < len(found):
        answer["NextToken"] = str(first + most)
    return json.dumps(answer)


def _answered(row: Event) -> dict[str, Any]:
    return {
        "EventId": row.id,
        "EventName": row.name,
        "ReadOnly": "false",
        "EventTime": row.at,
        "EventSource": row.value["eventSource"],
        "CloudTrailEvent": json.dumps(row.value),
    }
