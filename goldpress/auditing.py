"""Owns the audit: every change of a channel in a time, and whether anything else was launched.

Changes are the signed records of promotions. Launches are AWS's own: what CloudTrail remembers of
them for 90 days, and what runs now. Each launch has to be of an image that was promoted before and
not held, or the trial of one that goldpress published. What AWS cannot show is told, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from goldpress import looking
from goldpress.aws.trail import DELAY, KEPT, MOMENT, Launch, Trail
from goldpress.channel import Channel, load_channels
from goldpress.digest import short
from goldpress.errors import CloudError, DocumentError, GoldpressError, TrustError
from goldpress.explaining import EXPLAINED, Judge, Kind
from goldpress.looking import View
from goldpress.promotion import record
from goldpress.promotion.record import Promotion
from goldpress.statements.chain import chain
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A statement that a promotion relied on; `why` tells what is wrong with it by now."""

    statement: str
    kind: str
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One promotion, and the evidence that it was made on."""

    promotion: Promotion
    evidence: tuple[Evidence, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        value = self.promotion.predicate()
        return {
            **value,
            "since": self.promotion.since,
            "by": self.promotion.by,
            "evidence": [asdict(row) for row in self.evidence],
        }


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A launch, where it was, and what it is of; `digest` is empty for no image of goldpress."""

    account: str
    region: str
    launch: Launch
    kind: Kind
    digest: str

    @property
    def is_finding(self) -> bool:
        """Whether nothing that was approved explains it."""
        return self.kind not in EXPLAINED


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The time from `start` to `end`; `seen` are the places that were looked at.

    `unseen` are those that were not and why; `limits` are what AWS cannot show of this time.
    """

    start: datetime
    end: datetime
    changes: tuple[Changed, ...]
    launches: tuple[Judged, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def findings(self) -> tuple[Judged, ...]:
        """The launches that nothing explains."""
        return tuple(row for row in self.launches if row.is_finding)

    @property
    def proven(self) -> bool:
        """Whether it is proven that nothing but what was promoted was launched."""
        return not (self.findings or self.unseen or self.limits)

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "from": self.start.strftime(MOMENT),
            "to": self.end.strftime(MOMENT),
            "changes": [row.document() for row in self.changes],
            "launches": [
                {**asdict(row), "launch": asdict(row.launch), "finding": row.is_finding}
                for row in self.launches
            ],
            "looked_at": list(self.seen),
            "not_looked_at": list(self.unseen),
            "not_shown_by_aws": list(self.limits),
            "nothing_else_was_launched": self.proven,
        }

    def failure(self) -> GoldpressError | None:
        """The error to end with when something was launched that nothing explains."""
        spoiled = [row for row in self.changes if any(found.why for found in row.evidence)]
        if self.findings:
            told = "".join(f"\n  {_told(row)}" for row in self.findings[:10])
            more = f"\n  and {len(self.findings) - 10} more" if len(self.findings) > 10 else ""  # noqa: PLR2004 - as many are shown
            return TrustError(
                f"{len(self.findings)} launches are not explained by any promotion:{told}{more}"
            )
        if spoiled:
            names = ", ".join(_name(row.promotion) for row in spoiled)
            return TrustError(f"evidence of {names} is not good any more: see the table")
        if self.unseen:
            told = "".join(f"\n  {row}" for row in self.unseen)
            return CloudError(f"not everything could be looked at:{told}")
        return None


def audit(
    ws: Workspace, start: datetime, end: datetime, *, endpoint: str = "", now: datetime
) -> Audit:
    """Every change of a channel from `start` to `end`, and every launch; all times are aware.

    Raises DocumentError for a time that ends before it starts, TrustError for records that were
    tampered with.
    """
    if end <= start:
        raise DocumentError("--to is not after --from")
    trust = trust_here(ws)
    channels = load_channels(ws.project)
    past = histories(ws, trust)
    everything = [row for rows in past.values() for row in rows]
    changes = [
        Changed(promotion=row, evidence=tuple(_evidence(ws, trust, row)))
        for row in sorted(everything, key=lambda row: row.moment)
        if start <= row.moment <= end
    ]
    judge = Judge(store=ws.store, trust=trust, past=past, channels=channels)
    launches: list[Judged] = []
    seen: list[str] = []
    unseen: list[str] = []
    for view in _views(ws, channels, past, endpoint=endpoint):
        try:
            launches += _launches(judge, view, start, end)
            seen.append(view.place)
        except CloudError as error:
            unseen.append(f"{view.place}: {error.message}")
    return Audit(
        start=start,
        end=end,
        changes=tuple(changes),
        launches=tuple(launches),
        seen=tuple(seen),
        unseen=tuple(unseen),
        limits=tuple(limits(start, end, now)),
    )


def limits(start: datetime, end: datetime, now: datetime) -> Iterator[str]:
    """What of a time AWS cannot show any more, or not yet."""
    if start < now - KEPT:
        yield (
            f"CloudTrail remembers {KEPT.days} days: nothing shows what was launched before "
            f"{(now - KEPT).strftime(MOMENT)}"
        )
    if end > now - DELAY:
        yield (
            f"CloudTrail has events up to {DELAY // timedelta(minutes=1)} minutes later: launches "
            f"since {(now - DELAY).strftime(MOMENT)} may be missing"
        )


def complete(now: datetime) -> datetime:
    """Up to when CloudTrail has every event by now."""
    return now - DELAY


def histories(ws: Workspace, trust: Trust) -> Mapping[str, tuple[Promotion, ...]]:
    """Every promotion of every channel that there ever was, by ``image/channel``."""
    found = {}
    for series in ws.store.names(record.KIND):
        image, _, channel = series.partition("/")
        found[series] = record.history(ws.store, trust, image, channel)
    return found


def _evidence(ws: Workspace, trust: Trust, promotion: Promotion) -> Iterator[Evidence]:
    """What a promotion relied on, hashed and opened again."""
    rows = {row.document: row for row in chain(ws.store, promotion.digest, trust).rows}
    for document in promotion.evidence:
        row = rows.get(document)
        if row is None:
            yield Evidence(
                statement=document, kind="unknown", by="", why="the store has it no more"
            )
        else:
            yield Evidence(statement=document, kind=row.link, by=row.by, why=row.why)


def _views(
    ws: Workspace,
    channels: Sequence[Channel],
    past: Mapping[str, tuple[Promotion, ...]],
    *,
    endpoint: str,
) -> Iterator[View]:
    """Every place that a channel reaches, or ever reached, once."""
    regions: dict[str, set[str]] = {}
    for channel in channels:
        regions.setdefault(channel.image, set()).update(channel.policy.regions)
    for rows in past.values():
        for promotion in rows:
            regions.setdefault(promotion.image, set()).update(promotion.amis)
    seen: set[str] = set()
    for image, names in sorted(regions.items()):
        try:
            access = looking.publisher(ws, image, endpoint=endpoint)
        except GoldpressError as error:
            yield View(account="", region=", ".join(sorted(names)), access=None, why=error.message)
            continue
        for view in looking.views(image, sorted(names), channels, access=access):
            if view.place not in seen:
                seen.add(view.place)
                yield view


def _launches(judge: Judge, view: View, start: datetime, end: datetime) -> Iterator[Judged]:
    """Every launch in a place: those that CloudTrail tells of, and what runs without one."""
    if view.access is None:
        raise CloudError(view.why)

    def judged(launch: Launch, kind: Kind | None = None) -> Judged:
        ami = judge.amis.get(launch.ami)
        return Judged(
            account=view.account,
            region=view.region,
            launch=launch,
            kind=kind or judge.kind(launch, view.account, view.region),
            digest=ami.image if ami else "",
        )

    recorded = Trail.at(view.access, view.region).launches(start, end)
    yield from map(judged, recorded)
    known = {launch.instance for launch in recorded}
    for run in view.runs().every():
        inside = start.strftime(MOMENT) <= run.launched <= end.strftime(MOMENT)
        if not run.ended and inside and run.id not in known:
            launch = Launch(
                event="", instance=run.id, ami=run.ami, at=run.launched, by="", trial=run.trial
            )
            yield judged(launch, "not recorded")


def _told(row: Judged) -> str:
    what = f"image {short(row.digest)}" if row.digest else f"AMI {row.launch.ami or 'not told'}"
    return (
        f"{row.launch.instance} in {row.account}/{row.region} at {row.launch.at}: {row.kind}; "
        f"{what}, by {row.launch.by or 'nobody that AWS names'}"
    )


def _name(promotion: Promotion) -> str:
    return f"{record.series(promotion.image, promotion.channel)} since {promotion.since}"


def parse_time(text: str, *, option: str, is_end: bool = False) -> datetime:
    """A day (``2026-11-01``: its begin, or its end) or a time (``2026-11-01T12:00Z``), in UTC.

    Raises DocumentError.
    """
    for form, whole in (("%Y-%m-%d", timedelta(days=1)), ("%Y-%m-%dT%H:%MZ", timedelta())):
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return found + whole if is_end else found
    raise DocumentError(f"{option}={text}: neither a day such as 2026-11-01 nor 2026-11-01T12:00Z")
