"""Owns judged statements: whether one is believed, and whether what it says fits the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress import ami as amis
from goldpress.digest import digest_of, short
from goldpress.errors import DocumentError, GoldpressError, MissingError, TrustError
from goldpress.lock import KIND as LOCK
from goldpress.lock import parse_lock
from goldpress.manifest import ImageManifest
from goldpress.publish.blocks import read_index
from goldpress.statements import provenance, publication, sbom, verification
from goldpress.statements.envelope import claimed, opened
from goldpress.statements.provenance import Provenance
from goldpress.statements.publication import Publication
from goldpress.statements.sbom import Bill
from goldpress.statements.shelf import Kept
from goldpress.statements.statement import (
    PROMOTION,
    PROVENANCE,
    PUBLICATION,
    SBOM,
    VERIFICATION,
    Statement,
)
from goldpress.statements.trust import Trust
from goldpress.statements.verification import EMULATED, Verification
from goldpress.store import Store
from goldpress.verify.evidence import EVIDENCE_KIND

PROMISES = "promises"
#: What reading a document raises that is not there, was changed, or was never one.
UNUSABLE = (MissingError, DocumentError, TrustError, ValueError)

Value = Provenance | Bill | Verification | Publication | Statement | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One statement: `link` is what it is for, as it claims; `by` is empty when it is not believed.

    `why` tells why it is not believed, or what in it contradicts the image.
    """

    document: str
    at: str
    link: str
    by: str = ""
    why: str = ""
    value: Value = None

    @property
    def believed(self) -> bool:
        """Whether a trusted key signed it."""
        return bool(self.by)

    @property
    def good(self) -> bool:
        """Whether it is believed, and proves its link."""
        return self.believed and not self.why


def unread(row: Kept, why: str) -> Row:
    """A statement that is not believed, and why."""
    try:
        link = _link_of(claimed(row.data))
    except DocumentError:
        link = "unknown"
    return Row(document=row.document, at=row.at, link=link, why=row.fault or why)


def judge(store: Store, row: Kept, manifest: ImageManifest, trust: Trust) -> Row:
    """A statement, held against the manifest of the image that it has to be about.

    Raises CloudError or OSError when the store cannot be read.
    """
    if row.fault:
        return unread(row, row.fault)
    try:
        role = claimed(row.data).role
        said = opened(row.data, trust, role, image=manifest.digest, stand_in=manifest.stand_in)
    except (DocumentError, TrustError) as error:
        return unread(row, error.message)
    believed = Row(document=row.document, at=row.at, link=_link_of(said), by=said.by, value=said)
    by_type = _JUDGES.get(said.predicate_type)
    return by_type(store, believed, said, manifest) if by_type else believed


def _link_of(said: Statement) -> str:
    names = {
        PROVENANCE: "provenance",
        SBOM: "sbom",
        VERIFICATION: "trial" if "launched" in said.predicate else "verification",
        PUBLICATION: "publication",
        PROMOTION: "promotion",
    }
    return names.get(said.predicate_type, "unknown")


def _with(row: Row, value: Value, faults: Iterable[str]) -> Row:
    return dataclasses.replace(row, value=value, why="; ".join(faults))


def _provenance(store: Store, row: Row, said: Statement, manifest: ImageManifest) -> Row:
    try:
        found = provenance.parse_provenance(said.predicate)
        lock = parse_lock(_mapping(store, LOCK, found.lock))
    except UNUSABLE as error:
        return _with(row, None, [_message(error)])
    return _with(row, found, provenance.faults(found, lock, manifest))


def _bill(_store: Store, row: Row, said: Statement, manifest: ImageManifest) -> Row:
    try:
        found = sbom.parse_bill(said.predicate)
    except DocumentError as error:
        return _with(row, None, [error.message])
    return _with(row, found, sbom.faults(found, manifest))


def _verification(store: Store, row: Row, said: Statement, manifest: ImageManifest) -> Row:
    try:
        found = verification.parse_verification(said.predicate)
        promises = _mapping(store, PROMISES, found.evidence.input_digest)
        document = digest_of(found.evidence.to_document())
        store.document(EVIDENCE_KIND, document)
        faults = list(verification.faults(found, manifest, promises))
    except UNUSABLE as error:
        return _with(row, None, [_message(error)])
    return _with(row, found, faults)


def _publication(store: Store, row: Row, said: Statement, manifest: ImageManifest) -> Row:
    try:
        found = publication.parse_publication(said.predicate)
        store.document(amis.KIND, digest_of(found.ami.to_document()))
        faults = list(publication.faults(found, manifest))
        if read_index(store, found.ami.blocks).root != manifest.block_root:
            faults.append("its block index has another root than the manifest")
    except UNUSABLE as error:
        return _with(row, None, [_message(error)])
    return _with(row, found, faults)


_JUDGES: Mapping[str, Callable[[Store, Row, Statement, ImageManifest], Row]] = {
    PROVENANCE: _provenance,
    SBOM: _bill,
    VERIFICATION: _verification,
    PUBLICATION: _publication,
}


def tried(rows: Iterable[Row]) -> list[Row]:
    """The rows, each trial held against the others.

    It is of an AMI that was published, and rests on a verification that is good itself.
    """
    judged = list(rows)
    published = {
        (row.value.ami.account, row.value.ami.region, row.value.ami.ami): row.value.ami.emulated
        for row in judged
        if row.good and isinstance(row.value, Publication)
    }
    grounds = {
        digest_of(row.value.evidence.to_document())
        for row in judged
        if row.good and isinstance(row.value, Verification) and row.value.launched is None
    }
    for index, row in enumerate(judged):
        if not (row.good and isinstance(row.value, Verification) and row.value.launched):
            continue
        found = row.value.launched
        emulated = published.get((found.account, found.region, found.ami))
        if emulated is None:
            why = f"no good statement of publication is about {found.ami}"
            judged[index] = _with(row, row.value, [why])
        elif emulated != (row.value.evidence.machine.kind == EMULATED):
            why = f"{found.ami} was published to another cloud than it was tried in"
            judged[index] = _with(row, row.value, [why])
        elif row.value.evidence.rests_on not in grounds:
            ground = short(row.value.evidence.rests_on)
            why = f"it rests on {ground}, of which no good statement of verification is"
            judged[index] = _with(row, row.value, [why])
    return judged


def _mapping(store: Store, kind: str, digest: str) -> Mapping[str, Any]:
    try:
        value: Any = store.get_document(kind, digest)
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise DocumentError(f"{kind} {digest}: expected a mapping")
    return value


def _message(error: Exception) -> str:
    return error.message if isinstance(error, GoldpressError) else str(error)
