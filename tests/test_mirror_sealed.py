from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.mirror.metadata.sealed import seal, unsealed


@pytest.mark.parametrize("body", [b"", b"text\nand more", bytes(range(256))])
def test_what_was_sealed_is_read_back(tmp_path: Path, body: bytes) -> None:
    seal(tmp_path / "a", body)
    assert unsealed(tmp_path / "a") == body


@pytest.mark.parametrize("start", [0, 1, 63, 64, 65, 70])
def test_another_byte_is_noticed(tmp_path: Path, start: int) -> None:
    path = tmp_path / "a"
    seal(path, b"some text")
    data = bytearray(path.read_bytes())
    data[start] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"^a is damaged$"):
        unsealed(path)


def test_a_part_is_noticed_and_so_is_more(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seal(path, b"some text")
    whole = path.read_bytes()
    for data in (*(whole[:length] for length in range(len(whole))), whole + b"x", b"\xff" + whole):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"^a is damaged$"):
            unsealed(path)
