"""Owns how an audit is shown: tables for a terminal, and CSV for those who keep it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from goldpress.auditing import Audit, Changed, Judged
from goldpress.aws.trail import MOMENT
from goldpress.digest import short

HEAD = (
    *("at", "image", "channel", "digest", "previous", "approvers", "merged_by", "pull_request"),
    *("head", "merge", "expedited", "regions", "amis", "signed_by", "evidence"),
)
#: What a spreadsheet takes for the begin of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(found: Audit) -> RenderableType:
    """An audit for a terminal: changes, launches by kind, and what is (not) proven."""
    return Group(_changes(found), _launches(found), *_verdict(found))


def _changes(found: Audit) -> Table:
    title = f"changes from {found.start.strftime(MOMENT)} to {found.end.strftime(MOMENT)}"
    shown = Table(title=title, title_justify="left", pad_edge=False)
    for name in ("at", "channel", "digest", "approved by", "pull request", "evidence", "regions"):
        shown.add_column(name, overflow="fold")
    for row in found.changes:
        promotion, approval = row.promotion, row.promotion.approval
        haste = f"\nin haste: {approval.expedited}" if approval.expedited else ""
        shown.add_row(
            promotion.since,
            Text(f"{promotion.image}/{promotion.channel}"),
            f"{short(promotion.previous) or 'none'} →\n{short(promotion.digest)}",
            Text(", ".join(approval.approvers) + haste),
            f"{approval.pull}, merged by {approval.merged_by}",
            _evidence(row),
            "\n".join(promotion.regions),
        )
    return shown


def _evidence(row: Changed) -> Text:
    text = Text()
    for found in row.evidence:
        text.append(f"{found.kind} {short(found.statement)}")
        if found.why:
            text.append(f" NOT GOOD: {found.why}", style="bold red")
        text.append("\n")
    text.rstrip()
    return text


def _launches(found: Audit) -> Table:
    shown = Table(title="launches", title_justify="left", pad_edge=False)
    for name in ("at", "instance", "place", "image", "what", "by"):
        shown.add_column(name, overflow="fold")
    for row in sorted(found.launches, key=_order):
        style = "bold red" if row.is_finding else ""
        shown.add_row(
            row.launch.at,
            row.launch.instance,
            f"{row.account}/{row.region}",
            short(row.digest) if row.digest else row.launch.ami,
            Text(row.kind, style=style),
            Text(row.launch.by),
        )
    return shown


def _order(row: Judged) -> tuple[bool, str, str]:
    return (not row.is_finding, row.launch.at, row.launch.instance)


def _verdict(found: Audit) -> Iterator[Text]:
    places = ", ".join(found.seen) or "nowhere"
    yield Text(f"looked at CloudTrail and at what runs in {places}")
    for row in found.unseen:
        yield Text(f"not looked at: {row}", style="bold red")
    for row in found.limits:
        yield Text(f"not shown by AWS: {row}", style="bold")
    if found.findings:
        yield Text(f"{len(found.findings)} launches are NOT explained", style="bold red")
    elif found.proven:
        yield Text(
            f"proven: of {len(found.launches)} launches each is of an image that was promoted "
            "before, or the trial of a published one",
            style="bold green",
        )
    else:
        yield Text("nothing unexplained was found; that there was nothing else is NOT proven")


def text(found: Audit) -> str:
    """The changes as CSV, with a head; times are UTC."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEAD)
    for row in found.changes:
        writer.writerow([_cell(cell) for cell in _row(row)])
    return stream.getvalue()


def _row(row: Changed) -> Iterator[str]:
    promotion, approval = row.promotion, row.promotion.approval
    yield from (promotion.since, promotion.image, promotion.channel)
    yield from (promotion.digest, promotion.previous)
    yield from (" ".join(approval.approvers), approval.merged_by, str(approval.pull))
    yield from (approval.head, approval.merge, approval.expedited)
    yield " ".join(promotion.regions)
    yield " ".join(promotion.amis[region] for region in promotion.regions)
    yield promotion.by
    yield " ".join(f"{found.kind}:{found.statement}" for found in row.evidence)


def _cell(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
