"""Owns keys and images of tests about what is signed: no file, no machine."""

from __future__ import annotations

from typing import Any

from securesystemslib.signer import CryptoSigner

from goldpress.manifest import ImageManifest
from goldpress.statements.signing import Signer
from goldpress.statements.statement import Role
from goldpress.statements.trust import EVERY_ROLE, Trust, TrustedKey
from goldpress.store import Store

DIGEST = f"sha256:{'0' * 64}"


def signer(name: str = "tests", *roles: Role, stand_in: bool = True) -> Signer:
    """A new key that may sign for these roles (none: for all)."""
    made = CryptoSigner.generate_ed25519()
    key = TrustedKey(
        name=name, public=made.public_key, roles=roles or EVERY_ROLE, stand_in=stand_in
    )
    return Signer(key=key, signs=made)


def trust(*signers: Signer) -> Trust:
    return Trust(keys=tuple(row.key for row in signers))


def manifest(**changes: Any) -> ImageManifest:
    values: dict[str, Any] = {
        "name": "web",
        "distribution": "sandbox",
        "stand_in": True,
        "arch": "x86_64",
        "packages": DIGEST,
        "definition": DIGEST,
        "command_line": "ro",
        "root_hash": "a" * 64,
        "disk_sha256": "b" * 64,
        "disk_bytes": 1 << 30,
        "block_root": "c" * 64,
    }
    return ImageManifest(**{**values, **changes})


def stored(store: Store, **changes: Any) -> str:
    """The digest of an image whose manifest the store has."""
    return store.put_document("manifest", manifest(**changes).to_document())
