"""Owns gathering: an image as the store's signed statements tell of it, and its lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from goldpress.aws.ebs import BLOCK_BYTES
from goldpress.digest import short
from goldpress.errors import DocumentError, MissingError, PromotionError
from goldpress.lock import KIND, Lock, parse_lock
from goldpress.promotion.side import Side, components_of, verified_of
from goldpress.statements.chain import Chain, chain
from goldpress.statements.trust import Trust
from goldpress.store import Store

RULE = "evidence"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """An image: its chain of statements, and what a proposal tells of it."""

    chain: Chain
    side: Side


def gather(store: Store, trust: Trust, digest: str) -> Gathered:
    """What is known of an image digest. Raises MissingError without a manifest that fits."""
    found = chain(store, digest, trust)
    manifest = found.manifest
    if manifest is None:
        raise MissingError(
            f"{digest}: {found.link('manifest').why}",
            hint="is GOLDPRESS_STORE the store that it was pressed with?",
        )
    newest = {row.evidence.machine.kind: row for row in (*found.verifications, *found.trials)}
    bill, published = found.bill, found.publications
    side = Side(
        digest=digest,
        name=manifest.name,
        distribution=manifest.distribution,
        stand_in=manifest.stand_in,
        disk_bytes=manifest.disk_bytes,
        data_bytes=published[-1].blocks * BLOCK_BYTES if published else None,
        verified=tuple(verified_of(row.evidence) for row in newest.values()),
        components=components_of(bill) if bill else frozenset(),
        proofs=tuple(f"{link.name}: {link.why}" for link in found.links[1:] if link.ok),
    )
    return Gathered(chain=found, side=side)


def refuse_unproven(found: Chain, required: Iterable[str]) -> None:
    """Raises PromotionError (`evidence`) when a link that a channel requires is not proven."""
    missing = found.missing(required)
    if missing:
        told = "; ".join(f"{link.name}: {link.why}" for link in missing)
        raise PromotionError(RULE, f"{short(found.image)} is not proven: {told}")


def lock_of(store: Store, found: Chain) -> Lock:
    """The lock that an image was pressed from, as its provenance names it.

    Raises MissingError when no provenance is believed, or the store lacks the lock; DocumentError
    for a lock of another form.
    """
    if not found.provenances:
        raise MissingError(f"{short(found.image)}: {found.link('provenance').why}")
    digest = found.provenances[-1].lock
    lock = parse_lock(store.get_document(KIND, digest))
    if lock.digest != digest:
        raise DocumentError(f"lock {digest}: it has more or other parts than goldpress writes")
    return lock
