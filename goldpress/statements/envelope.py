"""Owns the envelope: a statement and the one signature on it (DSSE), sealed and opened.

    documents/statement/<64 hex>.json   {"payload": base64, "payloadType": ..., "signatures": [...]}

Only `opened` turns bytes into a statement to be believed.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from securesystemslib import dsse
from securesystemslib.exceptions import Error as SignatureFailure
from securesystemslib.signer import Signature

from goldpress.digest import canonical_json, short
from goldpress.errors import DocumentError, TrustError
from goldpress.statements.signing import Signer
from goldpress.statements.statement import (
    Role,
    Statement,
    parse_payload,
    strictly,
)
from goldpress.statements.trust import Trust

PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: A statement with the packages of a large image has 0.5 MB.
MAX_BYTES = 32 << 20
WRONG = "do not use the image: find out who wrote it; what is missing is made and signed anew"


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A signed statement as it is kept; whether to believe it is another question."""

    payload: bytes
    keyid: str
    signature: bytes

    def to_document(self) -> dict[str, Any]:
        """The JSON value that is stored."""
        signed = {"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [signed],
        }

    def to_json(self) -> bytes:
        """Its bytes in the store."""
        return canonical_json(self.to_document())

    def sealed(self) -> dsse.Envelope:
        """As securesystemslib knows it."""
        signature = Signature(self.keyid, self.signature.hex())
        return dsse.Envelope(self.payload, PAYLOAD_TYPE, {self.keyid: signature})


def sign(statement: Statement, signer: Signer) -> Envelope:
    """The statement, signed.

    Raises TrustError when the signer's key may not say this, or its signature is not one; whatever
    the signer's own place raises (CloudError for a key of KMS).
    """
    signer.key.refuse_other(statement.role)
    sealed = dsse.Envelope(statement.payload(), PAYLOAD_TYPE, {})
    signature = signer.sign(sealed)
    made = Envelope(
        payload=sealed.payload, keyid=signer.key.keyid, signature=bytes.fromhex(signature.signature)
    )
    try:
        made.sealed().verify([signer.key.public], 1)
    except SignatureFailure:
        raise TrustError(
            f"the signer of {signer.key.name} made a signature that its own key does not match",
            hint="its `signer:` in trust.yaml leads to another key: correct one of the two",
        ) from None
    return made


def parse_envelope(data: bytes) -> Envelope:
    """The envelope with these bytes. Raises DocumentError for anything but its one form."""
    if len(data) > MAX_BYTES:
        raise DocumentError(f"envelope: {len(data)} bytes; one has at most {MAX_BYTES}")
    value = strictly(data, what="envelope")
    match value:
        case {
            "payload": str(payload),
            "payloadType": str(type_),
            "signatures": [{"keyid": str(keyid), "sig": str(sig), **more}],
            **others,
        } if not more and not others:
            if type_ != PAYLOAD_TYPE:
                raise DocumentError(f"envelope: payloadType: {type_!r:.80} is not {PAYLOAD_TYPE}")
            made = Envelope(
                payload=_decoded(payload, "payload"), keyid=keyid, signature=_decoded(sig, "sig")
            )
        case _:
            raise DocumentError("envelope: expected payload, payloadType and one signature")
    if made.to_json() != data:
        raise DocumentError("envelope: not in its canonical form: its bytes were changed")
    return made


def opened(data: bytes, trust: Trust, role: Role, *, image: str, stand_in: bool) -> Statement:
    """What a trusted key says of `image` in `role`; `stand_in` is what the manifest says.

    Raises TrustError that names what is wrong: the form, the signature, a key that is not trusted,
    or not for this; a statement of another kind, or about another image.
    """
    try:
        envelope = parse_envelope(data)
    except DocumentError as error:
        raise TrustError(f"{role} statement of {short(image)}: {error.message}", hint=WRONG) from (
            error
        )
    name = f"{role} statement of {short(image)}"
    key = trust.key(envelope.keyid, role, stand_in=stand_in, what=name)
    try:
        envelope.sealed().verify([key.public], 1)
    except SignatureFailure:
        raise TrustError(
            f"{name}: the signature is not {key.name}'s on these bytes", hint=WRONG
        ) from None
    try:
        statement = parse_payload(envelope.payload, by=key.name)
    except DocumentError as error:
        raise TrustError(f"{name}, signed by {key.name}: {error.message}", hint=WRONG) from error
    if statement.image != image:
        raise TrustError(f"{name}: it is about another image, {statement.image}", hint=WRONG)
    if statement.role != role:
        raise TrustError(
            f"{name}: {key.name} signed something of the role {statement.role}", hint=WRONG
        )
    return statement


def claimed(data: bytes) -> Statement:
    """What bytes claim to say, to choose how to open them, and never to act upon: no proof.

    Raises DocumentError for what is no envelope around a statement.
    """
    return parse_payload(parse_envelope(data).payload)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DocumentError(f"envelope: {where}: not base64") from None
