"""Block indexes: the manifest's root, holes unread, what changed and what became zero."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from publications import block, make_disk

from goldpress.aws.ebs import BLOCK_BYTES
from goldpress.disk.image import EBS_BLOCK, measure
from goldpress.errors import DocumentError, TrustError
from goldpress.publish.blocks import (
    ZEROS_SHA256,
    BlockIndex,
    data_blocks,
    index_disk,
    parse_index,
    read_block,
    volume_gib,
)


def test_the_root_is_that_of_the_manifest(tmp_path: Path) -> None:
    assert BLOCK_BYTES == EBS_BLOCK
    raw = make_disk(tmp_path / "raw", {i: block(str(i)) for i in (0, 5, 6, 63)}, count=64)
    made = index_disk(raw, expected_root=measure(raw)[1])
    assert sorted(made.blocks) == [0, 5, 6, 63]


def test_a_disk_that_ends_within_a_block_is_filled_with_zeros(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(block("a") + b"tail")
    made = index_disk(raw, expected_root=measure(raw)[1])
    assert sorted(made.blocks) == [0, 1]
    with raw.open("rb") as stream:
        assert read_block(stream.fileno(), 1) == b"tail".ljust(BLOCK_BYTES, b"\0")


def test_written_zeros_are_no_blocks(tmp_path: Path) -> None:
    raw = make_disk(tmp_path / "raw", {1: bytes(BLOCK_BYTES), 2: block("a")}, count=4)
    assert sorted(index_disk(raw, expected_root=measure(raw)[1]).blocks) == [2]


def test_holes_are_not_read(tmp_path: Path) -> None:
    raw = make_disk(tmp_path / "raw", {}, count=10_000)
    raw.open("r+b").close()
    with raw.open("r+b") as stream:
        # Data in the middle of one block, across the border of the next two.
        os.pwrite(stream.fileno(), b"x", 700 * BLOCK_BYTES + 99)
        os.pwrite(stream.fileno(), b"y" * 8192, 801 * BLOCK_BYTES - 4096)
        assert list(data_blocks(stream.fileno())) == [700, 800, 801]


def test_another_disk_than_the_manifests_is_refused(tmp_path: Path) -> None:
    raw = make_disk(tmp_path / "raw", {0: block("a")}, count=4)
    with pytest.raises(TrustError, match=r"its block root is .*, but its manifest says 0000"):
        index_disk(raw, expected_root="0" * 64)


def test_a_delta_holds_what_changed_and_what_became_zero() -> None:
    parent = BlockIndex(blocks={0: b"a" * 32, 1: b"b" * 32, 2: b"c" * 32})
    child = BlockIndex(blocks={0: b"a" * 32, 1: b"x" * 32, 9: b"d" * 32})
    assert child.changed_from(parent) == {1: b"x" * 32, 9: b"d" * 32, 2: ZEROS_SHA256}
    assert child.changed_from(child) == {}


def test_an_index_comes_back_from_its_document() -> None:
    index = BlockIndex(blocks={3: b"a" * 32, 1: b"b" * 32})
    assert parse_index(index.to_document()) == index
    with pytest.raises(DocumentError, match="block index: not one that I know"):
        parse_index({**index.to_document(), "block_bytes": 4096})
    with pytest.raises(DocumentError, match="block index: KeyError"):
        parse_index({})


@pytest.mark.parametrize(("size", "gib"), [(1, 1), (1 << 30, 1), ((1 << 30) + 1, 2), (5 << 30, 5)])
def test_a_volume_is_whole_gib(size: int, gib: int) -> None:
    assert volume_gib(size) == gib
