"""Signing by KMS: verified by others with the public key alone; refusals are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from clouds import Account
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from emulated import Emulator
from securesystemslib.signer import CryptoSigner

from goldpress.aws.client import Access
from goldpress.aws.signing import KmsSigner
from goldpress.errors import CloudError, DocumentError, TrustError
from goldpress.statements.envelope import opened, sign
from goldpress.statements.signing import Signer
from goldpress.statements.statement import SBOM, Statement
from goldpress.statements.trust import Trust, TrustedKey, parse_public

#: Longer than what KMS takes as it is.
SAID = Statement(image=f"sha256:{'a' * 64}", predicate_type=SBOM, predicate={"x": "y" * 8192})


def kms_key(account: Account, spec: str) -> tuple[str, Any]:
    """A key of KMS: its ARN, and the public key in DER."""
    kms = account.client("kms")
    arn = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    return arn, load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])


def signer_of(emulator: Emulator, arn: str, public: Any) -> Signer:
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = parse_public(pem, where="key")
    made = KmsSigner.from_priv_key_uri(f"awskms:{arn}", key)
    trusted = TrustedKey(name="kms", public=key, roles=("build",), stand_in=False)
    here = KmsSigner(
        arn=made.arn, region=made.region, public=key, access=Access(endpoint=emulator.url)
    )
    return Signer(key=trusted, signs=here)


@pytest.fixture
def account(emulator: Emulator) -> Account:
    """The account that the embedded cloud's own credentials are of."""
    return Account(emulator=emulator, id="123456789012", region="eu-west-1")


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "RSA_3072"])
def test_a_key_of_kms_signs(emulator: Emulator, account: Account, spec: str) -> None:
    arn, public = kms_key(account, spec)
    found = signer_of(emulator, arn, public)
    data = sign(SAID, found).to_json()
    trust = Trust(keys=(found.key,))
    assert opened(data, trust, "build", image=SAID.image, stand_in=False).by == "kms"


def test_an_alias_leads_to_a_key(emulator: Emulator, account: Account) -> None:
    arn, public = kms_key(account, "ECC_NIST_P256")
    account.client("kms").create_alias(AliasName="alias/goldpress", TargetKeyId=arn)
    alias = f"{arn.rpartition(':')[0]}:alias/goldpress"
    assert sign(SAID, signer_of(emulator, alias, public)).keyid


def test_an_arn_of_another_key_is_found_out(emulator: Emulator, account: Account) -> None:
    (arn, _), (_, public) = kms_key(account, "ECC_NIST_P256"), kms_key(account, "ECC_NIST_P256")
    with pytest.raises(TrustError, match="the signer of kms made a signature that its own key"):
        sign(SAID, signer_of(emulator, arn, public))


def test_a_key_that_is_not_there_is_told(emulator: Emulator, account: Account) -> None:
    arn, public = kms_key(account, "ECC_NIST_P256")
    wrong = f"{arn.rpartition('/')[0]}/00000000-0000-0000-0000-000000000000"
    with pytest.raises(CloudError, match=f"kms:Sign by {wrong} in eu-west-1"):
        sign(SAID, signer_of(emulator, wrong, public))


@pytest.mark.parametrize("arn", ["alias/x", "1234", "arn:aws:s3:::bucket", "", "arn:aws:kms:x"])
def test_what_names_no_region_is_refused(arn: str) -> None:
    public = CryptoSigner.generate_ecdsa().public_key
    with pytest.raises(DocumentError, match="not the ARN of a key or of an alias"):
        KmsSigner.of(arn, public)


def test_a_key_that_kms_cannot_have_is_refused() -> None:
    public = CryptoSigner.generate_ed25519().public_key
    with pytest.raises(DocumentError, match="KMS has no keys for ed25519"):
        KmsSigner.of("arn:aws:kms:eu-west-1:111122223333:key/1", public)


# What the embedded cloud does as AWS does, and moto does not.


def sign_raw(account: Account, arn: str, **given: Any) -> Callable[[], Any]:
    asked = {"KeyId": arn, "SigningAlgorithm": "ECDSA_SHA_256", **given}
    return lambda: account.client("kms").sign(**asked)


def test_a_digest_of_another_length_is_refused(account: Account) -> None:
    arn, _ = kms_key(account, "ECC_NIST_P256")
    call = sign_raw(account, arn, Message=b"x" * 31, MessageType="DIGEST")
    with pytest.raises(Exception, match="Digest is invalid length"):
        call()


def test_a_long_message_is_refused(account: Account) -> None:
    arn, _ = kms_key(account, "ECC_NIST_P256")
    with pytest.raises(Exception, match="less than or equal to 4096"):
        sign_raw(account, arn, Message=b"x" * 4097)()
    assert sign_raw(account, arn, Message=b"x" * 4096)()["Signature"]


def test_pss_has_the_usual_salt(account: Account) -> None:
    arn, public = kms_key(account, "RSA_3072")
    call = sign_raw(account, arn, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256")
    pad = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
    public.verify(call()["Signature"], b"x", pad, SHA256())
