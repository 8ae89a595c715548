from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror import opened as module
from goldpress.mirror.opened import opened

TEXT = b"<metadata/>" * 200_000


@pytest.mark.parametrize("packed", [TEXT, gzip.compress(TEXT), lzma.compress(TEXT)])
def test_plain_gzip_and_xz_are_opened(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed)
    chunks = list(opened(path))
    assert b"".join(chunks) == TEXT
    assert max(map(len, chunks)) <= 1 << 20


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
        (b"\x28\xb5\x2f\xfd" + b"\0" * 20, "primary: zstd is not supported yet\n  name a repo"),
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


def test_no_file_is_larger_than_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    monkeypatch.setattr(module, "MAX_OPEN_BYTES", 1000)
    with pytest.raises(TrustError, match=r"open to more than 1000; refused"):
        list(opened(path))
