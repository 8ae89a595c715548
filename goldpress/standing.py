"""Owns how things stand: each channel's digest, since when, on which evidence, and where it runs.

Three things can differ, and each difference is told: what git wants, what was promoted, what runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from goldpress import holds, looking
from goldpress.aws.client import Access
from goldpress.channel import Channel, load_channels
from goldpress.digest import short
from goldpress.errors import CloudError, GoldpressError
from goldpress.fleet.drift import of_running
from goldpress.promotion import record
from goldpress.promotion.record import Promotion
from goldpress.statements.chain import chain
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.terms import Fleet
from goldpress.workspace import Workspace

NOT_KNOWN = "not known"
_COLUMNS = ("image", "channel", "digest", "since", "evidence", "AMIs", "approved by", "fleets")


@dataclass(frozen=True, kw_only=True)
class FleetState:
    """How many instances of a fleet run, and how many drifted: another AMI, or older than allowed.

    Both are None where nobody could look, and `why`.
    """

    name: str
    region: str
    groups: tuple[str, ...]
    instances: int | None
    drifted: int | None
    why: str = ""

    @property
    def text(self) -> str:
        """It in a few words."""
        if self.instances is None:
            return f"{self.name}: {NOT_KNOWN}"
        drift = NOT_KNOWN if self.drifted is None else str(self.drifted)
        return f"{self.name}: {self.instances} instances, drift {drift}"


@dataclass(frozen=True, kw_only=True)
class State:
    """A channel. `wanted` is git's digest, `promotion` what is in force; times are UTC.

    `missing` are the links of the chain of evidence that the channel asks for and nobody proves;
    `fault` is what kept the rest from being found out.
    """

    image: str
    channel: str
    wanted: str
    promotion: Promotion | None = None
    missing: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    held: str = ""
    fleets: tuple[FleetState, ...] = ()
    fault: GoldpressError | None = None

    @property
    def digest(self) -> str:
        """The digest in force; empty when nothing was promoted."""
        return self.promotion.digest if self.promotion else ""

    @property
    def waits(self) -> bool:
        """Whether git wants another digest than the one in force."""
        return self.wanted != self.digest

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        promotion = self.promotion
        return {
            "image": self.image,
            "channel": self.channel,
            "wanted": self.wanted or None,
            "digest": self.digest or None,
            "previous": (promotion.previous or None) if promotion else None,
            "since": promotion.since if promotion else None,
            "amis": dict(promotion.amis) if promotion else {},
            "approved_by": list(promotion.approval.approvers) if promotion else [],
            "pull_request": promotion.approval.pull if promotion else None,
            "evidence": {"proven": list(self.proven), "missing": list(self.missing)},
            "held": self.held or None,
            "fleets": [asdict(row) for row in self.fleets],
            "fault": str(self.fault) if self.fault else None,
        }


def standing(ws: Workspace, *, endpoint: str = "") -> tuple[State, ...]:
    """How every channel of the work tree stands; `endpoint` is the embedded cloud's URL.

    What is wrong with one channel is its `fault`. Raises MissingError or DocumentError for what is
    wrong with all of them.
    """
    trust = trust_here(ws)
    return tuple(state(ws, trust, row, endpoint=endpoint) for row in load_channels(ws.project))


def state(ws: Workspace, trust: Trust, channel: Channel, *, endpoint: str) -> State:
    """How one channel stands."""
    found = State(image=channel.image, channel=channel.name, wanted=channel.digest)
    try:
        promotion = record.current(ws.store, trust, channel.image, channel.name)
        digest = promotion.digest if promotion else channel.digest
        held = holds.held(ws.store, trust, digest) if digest else None
        links = chain(ws.store, digest, trust).links if digest else ()
        required = {"manifest", *channel.policy.evidence}
        return State(
            image=channel.image,
            channel=channel.name,
            wanted=channel.digest,
            promotion=promotion,
            missing=tuple(row.name for row in links if row.name in required and not row.ok),
            proven=tuple(row.name for row in links if row.ok),
            held=f"since {held.at} by {held.by}: {held.why}" if held else "",
            fleets=tuple(_fleets(ws, channel, promotion, endpoint=endpoint)),
        )
    except GoldpressError as error:
        return State(**{**vars(found), "fault": error})


def _fleets(
    ws: Workspace, channel: Channel, promotion: Promotion | None, *, endpoint: str
) -> Iterator[FleetState]:
    if not channel.policy.fleets:
        return
    access = looking.publisher(ws, channel.image, endpoint=endpoint)
    for fleet in channel.policy.fleets:
        yield _fleet(channel, fleet, promotion, access)


def _fleet(
    channel: Channel, fleet: Fleet, promotion: Promotion | None, access: Access
) -> FleetState:
    ami = promotion.amis.get(fleet.region, "") if promotion else ""
    plain = FleetState(
        name=fleet.name, region=fleet.region, groups=fleet.groups, instances=None, drifted=None
    )
    try:
        view = looking.fleet_view(channel, fleet, access=access)
        rows = [row for row in view.runs().of_groups(fleet.groups) if not row.ended]
    except CloudError as error:
        return FleetState(**{**vars(plain), "why": error.message})
    # Without an image in force there is nothing to drift from.
    now = datetime.now(UTC)
    drifted = sum(of_running(row, fleet, ami, now) for row in rows) if ami else None
    return FleetState(**{**vars(plain), "instances": len(rows), "drifted": drifted})


def failure(states: Sequence[State]) -> GoldpressError | None:
    """The error to end with when a channel's state could not be found out."""
    return next((row.fault for row in states if row.fault is not None), None)


def table(states: Sequence[State], *, now: datetime | None = None) -> Table:
    """The channels on one screen."""
    moment = now or datetime.now(UTC)
    shown = Table(title="channels", title_justify="left", pad_edge=False)
    for name in _COLUMNS:
        shown.add_column(name, overflow="fold")
    for row in states:
        shown.add_row(
            *(Text(cell) if isinstance(cell, str) else cell for cell in _cells(row, moment))
        )
    return shown


def _cells(row: State, now: datetime) -> Iterator[str | Text]:
    yield row.image
    yield row.channel
    if row.fault is not None:
        yield Text(f"ERROR: {row.fault.message}", style="bold red")
        return
    yield _digest(row)
    promotion = row.promotion
    yield f"{promotion.since}\n{age(now - promotion.moment)}" if promotion else "never promoted"
    yield _evidence(row)
    yield (
        "\n".join(f"{region} {ami}" for region, ami in sorted(promotion.amis.items()))
        if (promotion)
        else ""
    )
    yield _approval(promotion)
    yield "\n".join(fleet.text for fleet in row.fleets) or "none"


def _digest(row: State) -> Text:
    text = Text(short(row.digest) if row.digest else "none")
    if row.held:
        text.append(f"\nHELD {row.held}", style="bold red")
    if row.waits:
        text.append(f"\ngit wants {short(row.wanted) if row.wanted else 'none'}", style="yellow")
    return text


def _evidence(row: State) -> Text:
    if row.missing:
        return Text(f"NOT PROVEN: {', '.join(row.missing)}", style="bold red")
    return Text("proven" if row.proven else "")


def _approval(promotion: Promotion | None) -> str:
    if promotion is None:
        return ""
    approval = promotion.approval
    haste = f"\nin haste: {approval.expedited}" if approval.expedited else ""
    return f"{', '.join(approval.approvers)}\npull request {approval.pull}{haste}"


def age(passed: timedelta) -> str:
    """A time that has passed, in its largest unit: ``3 days``."""
    seconds = max(0, int(passed.total_seconds()))
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds} s"
