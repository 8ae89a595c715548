"""Owns which group `roll.adopt` means, and that it is asked before it is done."""

from __future__ import annotations

from collections.abc import Iterator

from goldpress.aws.sts import caller
from goldpress.channel import load_channels
from goldpress.errors import DocumentError, MissingError
from goldpress.fleet import adopting
from goldpress.fleet.adopting import Adoption
from goldpress.fleet.place import Place, Reach, place_of, reach_of
from goldpress.looking import publisher
from goldpress.workspace import Workspace


def adopt(
    ws: Workspace,
    group: str,
    *,
    channel: str = "",
    confirmed: bool = False,
    endpoint: str = "",
    reach: Reach | None = None,
) -> Adoption:
    """What would be moved, or with `confirmed` was.

    `group` is a name, or ``account/region/name`` where several places have it. Raises MissingError
    for one of no fleet, DocumentError for one of several, and as `fleet.adopting.adopt`.
    """
    found = dict(_named(ws, group, channel, endpoint=endpoint, reach=reach))
    if not found:
        raise MissingError(
            f"no fleet of {channel or 'any channel'} has a group {group!r}",
            hint="put it into a fleet of images/<name>/channels/<channel>.yaml first",
        )
    if len(found) > 1:
        raise DocumentError(
            f"{group!r} is in {len(found)} places: {', '.join(sorted(found))}",
            hint="name it as one of these",
        )
    ((key, place),) = found.items()
    name = key.split("/", 2)[2]
    shown = adopting.look(place, name)
    return adopting.adopt(place, name, shown) if confirmed and shown.needed else shown


def _named(
    ws: Workspace, group: str, channel: str, *, endpoint: str, reach: Reach | None
) -> Iterator[tuple[str, Place]]:
    for row in load_channels(ws.project, channel):
        wanted = [fleet for fleet in row.policy.fleets if _names(group) & set(fleet.groups)]
        if not wanted:
            continue
        access = publisher(ws, row.image, endpoint=endpoint)
        own = caller(access, row.policy.regions[0]).account
        calls = reach or reach_of(row.policy.rollers, own=own, access=access)
        for fleet in wanted:
            place = place_of(fleet, own=own, reach=calls)
            for name in sorted(_names(group) & set(fleet.groups)):
                key = f"{place.name}/{name}"
                if group in {name, key}:
                    yield key, place


def _names(group: str) -> set[str]:
    """What the group may be called; its own name may have slashes, too."""
    parts = group.split("/", 2)
    return {group, *parts[2:]}
