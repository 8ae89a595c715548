"""Owns what runs: instances by their AMI, or by their Auto Scaling group, in one region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated
from goldpress.aws.instances import ENDED, TAG

#: The tag that Auto Scaling gives each instance of a group; nobody else can.
GROUP = "aws:autoscaling:groupName"
#: Says why an instance was taken out of service; it is for people, and for `drift`.
QUARANTINE = "goldpress:quarantine"
#: [M] StateReason: what EC2 says of a Spot instance that it has interrupted.
TAKEN = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
#: EC2 takes at most so many values of one filter.
VALUES = 200
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Running:
    """An instance and its AMI; `group` and `trial` (the token of a launch) may be empty.

    `launched` is UTC in ISO 8601. One that has ended is told of for about an hour. `quarantine` is
    why somebody took it out of service.
    """

    id: str
    ami: str
    state: str
    launched: str
    group: str
    trial: str
    quarantine: str = ""
    taken: bool = False

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

    def of_ids(self, instances: Iterable[str]) -> tuple[Running, ...]:
        """Those of these instances that there are, by id. Raises CloudError."""
        return self._filtered("instance-id", instances)

    def one(self, instance: str) -> Running | None:
        """An instance by its id; None for one that is not there. Raises CloudError."""
        return next(iter(self.of_ids([instance])), None)

    def mark(self, instance: str, key: str, value: str) -> None:
        """Tag an instance. Raises CloudError."""
        with translated(f"{instance} in {self.region}", service="ec2"):
            self.client.create_tags(Resources=[instance], Tags=[{"Key": key, "Value": value}])

    def unmark(self, instance: str, key: str) -> None:
        """Take a tag away; one that is not there is no failure. Raises CloudError."""
        with translated(f"{instance} in {self.region}", service="ec2"):
            self.client.delete_tags(Resources=[instance], Tags=[{"Key": key}])

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


@lru_cache(maxsize=20_000)
def _text(moment: datetime) -> str:
    """A launch's time in UTC; a tick asks for thousands of instances again and again."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _running(row: Mapping[str, Any]) -> Running:
    tags = {tag["Key"]: str(tag["Value"]) for tag in row.get("Tags", ())}
    return Running(
        id=str(row["InstanceId"]),
        ami=str(row["ImageId"]),
        state=str(row["State"]["Name"]),
        launched=_text(row["LaunchTime"]),
        group=tags.get(GROUP, ""),
        trial=tags.get(TAG, ""),
        quarantine=tags.get(QUARANTINE, ""),
        taken=row.get("StateReason", {}).get("Code") in TAKEN,
    )
