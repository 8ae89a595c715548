"""Owns KMS signatures that others can verify: of the digest that was sent, with the usual salt.

moto hashes a digest once more, salts PSS with as much as fits, and takes messages of any length.
[D] "Sign": of a message longer than 4096 bytes the digest has to be sent.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse

from goldpress.emulator import patches

LONGEST_RAW = 4096
HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512,
}  # fmt: skip
_DONE = "_goldpress_signatures"


def extend_signatures() -> None:
    """Teach moto's KMS to sign. Raises RuntimeError when moto has changed."""
    sign = patches.original(KmsResponse, "sign", ("self",))
    if not hasattr(KmsResponse, _DONE):
        setattr(KmsResponse, "sign", _signing(sign))  # noqa: B010
        setattr(KmsResponse, _DONE, True)


def _signing(original: Callable[[Any], str]) -> Callable[[Any], str]:
    def sign(self: Any) -> str:
        # It refuses keys and algorithms that do not go together.
        answer: dict[str, Any] = json.loads(original(self))
        algorithm = str(answer["SigningAlgorithm"])
        hashed = _hashed(self._get_param("Message"), self._get_param("MessageType"), algorithm)
        private = self.kms_backend.describe_key(answer["KeyId"]).private_key.private_key
        signature = _signature(private, hashed, algorithm)
        return json.dumps({**answer, "Signature": base64.b64encode(signature).decode()})

    return sign


def _hashed(message: bytes, kind: str | None, algorithm: str) -> bytes:
    size = algorithm.rpartition("_")[2]
    if kind != "DIGEST":
        if len(message) > LONGEST_RAW:
            raise ValidationException(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: "
                f"Member must have length less than or equal to {LONGEST_RAW}"
            )
        return hashlib.new(f"sha{size}", message).digest()
    if len(message) * 8 != int(size):
        raise ValidationException(
            "Digest is invalid length for algorithm " + algorithm.removesuffix(f"_{size}")
        )
    return message


def _signature(private: Any, hashed: bytes, algorithm: str) -> bytes:
    made = HASHES[algorithm.rpartition("_")[2]]()
    prehashed = utils.Prehashed(made)
    if algorithm.startswith("ECDSA"):
        return bytes(private.sign(hashed, ec.ECDSA(prehashed)))
    if algorithm.startswith("RSASSA_PSS"):
        pad: Any = padding.PSS(padding.MGF1(made), padding.PSS.DIGEST_LENGTH)
    else:
        pad = padding.PKCS1v15()
    return bytes(private.sign(hashed, pad, prehashed))
