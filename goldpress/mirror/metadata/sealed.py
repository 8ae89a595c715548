"""Owns files that this machine made for itself and can make again: whole, or known not to be.

The first line is the sha256 of the rest. A power cut can leave the beginning of a file behind,
and a reader that does not notice would go on with a part of what there is.
"""

from __future__ import annotations

from pathlib import Path

from goldpress.digest import sha256_bytes


def seal(path: Path, body: bytes) -> None:
    """Write `body` with its sha256 before it."""
    path.write_bytes(f"{sha256_bytes(body)}\n".encode() + body)


def unsealed(path: Path) -> bytes:
    """What was sealed. Raises ValueError when the file is another, or a part of it."""
    head, _, body = path.read_bytes().partition(b"\n")
    if head.decode(errors="replace") != sha256_bytes(body):
        raise ValueError(f"{path.name} is damaged")
    return body
