"""Owns what runs: instances by their AMI, or by their Auto Scaling group, in one region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated
from goldpress.aws.instances import ENDED, TAG

#: The tag that Auto Scaling gives each instance of a group; nobody else can.
GROUP = "aws:autoscaling:groupName"
#: EC2 takes at most so many values of one filter.
VALUES = 200
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Running:
    """An instance and its AMI; `group` and `trial` (the token of a launch) may be empty.

    `launched` is UTC in ISO 8601. One that has ended is told of for about an hour.
    """

    id: str
    ami: str
    state: str
    launched: str
    group: str
    trial: str

    @property
    def ended(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What runs in one region of the account that calls."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Runs:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ec2", region), region=region)

    def of_images(self, amis: Iterable[str]) -> tuple[Running, ...]:
        """Instances of these AMIs, by id. Raises CloudError."""
        return self._filtered("image-id", amis)

    def of_groups(self, groups: Iterable[str]) -> tuple[Running, ...]:
        """Instances of these Auto Scaling groups, by id. Raises CloudError."""
        return self._filtered(f"tag:{GROUP}", groups)

    def every(self) -> tuple[Running, ...]:
        """Every instance, by id. Raises CloudError."""
        return _sorted(self._pages({}))

    def _filtered(self, name: str, values: Iterable[str]) -> tuple[Running, ...]:
        wanted: Sequence[str] = sorted(set(values))
        found: list[Running] = []
        for start in range(0, len(wanted), VALUES):
            rows = wanted[start : start + VALUES]
            found += self._pages({"Filters": [{"Name": name, "Values": rows}]})
        return _sorted(found)

    def _pages(self, asked: Mapping[str, Any]) -> Iterator[Running]:
        following: dict[str, str] = {}
        with translated(f"instances in {self.region}", service="ec2"):
            while True:
                answer = self.client.describe_instances(MaxResults=PAGE, **asked, **following)
                for reservation in answer["Reservations"]:
                    yield from map(_running, reservation["Instances"])
                if not answer.get("NextToken"):
                    return
                following = {"NextToken": answer["NextToken"]}


def _sorted(rows: Iterable[Running]) -> tuple[Running, ...]:
    return tuple(sorted(rows, key=lambda row: row.id))


def _running(row: Mapping[str, Any]) -> Running:
    tags = {tag["Key"]: str(tag["Value"]) for tag in row.get("Tags", ())}
    launched: datetime = row["LaunchTime"]
    return Running(
        id=str(row["InstanceId"]),
        ami=str(row["ImageId"]),
        state=str(row["State"]["Name"]),
        launched=launched.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        group=tags.get(GROUP, ""),
        trial=tags.get(TAG, ""),
    )
