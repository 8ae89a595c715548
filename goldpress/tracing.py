"""Owns tracing: from an AMI back to its image, its statements and its approval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from goldpress import publishing
from goldpress.ami import Ami
from goldpress.channel import channel_path, parse_channel
from goldpress.digest import short
from goldpress.errors import DocumentError, GoldpressError, MissingError, TrustError
from goldpress.holds import held
from goldpress.host.git import Git
from goldpress.promotion.record import Promotion, history, parse_promotion, series
from goldpress.statements.chain import Chain, Link, chain
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.store import Store
from goldpress.workspace import Workspace

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an AMI was led back to: `links` are all that was looked at, in order."""

    ami: Ami
    chain: Chain
    links: tuple[Link, ...]
    promotions: tuple[Promotion, ...]

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "ami": self.ami.ami,
            "account": self.ami.account,
            "region": self.ami.region,
            "links": [vars(link) for link in self.links],
            "promotions": [row.predicate() for row in self.promotions],
            **{k: v for k, v in self.chain.document().items() if k != "links"},
        }

    def refuse_unproven(self) -> None:
        """Raises TrustError when a link is not proven."""
        lacking = [link for link in self.links if not link.ok]
        if lacking:
            raise TrustError(
                f"{self.ami.ami}: {len(lacking)} of {len(self.links)} links are not proven: "
                f"{', '.join(link.name for link in lacking)}",
                hint=f"{lacking[0].name}: {lacking[0].why}",
            )


def audit(ws: Workspace, ami: str, *, endpoint: str = "") -> Audit:
    """From an AMI to its image, its statements and its approval; every document is hashed again.

    AWS is asked for the AMI and every block of its EBS snapshot; all else is read from the store
    and from git. `endpoint` is the embedded cloud's. Raises MissingError for an AMI that the store
    does not know, CloudError when AWS does not answer.
    """
    made, _, _ = publishing.known(ws, ami, endpoint=endpoint)
    trust = trust_here(ws)
    found = chain(ws.store, made.image, trust)
    promotions = tuple(_promotions(found, made))
    links = (
        _blocks(ws, made, endpoint=endpoint),
        *found.links,
        _published(found, made),
        _not_held(ws.store, trust, made),
        _approval(ws, trust, found, made, promotions),
    )
    return Audit(ami=made, chain=found, links=links, promotions=promotions)


def _blocks(ws: Workspace, ami: Ami, *, endpoint: str) -> Link:
    try:
        count = int(publishing.audit(ws, ami.ami, endpoint=endpoint)["blocks"])
    except (TrustError, MissingError) as error:
        return Link(name="blocks", ok=False, why=error.message)
    why = f"{count} blocks read back from {ami.snapshot}: block root {ami.block_root[:12]}"
    return Link(name="blocks", ok=True, why=why)


def _published(found: Chain, ami: Ami) -> Link:
    if any(row.ami == ami for row in found.publications):
        return Link(name="this AMI", ok=True, why=f"{ami.ami} is in a statement of publication")
    return Link(name="this AMI", ok=False, why=f"no statement that is believed is about {ami.ami}")


def _not_held(store: Store, trust: Trust, ami: Ami) -> Link:
    try:
        hold = held(store, trust, ami.image)
    except GoldpressError as error:
        return Link(name="not held", ok=False, why=error.message)
    if hold is None:
        return Link(name="not held", ok=True, why="")
    return Link(name="not held", ok=False, why=f"held since {hold.at} by {hold.by}: {hold.why}")


def _promotions(found: Chain, ami: Ami) -> Iterator[Promotion]:
    """The promotions by which this AMI came to be used."""
    for row in found.promotions:
        try:
            read = parse_promotion(row.predicate, by=row.by)
        except DocumentError:
            continue
        if read.digest == ami.image and read.amis.get(ami.region) == ami.ami:
            yield read


def _approval(
    ws: Workspace, trust: Trust, found: Chain, ami: Ami, promotions: tuple[Promotion, ...]
) -> Link:
    if not promotions:
        return Link(
            name="approval", ok=False,
            why=f"no promotion that is believed made {ami.ami} available in {ami.region}",
        )  # fmt: skip
    faults = [fault for row in promotions for fault in _approval_faults(ws, trust, found, row)]
    if faults:
        return Link(name="approval", ok=False, why="; ".join(faults))
    return Link(name="approval", ok=True, why="; ".join(approved(row) for row in promotions))


def _approval_faults(
    ws: Workspace, trust: Trust, found: Chain, promotion: Promotion
) -> Iterator[str]:
    """What the ledger and git say otherwise than the promotion."""
    about, said = series(promotion.image, promotion.channel), promotion.approval
    try:
        known = history(ws.store, trust, promotion.image, promotion.channel)
    except GoldpressError as error:
        yield f"{about}: {error.message}"
        known = ()
    if not any((row.at, row.after) == (promotion.at, promotion.after) for row in known):
        yield f"{about}: the ledger does not have the promotion that was signed at {promotion.at}"
    where = f"{said.repository}#{said.pull}"
    if not said.approvers:
        yield f"{about}: {where} names nobody who approved it"
    proven = {row.document for row in found.rows if row.good}
    lost = [short(row) for row in promotion.evidence if row not in proven]
    if lost:
        yield f"{about}: it relied on statements that are not proven: {', '.join(lost)}"
    git = Git(project=ws.project)
    tree = git.commit(f"{said.merge}^{{tree}}") if _COMMIT.fullmatch(said.merge) else None
    if tree is None:
        yield f"{about}: this checkout lacks the commit {said.merge[:12]} of {where}: `git fetch`"
        return
    if tree != said.tree:
        yield f"{about}: the tree of {said.merge[:12]} is {tree[:12]}, not {said.tree[:12]}"
    try:
        path = channel_path(promotion.image, promotion.channel)
        data = git.file(tree, path)
        named = parse_channel(data, path=path).digest if data is not None else ""
    except DocumentError as error:
        yield f"{about}: at {said.merge[:12]}: {error.message}"
        return
    if named != promotion.digest:
        yield f"{about}: at {said.merge[:12]} {path} names {short(named) or 'no image'}"


def approved(row: Promotion) -> str:
    """Who approved a promotion, in a few words."""
    said = row.approval
    return (
        f"{row.image}/{row.channel} since {row.at}: {said.repository}#{said.pull} at "
        f"{said.head[:12]} by {', '.join(said.approvers)}, merged by {said.merged_by} "
        f"as {said.merge[:12]}"
    )
