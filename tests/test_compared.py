"""Two presses of the same inputs: one image or not, and where they part."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from signed import manifest

from goldpress.compared import (
    block_difference,
    file_difference,
    kept_places,
    part_at,
    refuse_different,
    root_difference,
)
from goldpress.digest import short
from goldpress.errors import BuildError
from goldpress.publish.blocks import BlockIndex

MIB = 1 << 20
SIZES = {"esp": 2 * MIB, "root": 4 * MIB, "root-verity": MIB, "var": 3 * MIB}


def index(**texts: str) -> BlockIndex:
    return BlockIndex(
        blocks={int(n[1:]): hashlib.sha256(t.encode()).digest() for n, t in texts.items()}
    )


def test_the_same_image_is_let_through_and_nobody_looks_for_more() -> None:
    def never() -> str:
        raise AssertionError("there is no difference to find")

    refuse_different(manifest(), manifest(), first=never)


def test_what_differs_is_named_with_the_first_place() -> None:
    other = manifest(disk_sha256="d" * 64, block_root="e" * 64)
    with pytest.raises(BuildError) as caught:
        refuse_different(manifest(), other, first=lambda: "/etc/passwd")
    assert caught.value.message == (
        f"{short(manifest().digest)} was not reproduced, its inputs made {short(other.digest)}: "
        "disk_sha256, block_root differ; the first difference is in /etc/passwd"
    )
    assert "the time, the host or an order" in caught.value.hint


@pytest.mark.parametrize(
    ("offset", "part"),
    [
        (0, "the partition table"),
        (MIB - 1, "the partition table"),
        (MIB, "the partition esp"),
        (3 * MIB - 1, "the partition esp"),
        (3 * MIB, "the partition root"),
        (7 * MIB, "the partition root-verity"),
        (8 * MIB, "the partition var"),
        (11 * MIB - 1, "the partition var"),
        (11 * MIB, "the second partition table"),
    ],
)
def test_every_byte_belongs_to_a_part(offset: int, part: str) -> None:
    assert part_at(offset, SIZES) == part


def test_the_first_block_is_named_with_its_partition() -> None:
    found = block_difference(index(b0="a", b7="x", b9="y"), index(b0="a", b7="z", b9="w"), SIZES)
    one, other = (hashlib.sha256(text).hexdigest() for text in (b"x", b"z"))
    assert found == (
        f"the partition root, at byte {7 * 524288} of the disk: "
        f"block 7: expected {one}, found {other}"
    )


def test_a_block_that_has_or_lost_its_data_is_a_difference() -> None:
    assert block_difference(index(b0="a", b16="x"), index(b0="a"), SIZES).endswith("found zeros")
    assert "block 16: expected zeros" in block_difference(index(), index(b16="x"), SIZES)


def test_without_such_a_block_the_size_is_left() -> None:
    assert block_difference(index(b0="a"), index(b0="a"), SIZES).endswith("its size")


def places(directory: Path, **texts: str) -> dict[str, Path]:
    """The products of an image; `texts` are those of its files, but for the plain ones."""
    rows = {"tree": "a", "var": "b", "initrd": "c", "vmlinuz": "d", **texts}
    found = {name: directory / name for name in ("rootfs", "initrd")}
    for path, name in (
        (found["rootfs"] / "tree/etc/passwd", "tree"),
        (found["rootfs"] / "var/lib/state", "var"),
        (found["initrd"] / "initrd", "initrd"),
        (found["initrd"] / "vmlinuz", "vmlinuz"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows[name])
    for path in directory.rglob("*"):
        os.utime(path, (1, 1))
    return found


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"tree": "x"}, "/etc/passwd: {"),
        ({"var": "x"}, "/var/lib/state: {"),
        ({"initrd": "x"}, "the initrd"),
        ({"vmlinuz": "x"}, "the vmlinuz"),
        ({}, "the file systems or the partition table, though all files are the same"),
    ],
)
def test_the_first_file_is_named(tmp_path: Path, texts: Mapping[str, str], said: str) -> None:
    found = file_difference(places(tmp_path / "a"), places(tmp_path / "b", **texts))
    assert found.startswith(said)


def product(directory: Path, facts: Mapping[str, str], inputs: Mapping[str, str]) -> None:
    directory.mkdir(parents=True)
    record = {"facts": dict(facts), "inputs": dict(inputs)}
    (directory / "product.json").write_text(json.dumps(record))


def test_products_of_the_original_are_found_by_its_disk(tmp_path: Path) -> None:
    wanted = manifest()
    stages, inputs = tmp_path / "stages", {"rootfs": "r1", "initrd": "i1"}
    assert kept_places(tmp_path, wanted) is None
    product(stages / "disk/d0", {"sha256": "0" * 64}, {"rootfs": "r0", "initrd": "i0"})
    product(stages / "disk/.d1.part", {"sha256": wanted.disk_sha256}, inputs)
    product(stages / "rootfs/r1", {}, {})
    assert kept_places(tmp_path, wanted) is None
    product(stages / "disk/d1", {"sha256": wanted.disk_sha256}, inputs)
    # Its initrd was pruned.
    assert kept_places(tmp_path, wanted) is None
    product(stages / "initrd/i1", {}, {})
    found = kept_places(tmp_path, wanted)
    assert found == {"rootfs": stages / "rootfs/r1", "initrd": stages / "initrd/i1"}


def test_manifests_alone_tell_the_part_of_the_disk() -> None:
    assert "the root file system" in root_difference(manifest(), manifest(root_hash="0" * 64))
    assert "the EFI partition, /var" in root_difference(manifest(), manifest(disk_sha256="0" * 64))
