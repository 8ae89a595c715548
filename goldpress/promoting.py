"""Owns promoting: what a merged pull request asks for becomes so, once every rule allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from goldpress import progress
from goldpress.aws.client import Access
from goldpress.channel import Channel
from goldpress.digest import short
from goldpress.errors import GoldpressError, MissingError, PromotionError
from goldpress.github.api import Repository, repository
from goldpress.github.pulls import PullRequest
from goldpress.promotion import approval as approvals
from goldpress.promotion.approval import Merge, Request
from goldpress.promotion.available import Change, Wanted
from goldpress.promotion.carrying import Order, carry_out, lease_key
from goldpress.promotion.facts import Facts, Place, gather
from goldpress.promotion.lease import leased
from goldpress.promotion.record import Approval, Promotion
from goldpress.promotion.request import Trunk, merged_request, read_merge, read_request
from goldpress.promotion.rules import judge
from goldpress.promotion.verdict import Verdict, refuse_failed, table
from goldpress.publish.preflight import access_of
from goldpress.publish.settings import load_settings
from goldpress.statements.chain import LINKS, Chain
from goldpress.statements.signing import signer_for, with_local
from goldpress.statements.trust import Trust
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one image's channel: every verdict, what was (to be) changed, or an error."""

    image: str
    channel: str
    digest: str
    verdicts: tuple[Verdict, ...] = ()
    changes: tuple[Change, ...] = ()
    promotion: Promotion | None = None
    dry_run: bool = False
    error: GoldpressError | None = None

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        state = "would be promoted" if self.dry_run else "promoted"
        return {
            "image": self.image,
            "channel": self.channel,
            "digest": self.digest,
            "state": "REFUSED" if self.error else state,
            "rules": [row.document() for row in self.verdicts],
            "changes": [row.document() for row in self.changes],
            "promotion": self.promotion.predicate() if self.promotion else None,
        }


def promote(
    ws: Workspace,
    channel: str,
    *,
    image: str = "",
    endpoint: str = "",
    dry_run: bool = False,
    repo: Repository | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Outcome]:
    """Make what the default branch says of a channel so, for every image or for one.

    `endpoint` is the embedded cloud's URL; empty: AWS. An image that is refused does not keep the
    others from being promoted: see `failure`. Raises MissingError for a channel that is not there,
    GitHubError.
    """
    hosting = repo or repository()
    trunk = Trunk.read(hosting)
    found = [row for row in trunk.channels(channel) if image in {"", row.image}]
    if not found:
        raise MissingError(
            f"{trunk.name} of {hosting.name} has no channel {channel!r}"
            + (f" of {image}" if image else ""),
            hint="it is `images/<name>/channels/<channel>.yaml` there, not in this checkout",
        )
    outcomes = []
    for row in found:
        if not row.digest:
            progress.note(f"{row.image}: {channel} has no image yet: nothing to promote")
            continue
        work = _Work(ws=ws, endpoint=endpoint, dry_run=dry_run, hosting=hosting, now=now)
        outcomes.append(work.done(row))
    return outcomes


def failure(outcomes: list[Outcome]) -> GoldpressError | None:
    """The error to end with when a channel was refused: the first one; the others were told."""
    return next((row.error for row in outcomes if row.error is not None), None)


@dataclass(frozen=True, kw_only=True)
class _Work:
    ws: Workspace
    endpoint: str
    dry_run: bool
    hosting: Repository
    now: Callable[[], datetime]

    def done(self, asked: Channel) -> Outcome:
        """Promote one image's channel. Raises nothing but what is no error of its own."""
        try:
            with self.alone(asked) as carry:
                return self.tried(asked, carry)
        except GoldpressError as error:
            progress.note(f"{asked.image}/{asked.name}: REFUSED: {error}")
            return Outcome(image=asked.image, channel=asked.name, digest=asked.digest, error=error)

    @contextmanager
    def alone(self, asked: Channel) -> Iterator[Callable[[Order], Promotion] | None]:
        """What carries an order out while nobody else works on the channel; None for a dry run."""
        if self.dry_run:
            yield None
            return
        with leased(self.ws.store.objects, lease_key(asked.image, asked.name)) as lease:
            yield lambda order: carry_out(order, lease, lambda: self._signer(order))

    def _signer(self, order: Order) -> Any:
        return signer_for(self.ws, stand_in=_stand_in(order))

    def tried(self, asked: Channel, carry: Callable[[Order], Promotion] | None) -> Outcome:
        # Read only now: what was merged while somebody else had the lease counts.
        trunk = Trunk.read(self.hosting)
        channel = trunk.channel(asked.path)
        if channel is None or not channel.digest:
            raise PromotionError("image", f"{asked.path} names no image any more")
        decided = decide(self.ws, trunk, channel, self.access(channel), at=self.now())
        progress.result(decided.table(), beside=True)
        refuse_failed(decided.verdicts, what=f"{short(channel.digest)} for {decided.name}")
        order = decided.order(self.ws)
        rows = tuple(change for _, change in order.difference())
        tell(decided.name, rows)
        promotion = carry(order) if carry else None
        return Outcome(
            image=channel.image,
            channel=channel.name,
            digest=channel.digest,
            verdicts=decided.verdicts,
            changes=rows,
            promotion=promotion,
            dry_run=self.dry_run,
        )

    def access(self, channel: Channel) -> Access:
        """Who calls AWS for this image."""
        settings = load_settings(self.ws.project / "images" / channel.image)
        return access_of(settings, self.endpoint)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What was found out about a merged promotion, and every rule's verdict.

    `trust` is the branch's own: what is believed is reviewed like all else there.
    """

    trunk: Trunk
    request: Request
    merge: Merge
    trust: Trust
    access: Access
    facts: Facts
    verdicts: tuple[Verdict, ...]

    @property
    def name(self) -> str:
        """The channel, for people."""
        return f"{self.facts.channel.image}/{self.facts.channel.name}"

    def table(self) -> Table:
        """The verdicts for a terminal."""
        title = f"{self.name}: {self.facts.digest}, pull request {self.request.pull.number}"
        return table(title, self.verdicts)

    def order(self, ws: Workspace) -> Order:
        """What is to be carried out; only of use when every rule is met."""
        facts, channel = self.facts, self.facts.channel
        places = {r: p for r, p in facts.places.items() if isinstance(p, Place)}
        promotion = self.promotion(places)
        before = _amis_of(facts, promotion.previous)
        return Order(
            store=ws.store,
            trust=self.trust,
            access=self.access,
            promotion=promotion,
            wanted=tuple(
                Wanted(
                    image=channel.image,
                    channel=channel.name,
                    digest=facts.digest,
                    ami=place.ami,
                    before=before.get(region, ""),
                    accounts=channel.policy.accounts,
                    tag=f"pull {self.request.pull.number}",
                    pointer=not channel.policy.fleets,
                )
                for region, place in places.items()
            ),
        )

    def promotion(self, places: Mapping[str, Place]) -> Promotion:
        """What is to be recorded."""
        facts, channel, request = self.facts, self.facts.channel, self.request
        same = facts.in_force == facts.digest
        return Promotion(
            image=channel.image,
            channel=channel.name,
            digest=facts.digest,
            previous=facts.way_back if same else facts.in_force,
            approval=Approval(
                repository=self.trunk.repo.name,
                pull=request.pull.number,
                head=request.pull.head,
                merge=self.merge.commit,
                tree=self.merge.tree,
                approvers=approvals.approvers(request),
                merged_by=request.pull.merged_by,
                expedited=request.expedited,
            ),
            account=next(iter(places.values())).ami.account,
            emulated=facts.emulated is True,
            amis={region: place.ami.ami for region, place in places.items()},
            evidence=_evidence(facts),
            at="",
            after="",
        )


def decide(
    ws: Workspace, trunk: Trunk, channel: Channel, access: Access, *, at: datetime
) -> Decided:
    """Judge a digest that the branch gives to a channel: its approval, then every rule.

    Raises PromotionError (`merged`) when no pull request brought it, GitHubError.
    """
    pull: PullRequest = merged_request(trunk, channel)
    request = read_request(trunk.repo, pull)
    merge = read_merge(trunk, pull, channel)
    trust = with_local(ws, trunk.trust())
    facts = gather(ws.store, trust, channel, access, at=at, expedited=request.expedited)
    return Decided(
        trunk=trunk,
        request=request,
        merge=merge,
        trust=trust,
        access=access,
        facts=facts,
        verdicts=(
            approvals.judge_merge(request, merge, path=channel.path, digest=channel.digest),
            approvals.judge_authors(request),
            approvals.judge_approval(request, approvals_needed(channel, request)),
            approvals.judge_objections(request),
            *judge(facts),
        ),
    )


def approvals_needed(channel: Channel, request: Request) -> int:
    """How many people have to approve; haste without terms for it is refused by another rule."""
    expedite = channel.policy.expedite
    if request.expedited and expedite is not None:
        return expedite.approvals
    return channel.policy.approvals


def tell(name: str, rows: tuple[Change, ...]) -> None:
    """The difference, before anything is changed."""
    if not rows:
        progress.note(f"{name}: everything is so already")
        return
    shown = Table(title=f"{name}: what is changed", title_justify="left")
    for column in ("region", "what", "on", "from", "to"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(row.region, row.kind, row.target, row.before, row.after)
    progress.result(shown, beside=True)


def _evidence(facts: Facts) -> tuple[str, ...]:
    """The statements that were relied on."""
    if not isinstance(facts.chain, Chain):
        return ()
    return tuple(row.document for row in facts.chain.rows if row.good and row.link in LINKS)


def _amis_of(facts: Facts, digest: str) -> Mapping[str, str]:
    """The AMIs with which the channel had a digest in force last."""
    if not isinstance(facts.past, tuple):
        return {}
    return next((row.amis for row in reversed(facts.past) if row.digest == digest), {})


def _stand_in(order: Order) -> bool:
    return order.wanted[0].ami.stand_in
