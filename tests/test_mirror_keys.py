from __future__ import annotations

import base64
from pathlib import Path

import pytest
from rpms import Rpms, distribution, make_key

from goldpress.distribution import Distribution, Signers
from goldpress.errors import MissingError, TrustError
from goldpress.host.run import run
from goldpress.mirror.trust.keys import (
    PublicKey,
    blocks,
    bring_keys,
    keys_in,
    parse_colons,
    public_keys,
    signers_of,
)
from goldpress.store import Store

BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
END = b"-----END PGP PUBLIC KEY BLOCK-----"
SUBKEY = 14

COLONS = """\
pub:u:3072:1:6BA4BAE8636DAF2A:1795387201:::u:::scSC::::::23::0:
fpr:::::::::3A24F6081014488C3A0B56E46BA4BAE8636DAF2A:
uid:u::::1795387201::1ECF560CD276D5AA4A2AA59442F96ECD67DC8765::T <t@example.org>::::::::::0:
sub:u:3072:1:0123456789ABCDEF:1795387201::::::s::::::23:
fpr:::::::::00000000000000000000000001234567 89ABCDEF:
"""


def offering(rpms: Rpms, fingerprint: str) -> Distribution:
    keys = [{"fingerprint": fingerprint, "url": f"file://{rpms.key.public}"}]
    return distribution("base", keys=keys)


def test_subkeys_belong_to_their_key() -> None:
    primary = "3A24F6081014488C3A0B56E46BA4BAE8636DAF2A"
    sub = "00000000000000000000000001234567 89ABCDEF"
    assert parse_colons(COLONS) == (PublicKey(fingerprint=primary, signing=(primary, sub)),)
    assert parse_colons(COLONS.replace("pub:", "sec:").replace("sub:", "ssb:")) == ()


def test_a_key_file_is_read_without_importing_it(rpms: Rpms) -> None:
    (key,) = keys_in(rpms.key.public)
    assert key.fingerprint == rpms.key.fingerprint
    assert key.signing == (rpms.key.fingerprint,)


@pytest.mark.parametrize("text", ["", "not a key", "<html>Please log in</html>"])
def test_what_is_not_a_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.asc"
    path.write_text(text)
    with pytest.raises(TrustError, match=r"key\.asc: is not an OpenPGP public key"):
        keys_in(path)


def test_the_files_hold_exactly_the_allowed_keys(rpms: Rpms) -> None:
    keys = public_keys(rpms.key.signers)
    assert [key.fingerprint for key in keys] == [rpms.key.fingerprint]


def test_another_key_in_a_file_is_refused(rpms: Rpms, tmp_path: Path) -> None:
    both = tmp_path / "both.asc"
    both.write_bytes(rpms.key.public.read_bytes() + rpms.other_key.public.read_bytes())
    signers = Signers(fingerprints=(rpms.key.fingerprint,), key_files=(both,))
    with pytest.raises(TrustError) as caught:
        public_keys(signers)
    assert f"both.asc: holds the key {rpms.other_key.fingerprint}, which is not allowed" in str(
        caught.value
    )
    assert f"allowed: {rpms.key.fingerprint}" in str(caught.value)


def test_an_allowed_key_without_a_file_is_missing(rpms: Rpms) -> None:
    absent = "F" * 40
    signers = Signers(fingerprints=(rpms.key.fingerprint, absent), key_files=(rpms.key.public,))
    with pytest.raises(MissingError, match=f"no key file holds the key {absent}"):
        public_keys(signers)


def test_nobody_allowed_is_nobody_trusted() -> None:
    with pytest.raises(TrustError, match="no signing key is allowed"):
        public_keys(Signers(fingerprints=(), key_files=()))


def test_a_key_is_brought_once(rpms: Rpms, tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    offered = offering(rpms, rpms.key.fingerprint)
    signers = bring_keys(offered, store)
    kept = store.key(rpms.key.fingerprint)
    assert kept
    assert signers == Signers(
        fingerprints=(rpms.key.fingerprint,),
        key_files=(kept,),
        repositories={rpms.key.fingerprint: ("base",)},
    )
    assert keys_in(kept) == keys_in(rpms.key.public)
    assert signers_of(offered, store) == signers
    nowhere = [{"fingerprint": rpms.key.fingerprint, "url": "file:///nowhere"}]
    assert bring_keys(distribution("base", keys=nowhere), store) == signers


def test_each_key_signs_for_what_is_named_with_it(rpms: Rpms, tmp_path: Path) -> None:
    keys = [
        {"fingerprint": rpms.key.fingerprint, "url": f"file://{rpms.key.public}"},
        {
            "fingerprint": rpms.other_key.fingerprint,
            "url": f"file://{rpms.other_key.public}",
            "repositories": ["extra"],
        },
    ]
    signers = bring_keys(distribution("base", "extra", keys=keys), Store(root=tmp_path))
    assert signers.allowed("base") == (rpms.key.fingerprint,)
    assert signers.allowed("extra") == (rpms.key.fingerprint, rpms.other_key.fingerprint)
    assert signers.allowed("another-distribution") == ()


@pytest.mark.parametrize("first", ["key", "other_key", "nonsense"])
def test_of_several_blocks_the_pinned_key_alone_is_kept(
    rpms: Rpms, tmp_path: Path, first: str
) -> None:
    nonsense = BEGIN + b"\n\nAAAA\n" + END + b"\n"
    texts = {
        "key": rpms.key.public.read_bytes(),
        "other_key": rpms.other_key.public.read_bytes(),
        "nonsense": nonsense,
    }
    several = tmp_path / "several"
    several.write_bytes(b"about\n" + texts.pop(first) + b"".join(texts.values()))
    store = Store(root=tmp_path / "store")
    keys = [{"fingerprint": rpms.key.fingerprint, "url": f"file://{several}"}]
    (kept,) = bring_keys(distribution("base", keys=keys), store).key_files
    assert keys_in(kept) == keys_in(rpms.key.public)


def test_blocks_of_a_file() -> None:
    one, two = (BEGIN + b"\n\n" + text + b"\n" + END + b"\n" for text in (b"one", b"two"))
    assert blocks(one) == (one,)
    assert blocks(b"before\n" + one + b"between\n" + two + b"after") == (one, two)
    assert blocks(b"\x99\x01") == (b"\x99\x01",)
    assert blocks(b"") == (b"",)


def test_an_address_with_another_key_is_refused(rpms: Rpms, tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    with pytest.raises(TrustError) as caught:
        bring_keys(offering(rpms, "F" * 40), store)
    assert (
        f"holds {rpms.key.fingerprint}, expected {'F' * 40} alone in its block\n"
        "  do not use it; compare with the fingerprint that the distributor prints"
    ) in str(caught.value)
    assert store.key("F" * 40) is None
    assert store.key(rpms.key.fingerprint) is None


@pytest.mark.parametrize("text", ["", "not a key"])
def test_an_address_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    keys = [{"fingerprint": "F" * 40, "url": f"file://{tmp_path}/key"}]
    with pytest.raises(TrustError) as caught:
        bring_keys(distribution("base", keys=keys), Store(root=tmp_path / "store"))
    assert str(caught.value) == (
        f"file://{tmp_path}/key: holds no OpenPGP public key that this host can read, expected "
        f"{'F' * 40}\n  look at what the address answers: a portal or a proxy may be in between"
    )


def test_a_key_with_a_subkey_of_someone_else_is_refused(rpms: Rpms, tmp_path: Path) -> None:
    # Its primary fingerprint is the pinned one; the subkey's signature is by another key.
    forged = tmp_path / "forged.asc"
    forged.write_bytes(with_foreign_subkey(rpms, tmp_path))
    assert [key.fingerprint for key in keys_in(forged)] == [rpms.key.fingerprint]
    keys = [{"fingerprint": rpms.key.fingerprint, "url": f"file://{forged}"}]
    store = Store(root=tmp_path / "store")
    with pytest.raises(TrustError, match=f"rpm refuses the key {rpms.key.fingerprint}: rpmkeys: "):
        bring_keys(distribution("base", keys=keys), store)
    assert store.key(rpms.key.fingerprint) is None


def test_a_kept_file_that_was_changed_is_refused(rpms: Rpms, tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    offered = offering(rpms, rpms.key.fingerprint)
    (kept,) = bring_keys(offered, store).key_files
    kept.write_bytes(rpms.other_key.public.read_bytes())
    with pytest.raises(TrustError, match=f"the key {rpms.other_key.fingerprint}, which is not all"):
        signers_of(offered, store)


def test_a_key_that_was_not_brought_is_missing(rpms: Rpms, tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        signers_of(offering(rpms, rpms.key.fingerprint), Store(root=tmp_path))
    assert str(caught.value) == (
        f"Test 9: the key {rpms.key.fingerprint} was not brought yet\n  run `./inv mirror.sync`"
    )


def test_a_stand_in_brings_its_own_signers(tmp_path: Path) -> None:
    arches = {"x86_64": {"repositories": [{"id": "base"}]}}
    made = distribution(made=True, stand_in_for="real-9", keys=[], arches=arches)
    with pytest.raises(MissingError, match="Test 9 makes its own key"):
        signers_of(made, Store(root=tmp_path))


def packets(data: bytes) -> list[tuple[int, bytes]]:
    """(tag, whole packet) of each OpenPGP packet, as gpg writes them."""
    found = []
    start = 0
    while start < len(data):
        width = {0: 1, 1: 2, 2: 4}[data[start] & 3]
        size = 1 + width + int.from_bytes(data[start + 1 : start + 1 + width])
        found.append((data[start] >> 2 & 15, data[start : start + size]))
        start += size
    return found


def with_foreign_subkey(rpms: Rpms, directory: Path) -> bytes:
    """The key of `rpms`, and behind it another key's subkey with its binding signature."""
    other = make_key(directory, "s")
    gpg = ["gpg", "--homedir", str(other.home), "--batch", "--no-options"]
    secret = ["--pinentry-mode", "loopback", "--passphrase", ""]
    try:
        run([*gpg, *secret, "--quick-add-key", other.fingerprint, "rsa2048", "sign"], timeout=60)
        theirs = packets(run([*gpg, "--export"], timeout=60).stdout)
    finally:
        run(["gpgconf", "--homedir", str(other.home), "--kill", "all"], timeout=60)
    subkey = next(index for index, (tag, _) in enumerate(theirs) if tag == SUBKEY)
    armour = base64.b64decode("".join(rpms.key.public.read_text().split("\n\n")[1].split("\n=")[0]))
    whole = armour + b"".join(packet for _, packet in theirs[subkey:])
    return BEGIN + b"\n\n" + base64.encodebytes(whole) + END + b"\n"
