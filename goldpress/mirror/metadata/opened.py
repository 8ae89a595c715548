"""Owns opening compressed metadata under limits that a bomb cannot pass.

gzip, xz, bzip2, zstd or plain, told by the first bytes, not by the name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from goldpress.digest import CHUNK_BYTES
from goldpress.errors import TrustError

#: The largest real file (a full AppStream's) opens to about 130 MB.
MAX_OPEN_BYTES = 1 << 30
#: Real metadata is 14:1, lists of files up to 30:1; a bomb is 1000:1. Small files may be denser.
MAX_RATIO = 100
RATIO_FREE_BYTES = 32 << 20

GZIP = b"\x1f\x8b"
XZ = b"\xfd7zXZ\x00"
BZIP2 = b"BZh"
ZSTD = b"\x28\xb5\x2f\xfd"
#: Suffixes that dnf goes by, by the first bytes of a file.
SUFFIXES = {GZIP: ".gz", XZ: ".xz", BZIP2: ".bz2", ZSTD: ".zst"}

_OPENERS: Mapping[bytes, Callable[[BinaryIO], object]] = {
    GZIP: gzip.open,
    XZ: lzma.open,
    BZIP2: bz2.open,
}
#: What `zstd -d` allows; the memory that one file can make us take.
_ZSTD_WINDOW_BYTES = 1 << 27
#: Four bytes of zstd open to 128 KiB at most: no step gives more than 16 MiB.
_ZSTD_STEP_BYTES = 512


def opened(path: Path, *, name: str = "", size: int = 0) -> Iterator[bytes]:
    """The decompressed bytes of `path` in chunks of at most 1 MiB; `name` is for messages.

    `size` is the open size that the repository promises, when it does. Raises TrustError for
    damage, for more than that, or a bomb. (That the packed bytes are the promised ones is the
    caller's to check; the opened ones follow from them.)
    """
    name = name or path.name
    packed = path.stat().st_size
    allowed = min(MAX_OPEN_BYTES, max(RATIO_FREE_BYTES, packed * MAX_RATIO))
    allowed = min(allowed, size) if size else allowed
    total = 0
    with path.open("rb") as raw:
        chunks = _chunks(raw)
        while True:
            try:
                chunk = next(chunks, b"")
            except (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
                raise TrustError(f"{name}: damaged: {error}") from None
            if not chunk:
                break
            total += len(chunk)
            if total > allowed:
                raise TrustError(f"{name}: {packed} bytes open to more than {allowed}; refused")
            yield chunk


def suffix_of(path: Path) -> str:
    """The suffix of the compression that a file has, ``""`` when it has none."""
    with path.open("rb") as stream:
        beginning = stream.read(len(XZ))
    return next((s for magic, s in SUFFIXES.items() if beginning.startswith(magic)), "")


def _chunks(raw: BinaryIO) -> Iterator[bytes]:
    magic = raw.read(len(XZ))
    raw.seek(0)
    if magic.startswith(ZSTD):
        yield from _zstd_chunks(raw)
        return
    opener = next((o for m, o in _OPENERS.items() if magic.startswith(m)), None)
    stream = cast("BinaryIO", opener(raw)) if opener else raw
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _zstd_chunks(raw: BinaryIO) -> Iterator[bytes]:
    # Not its stream_reader: that takes the end of a truncated file for the end of the data.
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = None
    while step := raw.read(_ZSTD_STEP_BYTES):
        while step:
            frame = frame or frames.decompressobj()
            data = frame.decompress(step)
            for at in range(0, len(data), CHUNK_BYTES):
                yield data[at : at + CHUNK_BYTES]
            step = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("it ends in the middle of a frame")
