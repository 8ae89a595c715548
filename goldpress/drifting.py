"""Owns drifting: what runs in a channel's fleets and is not what it has in force, and its healing.

Healing is a roll of just the groups that drifted, to what is in force: it is carried out by whoever
is given as `heal`, by the rules of every roll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from goldpress import ami as amis
from goldpress import holds, planning
from goldpress.channel import Channel, load_channels
from goldpress.digest import short
from goldpress.errors import (
    CloudError,
    ConflictError,
    GoldpressError,
    MissingError,
    VerifyError,
)
from goldpress.fleet.drift import Drift, Healing, InForce, by_hand, healings, of_group
from goldpress.fleet.journal import RollJournal, RollState
from goldpress.fleet.observed import observe
from goldpress.fleet.place import Place, Reach
from goldpress.planning import Known
from goldpress.terms import Fleet
from goldpress.workspace import Workspace

#: Rolls these groups of a channel to what is in force.
Heal = Callable[[Channel, tuple[Healing, ...]], object]


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """How far a channel's fleets are from what it has in force.

    `instances` were looked at; `faults` are what kept the rest from being looked at, by fleet;
    `rolling` is the digest of a roll under way, during which instances differ for a while.
    """

    image: str
    channel: str
    digest: str
    instances: int
    rows: tuple[Drift, ...]
    faults: tuple[tuple[str, GoldpressError], ...] = ()
    rolling: str = ""
    healed: tuple[Healing, ...] = ()

    @property
    def count(self) -> int:
        """How many instances drifted."""
        return len({row.instance for row in self.rows if row.instance})

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "image": self.image,
            "channel": self.channel,
            "digest": self.digest,
            "instances": self.instances,
            "drifted": self.count,
            "rolling": self.rolling or None,
            "drift": [row.document() for row in self.rows],
            "healed": [vars(row) for row in self.healed],
            "faults": {name: str(error) for name, error in self.faults},
        }


def drift(
    ws: Workspace,
    name: str = "",
    *,
    image: str = "",
    endpoint: str = "",
    reach: Reach | None = None,
    now: datetime | None = None,
) -> tuple[Drifted, ...]:
    """How far the fleets of the channels of this name (empty: all), of one image or all, drifted.

    Raises MissingError when there is no such channel, and as `planning.known_of`.
    """
    moment = now or datetime.now(UTC)
    channels = [row for row in load_channels(ws.project, name) if image in {"", row.image}]
    if not channels:
        raise MissingError(f"there is no channel {name!r}", hint="`./inv status` lists them")
    return tuple(
        _looked(ws, row, endpoint=endpoint, reach=reach, now=moment)
        for row in channels
        if row.policy.fleets
    )


def heal(ws: Workspace, found: Drifted, roll: Heal) -> Drifted:
    """Refresh just the groups that drifted, to what is in force.

    Raises ConflictError while a roll is under way, PromotionError (`not-held`) when what is in
    force is held, the first fault when not everything could be looked at, and as `roll`.
    """
    todo = healings(found.rows)
    if not todo:
        return found
    if found.rolling:
        raise ConflictError(
            f"{found.image}/{found.channel}: a roll of {short(found.rolling)} is under way",
            hint=f"`./inv roll {found.channel}` goes on with it; heal when it has ended",
        )
    channel = planning.channel_of(ws, found.channel, found.image)
    holds.refuse_launch(ws, found.digest)
    roll(channel, todo)
    return Drifted(**{**vars(found), "healed": todo})


def failure(rows: Sequence[Drifted]) -> GoldpressError | None:
    """The error to end with: what could not be looked at, or what drifted and was not healed."""
    for row in rows:
        for _, error in row.faults:
            return error
    bad = [row for row in rows if row.rows and not row.rolling and not _is_healed(row)]
    if not bad:
        return None
    first = bad[0].rows[0]
    count = sum(len(row.rows) for row in bad)
    return VerifyError(
        f"{count} findings; the first: {first.instance or first.group}: {first.kind}: {first.why}",
        hint=first.hint or "`./inv drift --heal` refreshes just the groups that drifted",
    )


def table(rows: Sequence[Drifted]) -> Table:
    """All of it on one screen."""
    shown = Table(title="drift", title_justify="left")
    for name in ("channel", "group", "instance", "what", "why", "what to do"):
        shown.add_column(name, overflow="fold")
    for row in rows:
        title = f"{row.image}/{row.channel}\n{short(row.digest)}"
        for fleet, error in row.faults:
            shown.add_row(title, fleet, "", Text("NOT KNOWN", style="bold red"), error.message)
        for found in row.rows:
            shown.add_row(
                title,
                found.group,
                found.instance or "the group",
                Text(found.kind, style="bold red" if found.kind == "held" else "yellow"),
                Text(found.why),
                Text(found.hint),
            )
        if not row.rows and not row.faults:
            shown.add_row(title, "", "", f"none of {row.instances}", "", "")
    return shown


def _is_healed(row: Drifted) -> bool:
    done = {found.group for found in row.healed}
    return all(found.group in done for found in row.rows)


def _looked(
    ws: Workspace, channel: Channel, *, endpoint: str, reach: Reach | None, now: datetime
) -> Drifted:
    known = planning.known_of(ws, channel, endpoint=endpoint, reach=reach, only_looks=True)
    state = RollJournal.read(ws.store.objects, channel.image, channel.name).state
    found = [_fleet(ws, known, fleet, state, now) for fleet in channel.policy.fleets]
    rows = [drift for row in found for drift in row.rows]
    rows += _by_hand(ws, channel, [row for row in found if row.fault is None])
    return Drifted(
        image=channel.image,
        channel=channel.name,
        digest=known.promotion.digest,
        instances=sum(len(row.members) for row in found),
        rows=tuple(rows),
        faults=tuple((row.fleet.name, row.fault) for row in found if row.fault is not None),
        rolling=state.digest if state is not None and not state.over else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Fleet:
    """What was found of a fleet; `fault` is what kept it from being looked at."""

    place: Place
    fleet: Fleet
    force: InForce | None = None
    members: frozenset[str] = frozenset()
    rows: tuple[Drift, ...] = ()
    fault: GoldpressError | None = None


def _fleet(
    ws: Workspace, known: Known, fleet: Fleet, state: RollState | None, now: datetime
) -> _Fleet:
    place = known.places[fleet.name]
    rows: list[Drift] = []
    members: set[str] = set()
    try:
        force = _in_force(ws, known, fleet, state, now)
        for observed in observe(place, fleet.groups, targets=False).values():
            disks = place.volumes.of(observed.running)
            rows += of_group(observed, fleet, force, disks)
            members.update(row.id for row in observed.group.members)
    except (CloudError, MissingError) as error:
        return _Fleet(place=place, fleet=fleet, fault=error)
    return _Fleet(
        place=place, fleet=fleet, force=force, members=frozenset(members), rows=tuple(rows)
    )


def _by_hand(ws: Workspace, channel: Channel, found: Sequence[_Fleet]) -> Iterator[Drift]:
    """What no group has, each place once."""
    mine = [row for row in planning.documents(ws) if row.name == channel.image]
    members = frozenset[str]().union(*(row.members for row in found))
    places = {row.place.name: row for row in found}
    for name, row in sorted(places.items()):
        amis_here = [ami.ami for ami in mine if ami.region == row.place.region]
        if row.force is not None and amis_here:
            running = row.place.runs.of_images(amis_here)
            yield from by_hand(name, running, row.force, members=members)


def _in_force(
    ws: Workspace, known: Known, fleet: Fleet, state: RollState | None, now: datetime
) -> InForce:
    promotion = known.promotion
    if fleet.region not in promotion.amis:
        raise MissingError(
            f"{short(promotion.digest)} was not promoted in {fleet.region}",
            hint=f"`./inv promote {known.channel.name}` again",
        )
    ami = amis.find(ws.store, promotion.amis[fleet.region])
    done = state is not None and state.phase == "done"
    rolled = {key: row.to_version for key, row in state.groups.items()} if state and done else {}
    return InForce(
        digest=promotion.digest,
        ami=ami.ami,
        snapshot=ami.snapshot,
        root_device=ami.root_device,
        images=known.images,
        held=known.held,
        rolled=rolled,
        now=now,
    )
