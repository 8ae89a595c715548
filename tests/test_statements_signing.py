"""Who signs: a key in a file, one that trust.yaml leads to, this machine's own; never a secret."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.statements.envelope import opened, sign
from goldpress.statements.signing import (
    VARIABLE,
    chosen,
    configured,
    entry,
    local_path,
    make_key,
    public_pem,
    read_private,
    signer_for,
    trust_here,
)
from goldpress.statements.statement import HOLD, Role, Statement
from goldpress.statements.trust import parse_public, parse_trust
from goldpress.workspace import Workspace

SAID = Statement(image=f"sha256:{'a' * 64}", predicate_type=HOLD, predicate={})


def project(tmp_path: Path, *entries: str) -> Workspace:
    tmp_path.joinpath("trust.yaml").write_text(
        "keys:\n" + "".join(entries) if entries else "keys: {}\n"
    )
    return Workspace(project=tmp_path, build=tmp_path / "build")


def made_key(tmp_path: Path, *roles: Role, stand_in: bool = False) -> tuple[Workspace, Path]:
    path = tmp_path / "keys" / "release.pem"
    public = make_key(path)
    return project(tmp_path, entry("release", public, roles or ("hold",), stand_in=stand_in)), path


def test_a_key_in_a_file_signs(tmp_path: Path) -> None:
    ws, path = made_key(tmp_path)
    found = signer_for(ws, stand_in=False, environment={VARIABLE: f"file:{path}"})
    assert found.key.name == "release"
    data = sign(SAID, found).to_json()
    trust = trust_here(ws)
    assert opened(data, trust, "hold", image=SAID.image, stand_in=False).by == "release"
    # No secret in what is shown of it.
    assert "PRIVATE" not in repr(found)
    assert "signs" not in repr(found)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.pem"
    public = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_private(path).public_key == public
    with pytest.raises(DocumentError, match=r"a\.pem: is already there|a\.pem: is there already"):
        make_key(path)
    assert read_private(path).public_key == public
    assert [p.name for p in path.parent.iterdir()] == ["a.pem"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(TrustError, match="others than its owner can read this private key"):
        read_private(path)


def test_a_key_that_trust_does_not_name_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    public = make_key(path)
    with pytest.raises(TrustError) as caught:
        signer_for(project(tmp_path), stand_in=False, environment={VARIABLE: f"file:{path}"})
    assert str(caught.value) == (
        f"GOLDPRESS_SIGNER: trust.yaml does not name the key {public.keyid[:12]}\n"
        "  nobody would believe it: add it to trust.yaml by a pull request first"
    )


def test_a_key_of_one_class_does_not_sign_for_the_other(tmp_path: Path) -> None:
    ws, path = made_key(tmp_path, stand_in=True)
    setting = {VARIABLE: f"file:{path}"}
    assert signer_for(ws, stand_in=True, environment=setting).key.name == "release"
    with pytest.raises(TrustError, match="release vouches for stand-ins, never for images of real"):
        signer_for(ws, stand_in=False, environment=setting)


def test_without_a_setting_nobody_signs_for_real_images(tmp_path: Path) -> None:
    assert not configured(stand_in=False, environment={})
    assert configured(stand_in=True, environment={})
    assert configured(stand_in=False, environment={VARIABLE: "x"})
    with pytest.raises(MissingError, match="nobody signs: GOLDPRESS_SIGNER is not set"):
        signer_for(project(tmp_path), stand_in=False, environment={})
    assert not (tmp_path / "build").exists()


def test_this_machine_makes_a_key_for_stand_ins_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = project(tmp_path)
    assert trust_here(ws).keys == ()
    found = signer_for(ws, stand_in=True, environment={})
    said = capsys.readouterr().err
    assert "made a key of this machine: " in said
    assert "signing with this machine's own key: for stand-ins, and believed here only" in said
    assert local_path(ws).stat().st_mode & 0o777 == 0o600
    data = sign(SAID, found).to_json()
    trust = trust_here(ws)
    assert opened(data, trust, "hold", image=SAID.image, stand_in=True).by == "(this machine)"
    with pytest.raises(TrustError, match="vouches for stand-ins, never for images of real"):
        opened(data, trust, "hold", image=SAID.image, stand_in=False)
    again = signer_for(ws, stand_in=True, environment={})
    assert again.key == found.key
    assert "made a key" not in capsys.readouterr().err


def test_another_machine_does_not_believe_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = project(tmp_path / "one"), project(tmp_path / "two")
    data = sign(SAID, signer_for(one, stand_in=True, environment={})).to_json()
    with pytest.raises(TrustError, match="which is not trusted"):
        opened(data, trust_here(two), "hold", image=SAID.image, stand_in=True)


@pytest.mark.parametrize(
    ("setting", "error", "why"),
    [
        ("file:/nowhere/a.pem", MissingError, "the private key cannot be read: No such file"),
        ("awskms:alias/x", DocumentError, "neither `file:PATH` nor the name of a key"),
        ("hsm:", DocumentError, "neither `file:PATH` nor the name of a key"),
        ("nobody", MissingError, "trust.yaml has no key 'nobody'"),
        ("release", MissingError, "trust.yaml: keys.release has no `signer:`"),
    ],
)
def test_other_settings_are_refused(
    tmp_path: Path, setting: str, error: type[Exception], why: str
) -> None:
    ws, _ = made_key(tmp_path)
    with pytest.raises(error) as caught:
        signer_for(ws, stand_in=False, environment={VARIABLE: setting})
    assert why in str(caught.value)


SECRET = "c3VwZXJzZWNyZXQtbWF0ZXJpYWw"  # noqa: S105 - what is looked for afterwards


def encrypted() -> bytes:
    key = CryptoSigner.generate_ed25519()._private_key  # noqa: SLF001 - to write it otherwise
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SECRET.encode(),
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n".encode(),
        encrypted(),
        base64.b64encode(os.urandom(64)),
    ],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(DocumentError) as caught:
        read_private(path)
    assert "a.pem: not a private key in PEM without a passphrase" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_of_an_unused_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp521").private_bytes)
    path.chmod(0o600)
    with pytest.raises(DocumentError, match="ecdsa-sha2-nistp521 is not used here"):
        read_private(path)


def test_a_signer_of_another_place_says_only_what_kind_of_error_it_was(tmp_path: Path) -> None:
    """The library's signers are taken as they are; their messages may quote what they read."""
    public = CryptoSigner.generate_ed25519().public_key
    text = entry("far", public, ("hold",)) + f"    signer: file2:{tmp_path / SECRET}\n"
    ws = project(tmp_path, text)
    with pytest.raises(MissingError) as caught:
        signer_for(ws, stand_in=False, environment={VARIABLE: "far"})
    assert str(caught.value).startswith("the signer of far cannot be used: FileNotFoundError\n")
    assert SECRET not in str(caught.value)


def test_the_librarys_signers_sign(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    public = make_key(path)
    ws = project(tmp_path, entry("far", public, ("hold",)) + f"    signer: file2:{path}\n")
    found = signer_for(ws, stand_in=False, environment={VARIABLE: "far"})
    data = sign(SAID, found).to_json()
    assert opened(data, trust_here(ws), "hold", image=SAID.image, stand_in=False).by == "far"


def test_a_signer_that_fails_is_told_without_what_it_said(tmp_path: Path) -> None:
    ws, path = made_key(tmp_path)
    found = signer_for(ws, stand_in=False, environment={VARIABLE: f"file:{path}"})

    class Failing(CryptoSigner):
        def __init__(self) -> None:
            """No key."""

        def sign(self, payload: bytes) -> None:  # type: ignore[override]
            raise RuntimeError(SECRET, payload)

    with pytest.raises(MissingError) as caught:
        sign(SAID, replace(found, signs=Failing()))
    assert str(caught.value).startswith("the signer of release cannot be used: RuntimeError\n")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        CryptoSigner.generate_ed25519().public_key,
        CryptoSigner.generate_ecdsa().public_key,
        CryptoSigner.generate_rsa().public_key,
    ],
)
def test_an_entry_is_what_trust_reads(key: SSlibKey) -> None:
    found = parse_trust(f"keys:\n{entry('me', key, ('build', 'hold'))}".encode()).named("me")
    assert (found.public, found.roles, found.stand_in) == (key, ("build", "hold"), False)
    assert parse_public(public_pem(key).encode(), where="") == key


def test_a_name_leads_to_a_key_of_kms_without_asking_it(tmp_path: Path) -> None:
    arn = "arn:aws:kms:eu-west-1:111122223333:key/1234"
    key = CryptoSigner.generate_ecdsa().public_key
    ws = project(tmp_path, entry("cloud", key, ("build",)) + f"    signer: awskms:{arn}\n")
    found = chosen("cloud", trust_here(ws))
    assert getattr(found.signs, "arn") == arn  # noqa: B009 - of a class that tests need not load
    assert found.signs.public_key == key
