"""Owns what happened: content-addressed blobs and documents in a local directory.

    pool/sha256/ab/<64 hex>.rpm     packages, immutable
    meta/sha256/<64 hex>            repository metadata, verbatim
    documents/<kind>/<64 hex>.json  snapshots, manifests, evidence: canonical JSON, immutable
    refs/<kind>/<name>              the only mutable files: a name for a digest

Names never come from upstream: a blob's path is its own sha256. A file appears whole or not at
all (written beside, fsynced, renamed).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.digest import canonical_json, sha256_bytes, sha256_file
from goldpress.errors import DocumentError, MissingError, TrustError


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; readers see the old or the new bytes, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with scratch.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store in a directory. Reading needs no lock; every write is idempotent."""

    root: Path

    def package_path(self, sha256: str) -> Path:
        """Where the pool keeps the RPM with this sha256."""
        return self.root / "pool" / "sha256" / sha256[:2] / f"{sha256}.rpm"

    def meta_path(self, sha256: str) -> Path:
        """Where the store keeps the repository metadata file with this sha256."""
        return self.root / "meta" / "sha256" / sha256

    def document_path(self, kind: str, digest: str) -> Path:
        """Where the store keeps a document of this kind and digest."""
        return self.root / "documents" / kind / f"{digest.removeprefix('sha256:')}.json"

    def add_file(self, source: Path, target: Path, sha256: str) -> None:
        """Copy `source` to `target` if its bytes are the promised ones. Raises TrustError."""
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            shutil.copyfile(source, scratch)
            found = sha256_file(scratch)
            if found != sha256:
                raise TrustError(f"{source.name}: sha256 is {found}, expected {sha256}")
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)

    def put_document(self, kind: str, value: Mapping[str, Any]) -> str:
        """Store a document; returns its digest (``sha256:...``)."""
        data = canonical_json(value)
        sha256 = sha256_bytes(data)
        path = self.document_path(kind, sha256)
        if not path.exists():
            write_atomically(path, data)
        return f"sha256:{sha256}"

    def get_document(self, kind: str, digest: str) -> dict[str, Any]:
        """Read a document back. Raises MissingError, or DocumentError when its bytes changed."""
        path = self.document_path(kind, digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise MissingError(f"the store has no {kind} {digest}") from None
        if f"sha256:{sha256_bytes(data)}" != digest:
            raise DocumentError(f"{path}: its bytes do not match its name; the file was changed")
        value: dict[str, Any] = json.loads(data)
        return value

    def set_ref(self, kind: str, name: str, digest: str) -> None:
        """Let `name` stand for `digest` from now on."""
        write_atomically(self.root / "refs" / kind / name, f"{digest}\n".encode())

    def get_ref(self, kind: str, name: str) -> str | None:
        """The digest that `name` stands for, or None."""
        try:
            return (self.root / "refs" / kind / name).read_text().strip()
        except FileNotFoundError:
            return None
