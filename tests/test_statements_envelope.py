"""Envelopes: opened only as they were sealed, by whom they were sealed, for what he may say."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from securesystemslib import dsse
from securesystemslib.signer import CryptoSigner
from signed import signer, trust

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError, TrustError
from goldpress.statements.envelope import (
    MAX_BYTES,
    Envelope,
    claimed,
    opened,
    parse_envelope,
    sign,
)
from goldpress.statements.signing import Signer
from goldpress.statements.statement import HOLD, PROVENANCE, Role, Statement
from goldpress.statements.trust import Trust

IMAGE, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SAID = Statement(image=IMAGE, predicate_type=HOLD, predicate={"why": "bad"})
KEY = signer("alice", stand_in=False)
SEALED = sign(SAID, KEY)


def open_(
    data: bytes = SEALED.to_json(),
    by: Trust | None = None,
    role: Role = "hold",
    *,
    image: str = IMAGE,
    stand_in: bool = False,
) -> Statement:
    return opened(data, by or trust(KEY), role, image=image, stand_in=stand_in)


def altered(**changes: Any) -> bytes:
    return canonical_json({**SEALED.to_document(), **changes})


def resigned(payload: bytes, by: Signer = KEY, payload_type: str = "") -> bytes:
    """Any bytes, validly signed."""
    sealed = dsse.Envelope(payload, payload_type or "application/vnd.in-toto+json", {})
    signature = bytes.fromhex(by.sign(sealed).signature)
    made = Envelope(payload=payload, keyid=by.key.keyid, signature=signature).to_document()
    return canonical_json({**made, **({"payloadType": payload_type} if payload_type else {})})


def test_it_opens_as_it_was_sealed() -> None:
    assert open_() == replace(SAID, by="alice")
    assert claimed(SEALED.to_json()) == SAID
    assert parse_envelope(SEALED.to_json()) == SEALED


@pytest.mark.parametrize(
    "made",
    [
        CryptoSigner.generate_ed25519(),
        CryptoSigner.generate_ecdsa(),
        CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp384"),
        CryptoSigner.generate_rsa(),
    ],
    ids=lambda made: str(made.public_key.scheme),
)
def test_other_tools_read_it(made: CryptoSigner) -> None:
    """DSSE as securesystemslib has it, for each kind of key: nothing of it is our own."""
    key = Signer(key=replace(KEY.key, public=made.public_key), signs=made)
    sealed = sign(SAID, key)
    read = dsse.Envelope.from_dict(json.loads(sealed.to_json()))
    assert read.verify([made.public_key], 1) == {made.public_key.keyid: made.public_key}
    assert json.loads(read.payload)["predicate"] == {"why": "bad"}
    assert open_(sealed.to_json(), trust(key)).by == "alice"


def test_a_key_that_is_not_trusted_is_refused() -> None:
    with pytest.raises(TrustError) as caught:
        open_(by=trust(signer("bob")))
    assert caught.value.message == (
        f"hold statement of aaaaaaaaaaaa: signed by the key {KEY.key.keyid[:12]!r}, "
        "which is not trusted"
    )
    assert caught.value.hint.startswith("trust.yaml names the keys that are")


def test_a_trusted_key_id_on_another_signature_is_refused() -> None:
    forged = sign(SAID, signer("mallory", stand_in=False))
    data = replace(forged, keyid=KEY.key.keyid).to_json()
    with pytest.raises(TrustError, match="the signature is not alice's on these bytes"):
        open_(data)


def test_a_key_signs_for_its_class_only() -> None:
    with pytest.raises(TrustError, match="alice vouches for images of real distributions, never"):
        open_(stand_in=True)


def test_a_key_signs_for_its_roles_only() -> None:
    limited = Trust(keys=(replace(KEY.key, roles=("build", "verify")),))
    with pytest.raises(TrustError, match="alice may not sign hold statements, only build, verify"):
        open_(by=limited)
    with pytest.raises(TrustError, match="alice may not sign hold statements, only build"):
        sign(SAID, replace(KEY, key=replace(KEY.key, roles=("build",))))


def test_a_statement_of_another_role_is_refused() -> None:
    """A key that may both build and hold does not build by holding."""
    data = sign(replace(SAID, predicate_type=PROVENANCE), KEY).to_json()
    with pytest.raises(TrustError, match="alice signed something of the role build"):
        open_(data)


def test_a_statement_about_another_image_is_refused() -> None:
    with pytest.raises(TrustError, match=f"it is about another image, {IMAGE}"):
        open_(image=OTHER)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"{}", "signed by alice: statement: expected"),
        (SAID.payload() + b" ", "signed by alice: statement: not in its canonical form"),
        (b"\x00\xff", "signed by alice: statement: not JSON"),
    ],
)
def test_what_is_signed_and_no_statement_is_refused(payload: bytes, why: str) -> None:
    with pytest.raises(TrustError) as caught:
        open_(resigned(payload))
    assert why in caught.value.message


def test_another_payload_type_is_refused_even_if_signed() -> None:
    with pytest.raises(TrustError, match=r"payloadType: 'text/plain' is not application/vnd\.in"):
        open_(resigned(SAID.payload(), payload_type="text/plain"))


SIGNATURE = SEALED.to_document()["signatures"][0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "envelope: not JSON: Expecting value"),
        (b"null", "envelope: expected a mapping"),
        (b"{}", "envelope: expected payload, payloadType and one signature"),
        (SEALED.to_json() + b"\n", "envelope: not in its canonical form"),
        (json.dumps(SEALED.to_document()).encode(), "envelope: not in its canonical form"),
        (altered(extra=1), "envelope: expected payload, payloadType and one signature"),
        (altered(signatures=[]), "envelope: expected payload, payloadType and one signature"),
        (altered(signatures=[SIGNATURE] * 2), "envelope: expected payload, payloadType and one"),
        (altered(signatures=[{**SIGNATURE, "x": 1}]), "envelope: expected payload"),
        (altered(signatures=[{**SIGNATURE, "sig": "*"}]), "envelope: sig: not base64"),
        (altered(signatures=[{**SIGNATURE, "sig": "é"}]), "envelope: sig: not base64"),
        (altered(payload="="), "envelope: payload: not base64"),
        (altered(payload=1), "envelope: expected payload"),
        # Of several forms in base64, one is accepted.
        (
            altered(payload=base64.urlsafe_b64encode(b"\xfb\xff").decode()),
            "envelope: payload: not base64",
        ),
        (altered(payload="QQ==" + "QQ=="), "envelope: payload: not base64"),
        (altered(payload="QR=="), "envelope: not in its canonical form"),
        (b" " * (MAX_BYTES + 1), f"envelope: {MAX_BYTES + 1} bytes; one has at most {MAX_BYTES}"),
    ],
)
def test_any_other_form_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_envelope(data)
    assert caught.value.message.startswith(why)
    with pytest.raises(TrustError, match="hold statement of aaaaaaaaaaaa: envelope: "):
        open_(data)


def test_a_signer_with_another_key_is_found_out_at_once() -> None:
    wrong = replace(KEY, signs=CryptoSigner(KEY.signs._private_key))  # type: ignore[attr-defined]  # noqa: SLF001 - the same
    assert sign(SAID, wrong) == SEALED
    other = replace(KEY, signs=signer("mallory").signs)
    with pytest.raises(TrustError, match="the signer of alice made a signature that its own key"):
        sign(SAID, other)
