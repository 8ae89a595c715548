"""Owns looking at what runs: by which role, in which account and region, and what cannot be seen.

What nobody may look at is told as that; it is never counted as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from goldpress.aws.client import Access, checked_region
from goldpress.aws.running import Runs
from goldpress.aws.sts import caller
from goldpress.channel import Channel
from goldpress.errors import CloudError
from goldpress.promotion.plan import Count
from goldpress.publish.preflight import access_of
from goldpress.publish.settings import load_settings
from goldpress.terms import Fleet
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class View:
    """One region of one account (12 digits); `access` is None when it cannot be seen, and `why`.

    `account` is empty when not even the account that publishes is known.
    """

    account: str
    region: str
    access: Access | None
    why: str = ""

    @property
    def place(self) -> str:
        """``account/region``."""
        return f"{self.account or 'the account that publishes'}/{self.region}"

    def runs(self) -> Runs:
        """What runs there. Raises CloudError when it cannot be seen."""
        if self.access is None:
            raise CloudError(f"{self.place}: {self.why}")
        return Runs.at(self.access, self.region)


def publisher(ws: Workspace, image: str, *, endpoint: str) -> Access:
    """Who publishes an image: with an endpoint the embedded cloud's caller, else publish.yaml's."""
    return access_of(load_settings(ws.project / "images" / image), endpoint)


def view(account: str, region: str, *, access: Access, readers: Mapping[str, str]) -> View:
    """A region of an account: the one that publishes ("", by `access`), or one that a role reads.

    `readers` are ARNs of roles by account, as channels have them.
    """
    try:
        own = caller(access, checked_region(region)).account
    except CloudError as error:
        return View(account=account, region=region, access=None, why=error.message)
    if account in {"", own}:
        return View(account=own, region=region, access=access)
    role = readers.get(account)
    if role is None:
        why = "no role may look there: name one in `readers` of the channel"
        return View(account=account, region=region, access=None, why=why)
    if access.endpoint:
        why = "the embedded cloud is looked at as one account only"
        return View(account=account, region=region, access=None, why=why)
    return View(account=account, region=region, access=Access(role=role))


def fleet_view(channel: Channel, fleet: Fleet, *, access: Access) -> View:
    """Where a fleet is."""
    readers = channel.policy.readers
    return view(fleet.account or "", fleet.region, access=access, readers=readers)


def views(
    image: str, regions: Iterable[str], channels: Iterable[Channel], *, access: Access
) -> Iterator[View]:
    """Every place in these regions where the image may run: whoever of its channels launches it."""
    mine = [channel for channel in channels if channel.image == image]
    readers = {k: v for channel in mine for k, v in channel.policy.readers.items()}
    accounts = dict.fromkeys(row for channel in mine for row in channel.policy.accounts)
    for region in regions:
        for account in ("", *accounts):
            yield view(account, region, access=access, readers=readers)


def counts(channel: Channel, *, access: Access) -> Mapping[str, Count]:
    """How many instances each fleet of a channel has now; asks AWS only if there are fleets."""
    found: dict[str, Count] = {}
    for fleet in channel.policy.fleets:
        seen = fleet_view(channel, fleet, access=access)
        try:
            rows = seen.runs().of_groups(fleet.groups)
        except CloudError as error:
            found[fleet.name] = Count(instances=None, why=error.message)
        else:
            found[fleet.name] = Count(instances=sum(not row.ended for row in rows))
    return found
