"""The shelf: what is said once is there once, whatever a signer does; nothing is believed by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attested import World, world
from securesystemslib.signer import CryptoSigner
from signed import signer, trust
from stores import Place

from goldpress.errors import TrustError
from goldpress.statements.envelope import parse_envelope, sign
from goldpress.statements.shelf import keep, kept, say
from goldpress.statements.signing import Signer
from goldpress.statements.statement import HOLD, PROVENANCE, SBOM, Statement
from goldpress.statements.trust import EVERY_ROLE, TrustedKey
from goldpress.store import Store

IMAGE = f"sha256:{'a' * 64}"
SAID = Statement(image=IMAGE, predicate_type=PROVENANCE, predicate={"x": 1})


@pytest.fixture
def made(tmp_path: Path) -> World:
    return world(Store(root=tmp_path))


def test_it_keeps_what_is_said_of_each_image(place: Place) -> None:
    key = signer()
    one = say(place.store(), SAID, key, trust(key))
    two = say(place.store(), Statement(image=IMAGE, predicate_type=SBOM, predicate={}), key,
              trust(key))  # fmt: skip
    found = list(kept(place.store(), IMAGE))
    assert [row.document for row in found] == [one, two]
    assert all(row.at.endswith("Z") and not row.fault for row in found)
    assert parse_envelope(found[0].data).keyid == key.key.keyid
    assert list(kept(place.store(), f"sha256:{'b' * 64}")) == []


def test_the_same_is_said_once_though_each_signature_differs(tmp_path: Path) -> None:
    """As a key of KMS signs: with a new number each time."""
    store = Store(root=tmp_path)
    made = CryptoSigner.generate_ecdsa()
    named = TrustedKey(name="k", public=made.public_key, roles=EVERY_ROLE, stand_in=False)
    key = Signer(key=named, signs=made)
    assert sign(SAID, key) != sign(SAID, key)
    one = say(store, SAID, key, trust(key))
    assert say(store, SAID, key, trust(key)) == one
    assert len(list(kept(store, IMAGE))) == 1


def test_what_only_a_stranger_said_is_said_again(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    stranger, key = signer("stranger"), signer("key")
    keep(store, IMAGE, sign(SAID, stranger))
    say(store, SAID, key, trust(key))
    ids = [parse_envelope(row.data).keyid for row in kept(store, IMAGE)]
    assert ids == [stranger.key.keyid, key.key.keyid]


def test_what_another_trusted_key_said_is_enough(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    one, two = signer("one"), signer("two")
    first = say(store, SAID, one, trust(one, two))
    assert say(store, SAID, two, trust(one, two)) == first


def test_what_nobody_would_believe_is_not_kept(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    with pytest.raises(TrustError, match="which is not trusted"):
        say(store, SAID, signer(), trust(signer("other")))
    key = signer("tests", "build")
    held = Statement(image=IMAGE, predicate_type=HOLD, predicate={})
    with pytest.raises(TrustError, match="tests may not sign hold statements"):
        say(store, held, key, trust(key))
    assert list(kept(store, IMAGE)) == []


def test_what_was_lost_or_changed_is_told(made: World) -> None:
    made.say_all()
    rows = list(kept(made.store, made.image))
    made.store.document_path("statement", rows[0].document).unlink()
    made.store.document_path("statement", rows[1].document).write_bytes(b"{}")
    found = list(kept(made.store, made.image))
    assert found[0].fault == f"the store has no statement {rows[0].document}"
    assert found[1].fault.endswith("the file was changed")
    assert (found[0].data, found[1].data) == (b"", b"")
    assert found[2:] == rows[2:]


def test_a_ledger_that_names_no_digest_is_told(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    store.enter("statement", IMAGE, "../../../etc/passwd")
    (row,) = kept(store, IMAGE)
    assert row.fault == "statement '../../../etc/passwd': not the digest of a document"
