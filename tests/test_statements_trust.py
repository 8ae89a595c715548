"""trust.yaml: read strictly; a key that was changed in any way is not that key any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner
from signed import signer, trust

from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.statements.signing import entry
from goldpress.statements.trust import (
    EVERY_ROLE,
    Trust,
    load_trust,
    local_key,
    parse_public,
    parse_trust,
    told,
)

PROJECT = Path(__file__).resolve().parents[1]
KEY, OTHER = CryptoSigner.generate_ed25519().public_key, CryptoSigner.generate_ecdsa().public_key
TEXT = (
    "keys:\n"
    + entry("build-2026", KEY, ("build", "verify", "publish"))
    + entry("people", OTHER, ("promote", "hold"))
    + "    signer: awskms:arn:aws:kms:eu-west-1:111122223333:key/1\n"
    + entry("rehearsal", CryptoSigner.generate_ed25519().public_key, EVERY_ROLE, stand_in=True)
)


def parsed(text: str) -> Trust:
    return parse_trust(text.encode())


def test_it_names_keys_and_what_they_may_sign() -> None:
    found = parsed(TEXT)
    assert [key.name for key in found] == ["build-2026", "people", "rehearsal"]
    build, people, rehearsal = found.keys
    assert (build.public, build.roles) == (KEY, ("build", "verify", "publish"))
    assert (build.stand_in, build.signer) == (False, "")
    assert people.signer == "awskms:arn:aws:kms:eu-west-1:111122223333:key/1"
    assert (rehearsal.stand_in, rehearsal.roles) == (True, EVERY_ROLE)
    assert found.find(KEY.keyid) is build
    assert found.named("people") is people
    assert told(people).endswith(": promote, hold, images of real distributions")


def test_the_projects_own_file_names_nobody_yet() -> None:
    assert load_trust(PROJECT) == Trust()


def test_it_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"trust\.yaml: there is no such file"):
        load_trust(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f"keyid: {KEY.keyid}", f"keyid: {'0' * 64}", "keyid: the public key's id is"),
        (f"keyid: {KEY.keyid}", "keyid: a12", "keyid: 'a12' is not a keyid: 64 hex digits"),
        ("may: [build,", "may: [dance,", "keys.build-2026.may[0]: expected 'build', 'verify'"),
        ("may: [build, verify,", "may: [verify, verify,", "may: a role is listed twice"),
        ("may: [promote, hold]", "may: []", "people.may: expected"),
        ("stand_in: true", "stand_in: yes", "rehearsal.stand_in: expected a valid boolean"),
        ("stand_in: true", "standin: true", "keys.rehearsal.standin: unknown key"),
        ("signer: awskms:", "signer: kms ", "is not the URI of a signer"),
        ("  people:", "  People:", "'People' is not the name of a key"),
        ("  people:", "  (this machine):", "'(this machine)' is not the name of a key"),
        ("  people:", "  build-2026:", "the key `build-2026` is there twice"),
        ("-----BEGIN PUBLIC", "-----BEGIN PRIVATE", "public: not a public key in PEM"),
        ("keys:\n", "keys: {}\nmore:\n", "more: unknown key"),
        ("keys:\n", "- keys:\n", "expected"),
    ],
    ids=range(14),  # the keys are new each time, the tests' names are not
)
def test_anything_else_is_refused(old: str, new: str, why: str) -> None:
    assert old in TEXT
    with pytest.raises(DocumentError) as caught:
        parsed(TEXT.replace(old, new, 1))
    assert why in str(caught.value)
    assert str(caught.value).startswith("trust.yaml: ")


def test_a_key_has_one_name() -> None:
    with pytest.raises(DocumentError, match=r"keys\.second: this key is there already"):
        parsed(TEXT + entry("second", KEY, ("hold",)))


def test_one_key_is_not_put_in_place_of_another() -> None:
    """Who changes the public key and forgets the id, or the other way round, is told."""
    lines = TEXT.splitlines(keepends=True)
    mine = next(n for n, line in enumerate(lines) if "BEGIN" in line) + 1
    other = CryptoSigner.generate_ed25519().public_key
    theirs = entry("x", other, ("hold",)).splitlines(keepends=True)[4]
    with pytest.raises(DocumentError, match="one of the two was changed"):
        parsed("".join([*lines[:mine], theirs, *lines[mine + 1 :]]))


@pytest.mark.parametrize("scheme", ["ecdsa-sha2-nistp521", "ml-dsa-65/1"])
def test_kinds_of_keys_that_are_not_used_are_refused(scheme: str) -> None:
    made = (
        CryptoSigner.generate_ecdsa(scheme=scheme)
        if scheme.startswith("ecdsa")
        else CryptoSigner.generate_mldsa(scheme=scheme)
    )
    with pytest.raises(DocumentError, match=f"key: {scheme} is not used here"):
        parse_public(made.public_key.keyval["public"].encode(), where="key")


def test_a_short_rsa_key_is_refused() -> None:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(DocumentError, match="rsassa-pss-sha256 is not used here"):
        parse_public(pem, where="key")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\xff" * 100,
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ed448.Ed448PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        CryptoSigner.generate_ed25519().private_bytes,
    ],
)
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^key: not a public key in PEM: "):
        parse_public(pem, where="key")


def test_an_unknown_name_is_told_those_that_are_known() -> None:
    with pytest.raises(MissingError) as caught:
        parsed(TEXT).named("builds")
    assert str(caught.value) == (
        "trust.yaml has no key 'builds'\n  it has build-2026, people, rehearsal"
    )
    with pytest.raises(MissingError, match="it has no key"):
        Trust().named("x")


def test_this_machines_key_is_for_stand_ins_alone() -> None:
    key = local_key(KEY)
    assert (key.stand_in, key.roles, key.name) == (True, EVERY_ROLE, "(this machine)")
    with_it = Trust().with_key(key)
    assert with_it.key(KEY.keyid, "promote", stand_in=True, what="x") is key
    with pytest.raises(TrustError, match=r"x: the key \(this machine\) vouches for stand-ins"):
        with_it.key(KEY.keyid, "promote", stand_in=False, what="x")


def test_a_key_in_two_places_is_refused() -> None:
    with pytest.raises(TrustError, match="one key has one place"):
        parsed(TEXT).with_key(local_key(KEY))


def test_roles_are_not_changed_by_another_key_with_the_same_name() -> None:
    one, two = signer("same", "build"), signer("same", "hold")
    both = trust(one, two)
    with pytest.raises(TrustError, match="same may not sign hold statements"):
        both.key(one.key.keyid, "hold", stand_in=True, what="x")
    assert both.key(two.key.keyid, "hold", stand_in=True, what="x") == replace(two.key)
