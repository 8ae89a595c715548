from __future__ import annotations

from pathlib import Path

import pytest
from rpms import Rpms, distribution

from goldpress.distribution import Distribution, Signers
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.keys import (
    PublicKey,
    bring_keys,
    keys_in,
    parse_colons,
    public_keys,
    signers_of,
)

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
    offered = offering(rpms, rpms.key.fingerprint)
    signers = bring_keys(offered, tmp_path)
    path = tmp_path / f"{rpms.key.fingerprint}.asc"
    assert signers == Signers(fingerprints=(rpms.key.fingerprint,), key_files=(path,))
    assert path.read_bytes() == rpms.key.public.read_bytes()
    assert signers_of(offered, tmp_path) == signers
    nowhere = [{"fingerprint": rpms.key.fingerprint, "url": "file:///nowhere"}]
    assert bring_keys(distribution("base", keys=nowhere), tmp_path) == signers


def test_an_address_with_another_key_is_refused(rpms: Rpms, tmp_path: Path) -> None:
    with pytest.raises(TrustError) as caught:
        bring_keys(offering(rpms, "F" * 40), tmp_path)
    assert f"holds {rpms.key.fingerprint}, expected {'F' * 40} alone" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_was_not_brought_is_missing(rpms: Rpms, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"there is no such key\n  run `\./inv mirror\.sync`"):
        signers_of(offering(rpms, rpms.key.fingerprint), tmp_path)


def test_a_stand_in_brings_its_own_signers(tmp_path: Path) -> None:
    arches = {"x86_64": {"repositories": [{"id": "base"}]}}
    made = distribution(made=True, stand_in_for="real-9", keys=[], arches=arches)
    with pytest.raises(MissingError, match="Test 9 makes its own key"):
        signers_of(made, tmp_path)
