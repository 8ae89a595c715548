"""Random changes of envelopes, manifests and keys: none is accepted, and none is a traceback."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from attested import World, world
from mutations import COUNT, mutated
from securesystemslib.signer import SSlibKey
from signed import manifest, signer, trust

from goldpress import holds
from goldpress.digest import canonical_json, sha256_bytes
from goldpress.errors import DocumentError, GoldpressError, TrustError
from goldpress.manifest import parse_manifest
from goldpress.statements.chain import LINKS, chain
from goldpress.statements.envelope import Envelope, claimed, opened, parse_envelope
from goldpress.statements.signing import chosen, entry, make_key
from goldpress.statements.statement import SBOM
from goldpress.statements.trust import Trust, parse_trust
from goldpress.store import Store


@pytest.fixture
def made(tmp_path: Path) -> World:
    found = world(Store(root=tmp_path / "store"))
    found.say_all()
    return found


def envelopes(of: World) -> list[bytes]:
    rows = of.store.history("statement", of.image)
    return [of.store.document("statement", row.digest) for row in rows]


def test_no_changed_envelope_is_opened(made: World) -> None:
    tried = 0
    for number, data in enumerate(envelopes(made)):
        for changed in mutated(data, seed=number, count=COUNT // 5 + 1):
            for role in ("build", "verify", "publish"):
                with pytest.raises(TrustError):
                    opened(changed, made.trust, role, image=made.image, stand_in=True)
            tried += 1
    assert tried >= COUNT


def test_no_changed_payload_is_opened(made: World) -> None:
    """The change is inside: the envelope is in its form, and only the signature tells."""
    (data,) = [d for d in envelopes(made) if claimed(d).predicate_type == SBOM]
    envelope = parse_envelope(data)
    for changed in mutated(envelope.payload, seed=1):
        forged = Envelope(payload=changed, keyid=envelope.keyid, signature=envelope.signature)
        with pytest.raises(TrustError, match="the signature is not tests's on these bytes"):
            opened(forged.to_json(), made.trust, "build", image=made.image, stand_in=True)


def test_no_changed_signature_is_accepted(made: World) -> None:
    envelope = parse_envelope(envelopes(made)[0])
    for changed in mutated(envelope.signature, seed=2):
        forged = Envelope(payload=envelope.payload, keyid=envelope.keyid, signature=changed)
        with pytest.raises(TrustError, match="the signature is not tests's on these bytes"):
            opened(forged.to_json(), made.trust, "build", image=made.image, stand_in=True)


def test_no_changed_manifest_has_a_chain(made: World) -> None:
    """Neither in place of the real one, nor under a digest of its own with its statements."""
    path = made.store.document_path("manifest", made.image)
    whole = path.read_bytes()
    digests = [row.digest for row in made.store.history("statement", made.image)]
    reasons: set[str] = set()
    for changed in mutated(whole, seed=3):
        path.write_bytes(changed)
        found = chain(made.store, made.image, made.trust)
        assert [link.name for link in found.missing()] == list(LINKS)
        reasons.add(found.link("manifest").why.partition(": ")[2])
    assert reasons == {"its bytes do not match its name; the file was changed"}
    path.write_bytes(whole)
    assert not chain(made.store, made.image, made.trust).missing()
    for changed in mutated(whole, seed=4):
        own = f"sha256:{sha256_bytes(changed)}"
        elsewhere = made.store.document_path("manifest", own)
        elsewhere.write_bytes(changed)
        for digest in digests[:2]:
            made.store.enter("statement", own, digest)
        missing = {link.name: link.why for link in chain(made.store, own, made.trust).missing()}
        assert set(LINKS) - {"manifest"} <= set(missing)
        assert "is about another image" in missing["sbom"] or "manifest" in missing
        for digest in digests[:2]:
            made.store.forget("statement", own, digest)
        elsewhere.unlink()


def test_what_parses_a_manifest_refuses_or_says_the_same(made: World) -> None:
    path = made.store.document_path("manifest", made.image)
    for changed in mutated(path.read_bytes(), seed=5):
        try:
            found = parse_manifest(json.loads(changed))
        except (GoldpressError, ValueError):
            continue
        assert found.digest != made.image


def test_no_changed_manifest_is_held_or_launched_by_a_traceback(tmp_path: Path) -> None:
    """Under a digest of its own, in every way: no JSON, no mapping, no manifest."""
    key = signer()
    store = Store(root=tmp_path)
    whole = canonical_json(manifest().to_document())
    for changed in [*mutated(whole, seed=10), b"[]", b"1", b"", b"\xff", b'{"a":' * 100_000]:
        digest = f"sha256:{sha256_bytes(changed)}"
        path = store.document_path("manifest", digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed)
        try:
            found = parse_manifest(store.get_document("manifest", digest))
        except DocumentError:
            with pytest.raises(DocumentError):
                holds.hold(store, trust(key), digest, why="odd", signer=key)
            continue
        # Another image of which nobody says anything; and another form of the same is none.
        judged = chain(store, digest, trust(key)).link("manifest")
        assert judged.ok == (found.digest == digest)
        assert digest != manifest().digest


def test_no_changed_key_is_believed() -> None:
    key = signer("release", stand_in=False)
    whole = f"keys:\n{entry('release', key.key.public, key.key.roles)}".encode()
    before, _, rest = whole.partition(b"    keyid:")
    middle, _, after = rest.partition(b"    may:")
    refused = 0
    for changed in mutated(middle, seed=6):
        data = before + b"    keyid:" + changed + b"    may:" + after
        try:
            found = parse_trust(data)
        except DocumentError:
            refused += 1
            continue
        # What is no part of a key was changed: white space, a comment.
        assert [row.public for row in found] == [key.key.public]
    assert refused > COUNT * 0.8


def test_a_changed_trust_file_names_no_other_key() -> None:
    keys = [signer("one", "build"), signer("two", "hold", stand_in=False)]
    whole = "keys:\n" + "".join(
        entry(row.key.name, row.key.public, row.key.roles, stand_in=row.key.stand_in)
        for row in keys
    )
    known = {row.key.keyid: row.key.public for row in keys}
    for changed in mutated(whole.encode(), seed=7):
        try:
            found = parse_trust(changed)
        except DocumentError:
            continue
        assert {row.keyid: row.public for row in found}.items() <= known.items()


def test_a_changed_private_key_signs_nothing_that_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    public = make_key(path)
    believed = parse_trust(f"keys:\n{entry('a', public, ('build',))}".encode())
    whole = path.read_bytes()
    refused = 0
    for changed in mutated(whole, seed=8):
        path.write_bytes(changed)
        try:
            found = chosen(f"file:{path}", believed)
        except GoldpressError:
            refused += 1
            continue
        assert found.key.keyid == public.keyid
    assert refused > COUNT * 0.8


def test_no_key_in_place_of_another_opens_anything(made: World) -> None:
    """A public key with some bits changed, under the id that the envelope names."""
    key = made.signer.key
    data = envelopes(made)[0]
    for changed in mutated(bytes.fromhex(key.public.keyval["public"]), seed=9):
        wrong = SSlibKey(key.keyid, "ed25519", "ed25519", {"public": changed.hex()})
        trusted = Trust(keys=(replace(key, name="x", public=wrong),))
        with pytest.raises(TrustError, match="the signature is not x's on these bytes"):
            opened(data, trusted, "build", image=made.image, stand_in=True)


def test_the_right_ones_are_accepted(made: World) -> None:
    """That nothing was accepted shows something only if the unchanged is."""
    for data in envelopes(made):
        role = claimed(data).role
        assert opened(data, made.trust, role, image=made.image, stand_in=True).by == "tests"
