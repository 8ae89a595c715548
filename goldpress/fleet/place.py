"""Owns places: one region of one account, and by whose credentials its groups are looked at.

A group of another account than the one that publishes is reached by the role that the channel's
`rollers` name for it; nothing else of that account is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from goldpress.aws.autoscaling import Groups
from goldpress.aws.client import Access, Client
from goldpress.aws.metrics import Metrics
from goldpress.aws.running import Runs
from goldpress.aws.targets import Targets
from goldpress.aws.templates import LaunchTemplates
from goldpress.aws.volumes import Volumes
from goldpress.errors import CloudError
from goldpress.terms import Fleet, Policy


class Caller(Protocol):
    """What makes clients: `goldpress.aws.client.Access`, or a cloud within this process."""

    def client(self, service: str, region: str) -> Client:
        """A client of a service in a region. Raises CloudError."""


#: Who calls in an account (12 digits).
Reach = Callable[[str], Caller]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One region of an account (12 digits); `access` makes its clients."""

    account: str
    region: str
    access: Caller

    @property
    def name(self) -> str:
        """``account/region``."""
        return f"{self.account}/{self.region}"

    @property
    def groups(self) -> Groups:
        """Its Auto Scaling groups. Raises CloudError."""
        return Groups(client=self.access.client("autoscaling", self.region), region=self.region)

    @property
    def templates(self) -> LaunchTemplates:
        """Its launch templates. Raises CloudError."""
        return LaunchTemplates(client=self.access.client("ec2", self.region), region=self.region)

    @property
    def targets(self) -> Targets:
        """Its target groups. Raises CloudError."""
        return Targets(client=self.access.client("elbv2", self.region), region=self.region)

    @property
    def metrics(self) -> Metrics:
        """Its CloudWatch. Raises CloudError."""
        return Metrics(client=self.access.client("cloudwatch", self.region), region=self.region)

    @property
    def runs(self) -> Runs:
        """What runs there. Raises CloudError."""
        return Runs(client=self.access.client("ec2", self.region), region=self.region)

    @property
    def volumes(self) -> Volumes:
        """Its disks. Raises CloudError."""
        return Volumes(client=self.access.client("ec2", self.region), region=self.region)


def reach_of(roles: Mapping[str, str], *, own: str, access: Access) -> Reach:
    """Who calls in each account: `access` in its own, elsewhere one of these roles, by account.

    What is returned raises CloudError for an account that nobody reaches.
    """

    def reach(account: str) -> Caller:
        if account == own:
            return access
        role = roles.get(account)
        if role is None:
            raise CloudError(
                f"{account}: no role reaches its groups",
                hint="name one in the channel: in `readers` to look (bootstrap/reader.yaml makes "
                "it), in `rollers` to roll (bootstrap/roller.yaml)",
            )
        if access.endpoint:
            raise CloudError(f"{account}: the embedded cloud is one account, {own}")
        return Access(role=role)

    return reach


def place_of(fleet: Fleet, *, own: str, reach: Reach) -> Place:
    """Where a fleet is; without an account it is in `own`. Raises CloudError."""
    account = fleet.account or own
    return Place(account=account, region=fleet.region, access=reach(account))


def places(policy: Policy, *, own: str, reach: Reach) -> Mapping[str, Place]:
    """Where each fleet is, by its name. Raises CloudError."""
    return {fleet.name: place_of(fleet, own=own, reach=reach) for fleet in policy.fleets}
