"""Owns identity: sha256 over bytes, files and canonical JSON.

A *sha256* is 64 lowercase hex digits; a *digest* is the same with the prefix ``sha256:``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """The sha256 (64 hex digits) of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 (64 hex digits) of a file's bytes. Raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def canonical_json(value: object) -> bytes:
    """Sorted keys, no spaces, UTF-8, no NaN: equal values have equal bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_of(value: object) -> str:
    """The digest (``sha256:...``) of a JSON value in canonical form."""
    return f"sha256:{sha256_bytes(canonical_json(value))}"


def sha256_tree(root: Path, files: Iterable[Path] | None = None) -> str:
    """The sha256 over (relative path, kind, executable bit, bytes) of a small source tree.

    Byte-compiled Python is left out: it appears by merely running the code.
    """
    if files is None:
        files = (p for p in root.rglob("*") if "__pycache__" not in p.parts)
    rows: list[list[object]] = []
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            rows.append([name, "link", str(path.readlink())])
        elif path.is_file():
            rows.append([name, "file", bool(path.stat().st_mode & 0o111), sha256_file(path)])
    return sha256_bytes(canonical_json(rows))


def content_uuid(sha256: str) -> str:
    """A UUID (RFC 9562 version 8: of the vendor's own making) named by content."""
    text = f"{sha256[:12]}8{sha256[13:16]}8{sha256[17:32]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def short(digest: str) -> str:
    """The first twelve hex digits, for people and directory names."""
    return digest.removeprefix("sha256:")[:12]


def combined(parts: Mapping[str, str]) -> str:
    """One sha256 over named parts, independent of their order."""
    return sha256_bytes(canonical_json(dict(parts)))
