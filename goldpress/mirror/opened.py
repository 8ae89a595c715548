"""Owns opening compressed metadata: gzip, xz or plain, under limits that a bomb cannot pass."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from goldpress.digest import CHUNK_BYTES
from goldpress.errors import TrustError

#: The largest real file (a full AppStream's) opens to about 130 MB.
MAX_OPEN_BYTES = 1 << 30
#: Real metadata is 14:1, lists of files up to 30:1; a bomb is 1000:1. Small files may be denser.
MAX_RATIO = 100
RATIO_FREE_BYTES = 32 << 20

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"


def opened(path: Path, *, name: str = "") -> Iterator[bytes]:
    """The decompressed bytes of `path` in chunks of at most 1 MiB; `name` is for messages.

    Raises TrustError for damage, a bomb, or a compression that cannot be read. (That the packed
    bytes are the promised ones is the caller's to check; the opened ones follow from them.)
    """
    name = name or path.name
    packed = path.stat().st_size
    allowed = min(MAX_OPEN_BYTES, max(RATIO_FREE_BYTES, packed * MAX_RATIO))
    size = 0
    with path.open("rb") as raw:
        stream = _decompressing(raw, name)
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
                raise TrustError(f"{name}: damaged: {error}") from None
            if not chunk:
                break
            size += len(chunk)
            if size > allowed:
                raise TrustError(f"{name}: {packed} bytes open to more than {allowed}; refused")
            yield chunk


def _decompressing(raw: BinaryIO, name: str) -> BinaryIO:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if magic.startswith(_XZ):
        return cast("BinaryIO", lzma.LZMAFile(raw))
    if magic.startswith(_ZSTD):
        raise TrustError(
            f"{name}: zstd is not supported yet",
            hint="name a repository that offers gzip or xz metadata",
        )
    return raw
