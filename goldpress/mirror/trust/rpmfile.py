"""Owns the shape of an RPM file before rpm itself reads it: sizes of its headers, signature tags.

A file is a lead (96 bytes), a signature header, padding to eight bytes, the header, the payload.
A header is a magic, two counts, an index of 16 bytes a tag, and data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from goldpress.errors import TrustError

LEAD_BYTES = 96
LEAD_MAGIC = b"\xed\xab\xee\xdb"
HEADER_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
TAG_BYTES = 16

#: rpm's own limit of tags in a header, and a quarter of its limit of bytes: the largest header in
#: use (20,000 files with IMA signatures) is some ten MiB, and rpm reads it whole into memory.
MOST_TAGS = 0xFFFF
MOST_BYTES = 64 << 20

#: Signatures that rpm 4.14 to 4.19 judge: EdDSA or DSA, RSA; and the same over header and payload.
JUDGED = frozenset({267, 268, 1002, 1005})
#: Where rpm 6 writes signatures: several, of any OpenPGP version. Older ones pass over it.
OPENPGP = 278


@dataclass(frozen=True, kw_only=True)
class RpmFile:
    """The tags of a file's signature header."""

    signature_tags: frozenset[int]

    @property
    def judged(self) -> bool:
        """Whether it has a signature in a format that rpm 4.14 to 4.19 judge."""
        return bool(self.signature_tags & JUDGED)

    @property
    def newer(self) -> bool:
        """Whether it has a signature in the format that only rpm 6 judges."""
        return OPENPGP in self.signature_tags


def read_rpm(path: Path, *, nevra: str) -> RpmFile:
    """The shape of a file; `nevra` is what messages call it.

    Raises TrustError for what is not the start of an RPM, or has a header that is too large.
    """
    with path.open("rb") as stream:
        lead = _exactly(stream, LEAD_BYTES, nevra)
        if not lead.startswith(LEAD_MAGIC):
            raise _damaged(nevra, "it does not begin as an RPM file does")
        tags, size = _counts(stream, nevra, "signature header")
        index = _exactly(stream, tags * TAG_BYTES, nevra)
        stream.seek(size + -size % 8, 1)
        _counts(stream, nevra, "header")
    rows = struct.iter_unpack(">IIII", index)
    return RpmFile(signature_tags=frozenset(row[0] for row in rows))


def _counts(stream: BinaryIO, nevra: str, what: str) -> tuple[int, int]:
    start = _exactly(stream, len(HEADER_MAGIC) + 8, nevra)
    if not start.startswith(HEADER_MAGIC):
        raise _damaged(nevra, f"where its {what} should begin is something else")
    tags, size = struct.unpack(">II", start[len(HEADER_MAGIC) :])
    if tags > MOST_TAGS or size > MOST_BYTES:
        raise TrustError(
            f"{nevra}: its {what} says that it has {tags} tags and {size} bytes; refused",
            hint=f"at most {MOST_TAGS} tags and {MOST_BYTES} bytes are read",
        )
    return tags, size


def _exactly(stream: BinaryIO, size: int, nevra: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _damaged(nevra, "it ends before its header does")
    return data


def _damaged(nevra: str, fault: str) -> TrustError:
    return TrustError(
        f"{nevra}: damaged: {fault}; expected a whole RPM file",
        hint="delete the file in the pool and run `./inv mirror.sync`",
    )
