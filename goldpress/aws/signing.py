"""Owns signing by a key of KMS: the private key never leaves it, only a hash goes there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from securesystemslib.signer import AWSSigner, Key, SecretsHandler, Signature, Signer, SSlibKey

from goldpress.aws.client import Access
from goldpress.aws.errors import translated
from goldpress.errors import DocumentError

_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+")


@dataclass(frozen=True, kw_only=True)
class KmsSigner(Signer):
    """A key of KMS, by its ARN or its alias's; needs kms:Sign and nothing else.

    Unlike securesystemslib's own it asks the region that the ARN names, with this project's
    timeouts and errors.
    """

    arn: str
    region: str
    public: SSlibKey
    access: Access = field(default_factory=Access)

    @classmethod
    def of(cls, arn: str, public: SSlibKey) -> KmsSigner:
        """The signer of an ARN. Raises DocumentError for what is none, or a key KMS has not."""
        found = _ARN.fullmatch(arn)
        if found is None:
            raise DocumentError(
                f"awskms:{arn}: not the ARN of a key or of an alias",
                hint="such as arn:aws:kms:eu-west-1:111122223333:key/...: it tells the region",
            )
        if public.scheme not in AWSSigner.aws_algos:
            raise DocumentError(
                f"awskms:{arn}: KMS has no keys for {public.scheme}",
                hint="make the key as ECC_NIST_P256 with the usage SIGN_VERIFY",
            )
        return cls(arn=arn, region=found[1], public=public)

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: Key,
        secrets_handler: SecretsHandler | None = None,  # noqa: ARG003 - the parent's signature
    ) -> KmsSigner:
        """As securesystemslib makes signers. Raises DocumentError."""
        if not isinstance(public_key, SSlibKey):
            raise DocumentError("awskms: its public key is of a kind that KMS does not have")
        return cls.of(priv_key_uri.removeprefix("awskms:"), public_key)

    @property
    def public_key(self) -> SSlibKey:
        """The key by which its signatures are verified."""
        return self.public

    def sign(self, payload: bytes) -> Signature:
        """The signature on `payload`. Raises CloudError."""
        # By hash: KMS takes messages of 4 KiB, and statements are longer.
        hashed = hashlib.new(self.public.get_hash_algorithm_name(), payload).digest()
        algorithm: Any = AWSSigner.aws_algos[self.public.scheme]
        with translated(f"kms:Sign by {self.arn} in {self.region}", service="kms"):
            answer = self.access.client("kms", self.region).sign(
                KeyId=self.arn, Message=hashed, MessageType="DIGEST", SigningAlgorithm=algorithm
            )
        return Signature(self.public.keyid, bytes(answer["Signature"]).hex())
