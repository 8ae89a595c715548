"""Owns where statements are kept: one document an envelope, in the ledger under the image's digest.

    documents/statement/<64 hex>.json   an envelope
    ledger/statement.json               the envelopes of each image digest, in their order

Nothing here believes anything: whoever can write to the store can put anything on the shelf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from goldpress.errors import DocumentError, GoldpressError, MissingError, TrustError
from goldpress.statements.envelope import Envelope, opened, sign
from goldpress.statements.signing import Signer
from goldpress.statements.statement import Statement
from goldpress.statements.trust import Trust
from goldpress.store import Store

KIND = "statement"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An envelope on the shelf: its document's digest, since when, and its bytes.

    `fault` tells why there are none: the store lost or changed them.
    """

    document: str
    at: str
    data: bytes = b""
    fault: str = ""


def keep(store: Store, image: str, envelope: Envelope) -> str:
    """Put an envelope on the image's shelf, once; returns its document's digest."""
    document = store.put_document(KIND, envelope.to_document())
    store.enter(KIND, image, document)
    return document


def kept(store: Store, image: str) -> Iterator[Kept]:
    """Every envelope on an image's shelf, oldest first."""
    for row in store.history(KIND, image):
        try:
            data = store.document(KIND, row.digest)
        except (MissingError, DocumentError, TrustError, ValueError) as error:
            fault = error.message if isinstance(error, GoldpressError) else str(error)
            yield Kept(document=row.digest, at=row.at, fault=fault)
        else:
            yield Kept(document=row.digest, at=row.at, data=data)


def say(store: Store, statement: Statement, signer: Signer, trust: Trust) -> str:
    """Sign a statement and keep it; returns its document's digest.

    One that says the very same, by a key that is trusted, is found instead: a key of KMS signs the
    same bytes differently each time. Raises TrustError for a signature that nobody will believe.
    """
    stand_in = signer.key.stand_in
    payload = statement.payload()
    for row in kept(store, statement.image):
        try:
            found = opened(
                row.data, trust, statement.role, image=statement.image, stand_in=stand_in
            )
        except TrustError:
            continue
        if found.payload() == payload:
            return row.document
    envelope = sign(statement, signer)
    opened(envelope.to_json(), trust, statement.role, image=statement.image, stand_in=stand_in)
    return keep(store, statement.image, envelope)
