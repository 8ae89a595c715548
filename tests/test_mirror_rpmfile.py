from __future__ import annotations

import struct
from pathlib import Path

import pytest
from rpms import Rpms

from goldpress.errors import TrustError
from goldpress.mirror.trust.rpmfile import MOST_BYTES, MOST_TAGS, OPENPGP, read_rpm


def refusal(path: Path) -> str:
    with pytest.raises(TrustError) as caught:
        read_rpm(path, nevra="a-0:1-1.noarch")
    return str(caught.value)


def counts(data: bytes, at: int, tags: int, size: int) -> bytes:
    return data[: at + 8] + struct.pack(">II", tags, size) + data[at + 16 :]


def main_header(data: bytes) -> int:
    """Where the header begins."""
    tags, size = struct.unpack(">II", data[104:112])
    return int(112 + 16 * tags + size + -size % 8)


def test_the_shape_of_a_signed_and_of_an_unsigned_file(rpms: Rpms) -> None:
    signed = read_rpm(rpms.good, nevra="good")
    assert (signed.judged, signed.newer) == (True, False)
    unsigned = read_rpm(rpms.unsigned, nevra="unsigned")
    assert (unsigned.judged, unsigned.newer) == (False, False)
    assert signed.signature_tags - unsigned.signature_tags == {268}
    assert OPENPGP not in signed.signature_tags


@pytest.mark.parametrize("size", [0, 3, 95, 96, 111, 150])
def test_a_file_that_ends_in_its_first_header_is_damaged(
    rpms: Rpms, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "a.rpm"
    path.write_bytes(rpms.good.read_bytes()[:size])
    assert refusal(path) == (
        "a-0:1-1.noarch: damaged: it ends before its header does; expected a whole RPM file\n"
        "  delete the file in the pool and run `./inv mirror.sync`"
    )


def test_a_file_that_ends_before_its_second_header_is_damaged(rpms: Rpms, tmp_path: Path) -> None:
    path = tmp_path / "a.rpm"
    data = rpms.good.read_bytes()
    for size in (main_header(data), main_header(data) + 15):
        path.write_bytes(data[:size])
        assert "damaged: it ends before its header does" in refusal(path)


def test_what_is_something_else_is_damaged(rpms: Rpms, tmp_path: Path) -> None:
    path = tmp_path / "a.rpm"
    path.write_bytes(b"<html>" * 100)
    assert "damaged: it does not begin as an RPM file does" in refusal(path)
    data = rpms.good.read_bytes()
    for place, what in ((96, "signature header"), (main_header(data), "header")):
        path.write_bytes(data[:place] + b"x" + data[place + 1 :])
        assert f"damaged: where its {what} should begin is something else" in refusal(path)


@pytest.mark.parametrize(
    ("tags", "size"), [(MOST_TAGS + 1, 10), (10, MOST_BYTES + 1), (0xFFFFFFFF, 0xFFFFFFFF)]
)
@pytest.mark.parametrize("which", ["signature header", "header"])
def test_a_header_that_claims_too_much_is_not_read(
    rpms: Rpms, tmp_path: Path, which: str, tags: int, size: int
) -> None:
    data = rpms.good.read_bytes()
    place = 96 if which == "signature header" else main_header(data)
    path = tmp_path / "a.rpm"
    path.write_bytes(counts(data, place, tags, size))
    assert refusal(path) == (
        f"a-0:1-1.noarch: its {which} says that it has {tags} tags and {size} bytes; refused\n"
        f"  at most {MOST_TAGS} tags and {MOST_BYTES} bytes are read"
    )
