"""Owns the record of promotions: which digest a channel had in force, by whose approval.

    documents/statement/<64 hex>.json   one promotion: an envelope, signed in the role `promote`
    ledger/statement.json               it is among what is said of the image, see statements.shelf
    ledger/promotion.json               the promotions of each channel, by ``<image>/<channel>``

Each names the record before it, so that one taken out of the middle, or put in, is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from goldpress.digest import digest_of, short
from goldpress.errors import DocumentError, TrustError
from goldpress.manifest import parse_manifest
from goldpress.statements import shelf
from goldpress.statements.envelope import opened, parse_envelope, sign
from goldpress.statements.signing import Signer
from goldpress.statements.statement import PROMOTION, Statement, parse_payload
from goldpress.statements.trust import Trust
from goldpress.store import Store

KIND = "promotion"
VERSION = 1
#: What is not said, but found out by reading.
_READ = frozenset({"by", "since"})
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Who approved it: commits and the tree of the merge are git's ids.

    `expedited` is the reason for haste, empty without.
    """

    repository: str
    pull: int
    head: str
    merge: str
    tree: str
    approvers: tuple[str, ...]
    merged_by: str
    expedited: str


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The channel `channel` of the image `image` has `digest` in force; signed `at` (UTC).

    `previous` is the digest before, `after` the record before; empty for the first. `amis` are by
    region, `evidence` the digests of the statements that were relied on. Read from the store it
    has `by`, the key that signed it as trust.yaml calls it, and `since`, when it came into force.
    """

    image: str
    channel: str
    digest: str
    previous: str
    approval: Approval
    account: str
    emulated: bool
    amis: Mapping[str, str]
    evidence: tuple[str, ...]
    at: str
    after: str
    by: str = ""
    since: str = ""

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it was made available."""
        return tuple(sorted(self.amis))

    @property
    def moment(self) -> datetime:
        """When it came into force."""
        return moment_of(self.since or self.at)

    @property
    def signed(self) -> datetime:
        """When it was signed; the one before was not in force for sure any more."""
        return moment_of(self.at)

    def predicate(self) -> dict[str, Any]:
        """What is signed about the image."""
        value = {name: found for name, found in asdict(self).items() if name not in _READ}
        value["amis"] = dict(self.amis)
        value["evidence"] = list(self.evidence)
        value["approval"]["approvers"] = list(self.approval.approvers)
        return {"promotion_version": VERSION, **value}


def series(image: str, channel: str) -> str:
    """The ledger's name of a channel's promotions."""
    return f"{image}/{channel}"


def history(store: Store, trust: Trust, image: str, channel: str) -> tuple[Promotion, ...]:
    """Every promotion of a channel, oldest first.

    Raises TrustError for one that no trusted key signed, or that is in the wrong place;
    DocumentError, MissingError.
    """
    found: list[Promotion] = []
    before = ""
    for entry in store.history(KIND, series(image, channel)):
        read = _read(store, trust, entry.digest)
        # It was signed before it came into force; whoever died in between went on much later.
        promotion = replace(read, since=max(read.at, entry.at))
        if (promotion.image, promotion.channel, promotion.after) != (image, channel, before):
            raise TrustError(
                f"promotion {short(entry.digest)} of {series(promotion.image, promotion.channel)} "
                f"follows {short(promotion.after) or 'none'}: it is not the one after "
                f"{short(before) or 'none'} of {series(image, channel)}",
                hint="someone changed ledger/promotion.json: find out who, and restore it",
            )
        found.append(promotion)
        before = entry.digest
    return tuple(found)


def current(store: Store, trust: Trust, image: str, channel: str) -> Promotion | None:
    """The promotion in force. Raises as `history`."""
    return (*history(store, trust, image, channel), None)[-2:][0]


def keep(store: Store, trust: Trust, wanted: Promotion, signer: Signer) -> Promotion:
    """Sign and write down a promotion; what is the last one already stays as it is.

    `at` and `after` are filled in. Raises ConflictError when another came in between,
    TrustError when the signer may not.
    """
    name = series(wanted.image, wanted.channel)
    past = history(store, trust, wanted.image, wanted.channel)
    if past and same(past[-1], wanted):
        return past[-1]
    entries = store.history(KIND, name)
    after = entries[-1].digest if entries else ""
    moment = datetime.now(UTC).strftime(MOMENT)
    document = _signed(store, trust, replace(wanted, at=moment, after=after), signer)
    store.append(KIND, name, document, after=after or None)
    return history(store, trust, wanted.image, wanted.channel)[-1]


def _signed(store: Store, trust: Trust, made: Promotion, signer: Signer) -> str:
    """The document of a signed promotion: of one that died before it was in force, or a new one."""
    for row in shelf.kept(store, made.digest):
        if row.data and _claims_promotion(row.data):
            found = _opened(store, trust, row.data)
            if found.after == made.after and same(found, made):
                return row.document
    statement = Statement(image=made.digest, predicate_type=PROMOTION, predicate=made.predicate())
    envelope = sign(statement, signer)
    # Read as everyone will: a signer that may not promote is told before it is in force.
    _opened(store, trust, envelope.to_json())
    return shelf.keep(store, made.digest, envelope)


def same(one: Promotion, other: Promotion) -> bool:
    """Whether two are the same promotion: the same digest and AMIs, by the same approval."""

    def plain(row: Promotion) -> Promotion:
        return replace(row, at="", after="", by="", since="", previous="", evidence=())

    return plain(one) == plain(other)


def in_force(past: tuple[Promotion, ...], digest: str, until: datetime) -> float:
    """How many hours a channel had a digest in force, by its history, all times together.

    Each from when it was recorded to when the next one was signed: the ledger's times are nobody's
    word, and later ones add nothing.
    """
    ends = [row.signed for row in past[1:]] + [until]
    spans = zip(past, ends, strict=False)
    seconds = [(end - row.moment).total_seconds() for row, end in spans if row.digest == digest]
    return sum(max(0.0, row) for row in seconds) / 3600


def moment_of(text: str) -> datetime:
    """The moment that a record tells. Raises DocumentError."""
    try:
        return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise DocumentError(f"{text!r:.40} is not a time in UTC") from None


def parse_promotion(value: Mapping[str, Any], *, by: str) -> Promotion:
    """A promotion from what was signed. Raises DocumentError for anything else."""
    rest = dict(value)
    if rest.pop("promotion_version", None) != VERSION:
        raise DocumentError("promotion: its promotion_version is not one that I know")
    try:
        approval = dict(rest.pop("approval"))
        approval["approvers"] = tuple(approval["approvers"])
        made = Promotion(
            **{**rest, "amis": dict(rest["amis"]), "evidence": tuple(rest["evidence"])},
            approval=Approval(**approval),
            by=by,
        )
    except (TypeError, KeyError, ValueError) as error:
        raise DocumentError(f"promotion: {error!r:.200}") from None
    # Of another type, or in another form, it would not come out as it went in.
    if digest_of(made.predicate()) != digest_of(dict(value)) or not _typed(made):
        raise DocumentError("promotion: not in the form that I know")
    _ = made.moment
    return made


def _typed(made: Promotion) -> bool:
    words = [
        made.image, made.channel, made.digest, made.previous, made.account, made.at, made.after,
        made.approval.repository, made.approval.head, made.approval.merge, made.approval.tree,
        made.approval.merged_by, made.approval.expedited, *made.approval.approvers, *made.evidence,
        *made.amis, *made.amis.values(),
    ]  # fmt: skip
    return (
        all(isinstance(word, str) for word in words)
        and type(made.approval.pull) is int
        and type(made.emulated) is bool
    )


def _read(store: Store, trust: Trust, document: str) -> Promotion:
    return _opened(store, trust, store.document(shelf.KIND, document))


def _opened(store: Store, trust: Trust, data: bytes) -> Promotion:
    image = parse_payload(parse_envelope(data).payload).image
    manifest = parse_manifest(store.get_document("manifest", image))
    found = opened(data, trust, "promote", image=image, stand_in=manifest.stand_in)
    made = parse_promotion(found.predicate, by=found.by)
    if made.digest != image:
        raise TrustError(f"a promotion of {made.digest} is signed as one of {image}")
    return made


def _claims_promotion(data: bytes) -> bool:
    try:
        return parse_payload(parse_envelope(data).payload).predicate_type == PROMOTION
    except DocumentError:
        return False
