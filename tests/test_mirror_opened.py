from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from goldpress.errors import TrustError
from goldpress.mirror.metadata import opened as module
from goldpress.mirror.metadata.opened import opened, suffix_of

TEXT = b"<metadata/>" * 200_000


ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)


@pytest.mark.parametrize(
    ("packed", "suffix"),
    [
        (TEXT, ""),
        (gzip.compress(TEXT), ".gz"),
        (lzma.compress(TEXT), ".xz"),
        (bz2.compress(TEXT), ".bz2"),
        (ZSTD, ".zst"),
    ],
)
def test_every_compression_is_opened(tmp_path: Path, packed: bytes, suffix: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed)
    assert suffix_of(path) == suffix
    chunks = list(opened(path))
    assert b"".join(chunks) == TEXT
    assert max(map(len, chunks)) <= 1 << 20


def test_zstd_may_have_several_frames(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(ZSTD + ZSTD)
    assert b"".join(opened(tmp_path / "file")) == TEXT + TEXT


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(opened(tmp_path / "file")) == []


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (gzip.compress(TEXT)[:-20], "primary: damaged: "),
        (gzip.compress(TEXT)[:-8] + b"\0" * 8, "primary: damaged: CRC"),
        (gzip.compress(TEXT)[:30] + b"\xff" * 900, "primary: damaged: "),
        (lzma.compress(TEXT)[:-20], "primary: damaged: "),
        (lzma.compress(TEXT)[:40] + b"\xff" * 300, "primary: damaged: "),
        (bz2.compress(TEXT)[:-10], "primary: damaged: "),
        (ZSTD[:-1], "primary: damaged: it ends in the middle of a frame"),
        (
            ZSTD[:-4] + b"\0\0\0\0",
            "primary: damaged: zstd decompressor error: .*doesn't match checksum",
        ),
        (ZSTD + b"rest", "primary: damaged: zstd decompressor error: "),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "primary: damaged: zstd decompressor error: "),
    ],
)
def test_damage_is_named(tmp_path: Path, packed: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed)
    with pytest.raises(TrustError, match=message):
        list(opened(path, name="primary"))


def test_a_bomb_is_left_before_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with gzip.open(path, "wb") as stream:
        for _ in range(40):
            stream.write(bytes(1 << 20))
    with pytest.raises(TrustError, match=r"file: \d+ bytes open to more than 33554432; refused"):
        list(opened(path))


def test_a_bomb_of_zstd_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(40 << 20)))
    with pytest.raises(TrustError, match=r"file: \d+ bytes open to more than 33554432; refused"):
        list(opened(path))


def test_nothing_opens_to_more_than_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(TEXT))
    assert sum(map(len, opened(path, size=len(TEXT)))) == len(TEXT)
    with pytest.raises(TrustError, match=r"file: \d+ bytes open to more than 2199999; refused"):
        list(opened(path, size=len(TEXT) - 1))


def test_no_file_is_larger_than_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    monkeypatch.setattr(module, "MAX_OPEN_BYTES", 1000)
    with pytest.raises(TrustError, match=r"open to more than 1000; refused"):
        list(opened(path))
