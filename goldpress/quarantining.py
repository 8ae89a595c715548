"""Owns quarantining: which instance is meant, where it is, and that one at a time works on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goldpress.aws.client import Access
from goldpress.aws.sts import caller
from goldpress.channel import load_channels
from goldpress.errors import CloudError, DocumentError, MissingError
from goldpress.fleet.isolation import Isolated, isolate, put_back
from goldpress.fleet.place import Place, Reach, places, reach_of
from goldpress.looking import publisher
from goldpress.promotion.lease import leased
from goldpress.terms import Fleet
from goldpress.workspace import Workspace

LEASES = "leases/quarantine/"
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


def quarantine(
    ws: Workspace,
    instance: str,
    *,
    why: str,
    detach: bool = False,
    endpoint: str = "",
    reach: Reach | None = None,
) -> Isolated:
    """Take an instance of a fleet out of service, keeping it and its disks.

    Raises DocumentError for what is no id, or without a reason; MissingError for one that is in no
    place of a fleet; ConflictError, CloudError.
    """
    if not why.strip():
        raise DocumentError("--why: say why, for whoever finds it")
    place, fleet = _found(ws, instance, endpoint=endpoint, reach=reach)
    # Its own fleet's terms may have the next roll end what is in standby.
    ends = fleet.replacing.standby == "terminate"
    with leased(ws.store.objects, f"{LEASES}{instance}.json"):
        return isolate(ws.store.objects, place, instance, why=why, detach=detach or ends)


def release(
    ws: Workspace, instance: str, *, endpoint: str = "", reach: Reach | None = None
) -> Isolated:
    """Put an instance back. Raises as `quarantine`, MissingError for one not in quarantine."""
    place, _ = _found(ws, instance, endpoint=endpoint, reach=reach)
    with leased(ws.store.objects, f"{LEASES}{instance}.json"):
        return put_back(ws.store.objects, place, instance)


def _found(
    ws: Workspace, instance: str, *, endpoint: str, reach: Reach | None
) -> tuple[Place, Fleet]:
    """Where the instance is, and the fleet of its group, else one of that place."""
    if not _INSTANCE.fullmatch(instance):
        raise DocumentError(f"{instance!r} is not the id of an instance")
    unseen: list[str] = []
    looked: dict[str, str | None] = {}
    for place, fleet in _places(ws, endpoint=endpoint, reach=reach):
        try:
            if place.name not in looked:
                running = place.runs.one(instance)
                looked[place.name] = running.group if running else None
        except CloudError as error:
            unseen.append(f"{place.name}: {error.message}")
            continue
        group = looked[place.name]
        if group is not None and (not group or group in fleet.groups):
            return place, fleet
    here = [name for name, group in looked.items() if group is not None]
    if here:
        raise MissingError(
            f"{instance} is in {here[0]}, in the group {looked[here[0]]}, which is of no fleet",
            hint="put the group into a fleet of a channel first",
        )
    raise MissingError(
        f"{instance} is in no place where a channel has a fleet"
        + (f"; not looked at: {'; '.join(unseen)}" if unseen else "")
    )


def _places(ws: Workspace, *, endpoint: str, reach: Reach | None) -> Iterator[tuple[Place, Fleet]]:
    for channel in load_channels(ws.project):
        policy = channel.policy
        if not policy.fleets:
            continue
        access: Access = publisher(ws, channel.image, endpoint=endpoint)
        own = caller(access, policy.regions[0]).account
        calls = reach or reach_of(policy.rollers, own=own, access=access)
        found = places(policy, own=own, reach=calls)
        for fleet in policy.fleets:
            yield found[fleet.name], fleet
