"""Owns carrying a promotion out: every change in a journal, in an order that can end anywhere.

    1. the image becomes available in every region    nobody is led to it yet
    2. the promotion is signed and recorded           from now on it is in force
    3. consumers' pointers move                       with fleets, the roll moves them

What is so is looked at each time; the journal tells what was meant, and that it did not end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from goldpress import progress
from goldpress.aws.client import Access
from goldpress.digest import short
from goldpress.holds import refuse_held
from goldpress.promotion.available import Change, Wanted, changes, look, make
from goldpress.promotion.lease import Lease
from goldpress.promotion.record import Promotion, keep
from goldpress.statements.signing import Signer
from goldpress.statements.trust import Trust
from goldpress.store import Store
from goldpress.store.journal import Journal

PREFIX = "journals/promote/"
LEASES = "leases/promote/"
POINTER = "pointer"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be so: a promotion that every rule allows, and what that means in each region."""

    store: Store
    trust: Trust
    access: Access
    promotion: Promotion
    wanted: tuple[Wanted, ...]

    @property
    def name(self) -> str:
        """The channel, for people."""
        return f"{self.promotion.image}/{self.promotion.channel}"

    def difference(self) -> tuple[tuple[Wanted, Change], ...]:
        """What has to be changed, region by region. Raises CloudError."""
        return tuple(
            (wanted, change)
            for wanted in self.wanted
            for change in changes(wanted, look(self.access, wanted))
        )


def journal_key(image: str, channel: str) -> str:
    """The key of a channel's journal."""
    return f"{PREFIX}{image}/{channel}.json"


def lease_key(image: str, channel: str) -> str:
    """The key of a channel's lease."""
    return f"{LEASES}{image}/{channel}.json"


def carry_out(order: Order, lease: Lease, signer: Callable[[], Signer]) -> Promotion:
    """Make it so; returns the promotion that is recorded then.

    Raises CloudError, ConflictError, TrustError, or PromotionError (`not-held`, `written`); run
    again it goes on from there.
    """
    found = order.difference()
    journal = _begun(order, lease)
    _make(order, lease, journal, (row for row in found if row[1].kind != POINTER))
    lease.renew()
    # A hold is in force at once: since the rules were judged, and between the next two steps.
    refuse_held(order.store, order.trust, order.promotion.digest)
    promotion = keep(order.store, order.trust, order.promotion, signer())
    journal.write(state="recorded", doing=None)
    refuse_held(order.store, order.trust, promotion.digest)
    _make(order, lease, journal, (row for row in found if row[1].kind == POINTER))
    journal.write(state="done", doing=None)
    return promotion


def _begun(order: Order, lease: Lease) -> Journal:
    wanted = order.promotion
    journal = Journal.read(order.store.objects, journal_key(wanted.image, wanted.channel))
    before = journal.values
    if before.get("state", "done") != "done":
        same = before.get("digest") == wanted.digest
        told = "going on with it" if same else f"{short(wanted.digest)} comes in its place"
        progress.note(
            f"the promotion of {short(str(before.get('digest')))} to {order.name} did not end: "
            f"{told}"
        )
    journal.write(
        state="begun",
        digest=wanted.digest,
        previous=wanted.previous or None,
        merge=wanted.approval.merge,
        fence=lease.fence,
        doing=None,
        account=wanted.account,
        emulated=wanted.emulated,
    )
    return journal


def _make(
    order: Order, lease: Lease, journal: Journal, rows: Iterable[tuple[Wanted, Change]]
) -> None:
    for wanted, change in rows:
        lease.renew()
        journal.write(doing=change.document())
        title = f"{change.kind} in {change.region}"
        with progress.step(title, f"{change.target}: {change.before} -> {change.after}"):
            make(order.access, wanted, change)
