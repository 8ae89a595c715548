"""Owns launches as CloudTrail remembers them: which instance, of which AMI, when, by whom.

CloudTrail keeps what changed anything for 90 days, without anybody having to switch it on, and has
it some minutes later. It is AWS's own word: nobody in the account can take an event out of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated
from goldpress.aws.instances import TAG
from goldpress.errors import CloudError

KEPT = timedelta(days=90)
#: An event may come as much later.
DELAY = timedelta(minutes=15)
RUN = "RunInstances"
#: What runs in an instance after it is what this names, not what it was launched from.
REPLACE = "CreateReplaceRootVolumeTask"
EVENTS = (RUN, REPLACE)
PAGE = 50
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """An instance that got an AMI `at` a time (UTC) by `event`; `by` is who asked for it.

    `trial` is the token that goldpress tags the instances with that it verifies. `ami` is empty
    where the event does not tell it.
    """

    event: str
    instance: str
    ami: str
    at: str
    by: str
    trial: str


@dataclass(frozen=True, kw_only=True)
class Trail:
    """CloudTrail in one region of the account that calls."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Trail:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("cloudtrail", region), region=region)

    def launches(self, start: datetime, end: datetime) -> tuple[Launch, ...]:
        """Every launch from `start` to `end` (aware), oldest first. Raises CloudError."""
        found = [row for event in EVENTS for row in self._launches(event, start, end)]
        return tuple(sorted(found, key=lambda row: (row.at, row.instance)))

    def _launches(self, event: str, start: datetime, end: datetime) -> Iterator[Launch]:
        wanted = [{"AttributeKey": "EventName", "AttributeValue": event}]
        following: dict[str, str] = {}
        while True:
            with translated(f"CloudTrail in {self.region}", service="cloudtrail"):
                answer = self.client.lookup_events(
                    LookupAttributes=wanted,
                    StartTime=start,
                    EndTime=end,
                    MaxResults=PAGE,
                    **following,
                )
            for row in answer["Events"]:
                yield from self._read(row)
            if not answer.get("NextToken"):
                return
            following = {"NextToken": answer["NextToken"]}

    def _read(self, row: Mapping[str, Any]) -> Iterator[Launch]:
        try:
            yield from launches_of(json.loads(row["CloudTrailEvent"]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CloudError(
                f"CloudTrail in {self.region}: the event {row.get('EventId', 'without an id')} is "
                f"not in the form that I know: {error!r:.120}",
                hint="look at it in the console: nobody knows which instance it launched",
            ) from None


def launches_of(event: Mapping[str, Any]) -> Iterator[Launch]:
    """What an event launched; nothing when it was refused. Raises KeyError and the like."""
    if event.get("errorCode"):
        return
    name = str(event["eventName"])
    moment = datetime.fromisoformat(event["eventTime"]).astimezone(UTC).strftime(MOMENT)
    by = _who(event["userIdentity"])
    if name == REPLACE:
        request = event["requestParameters"]["CreateReplaceRootVolumeTaskRequest"]
        instance, ami = str(request["InstanceId"]), str(request.get("ImageId", ""))
        yield Launch(event=name, instance=instance, ami=ami, at=moment, by=by, trial="")
        return
    trial = _tags(event["requestParameters"]).get(TAG, "")
    for row in event["responseElements"]["instancesSet"]["items"]:
        instance, ami = str(row["instanceId"]), str(row["imageId"])
        yield Launch(event=name, instance=instance, ami=ami, at=moment, by=by, trial=trial)


def _who(identity: Mapping[str, Any]) -> str:
    """The ARN of who asked, or the service that did it for somebody."""
    service = str(identity.get("invokedBy", ""))
    arn = str(identity.get("arn", ""))
    return f"{arn} by {service}" if arn and service else arn or service or str(identity["type"])


def _tags(request: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a launch was asked to give its instances."""
    rows = (request.get("tagSpecificationSet") or {}).get("items", ())
    return {
        str(tag["key"]): str(tag["value"])
        for row in rows
        if row["resourceType"] == "instance"
        for tag in row["tags"]
    }
