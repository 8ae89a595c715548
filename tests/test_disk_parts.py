"""Disk parts: addresses, tables and file systems, before anything is booted."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldpress.digest import sha256_file
from goldpress.disk import ext4
from goldpress.disk.esp import make_esp
from goldpress.disk.image import EBS_BLOCK, measure
from goldpress.disk.partitions import MIB, TYPES, disk_size, place, sfdisk_script, write_disk
from goldpress.disk.uki import end_of_sections, plan_sections
from goldpress.errors import BuildError, CommandError
from goldpress.host import trees
from goldpress.host.confine import remove_tree
from goldpress.host.run import run


def fake_stub(*sections: tuple[int, int], base: int = 0x10000, magic: int = 0x20B) -> bytes:
    """A PE32+ header with sections of (virtual address, size)."""
    head = bytearray(0x400)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    head[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", head, 0x86, len(sections))
    struct.pack_into("<H", head, 0x94, 0xF0)
    struct.pack_into("<H", head, 0x98, magic)
    struct.pack_into("<Q", head, 0x98 + 24, base)
    for index, (address, size) in enumerate(sections):
        struct.pack_into("<II", head, 0x98 + 0xF0 + 40 * index + 8, size, address)
    return bytes(head)


def test_sections_start_at_the_page_behind_the_stubs_last(tmp_path: Path) -> None:
    start = end_of_sections(fake_stub((0x1000, 0x20), (0x5000, 0x1001), (0x3000, 0x10)))
    assert start == 0x10000 + 0x7000
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").write_bytes(b"x")
    sections = plan_sections(start, [(".cmdline", tmp_path / "a"), (".linux", tmp_path / "b")])
    assert [s.address for s in sections] == [0x17000, 0x19000]


@pytest.mark.parametrize(
    ("stub", "message"),
    [
        (b"ELF" + bytes(2000), "the EFI stub is not a PE file"),
        (fake_stub((0, 1), magic=0x10B), r"the EFI stub is not PE32\+"),
    ],
)
def test_a_strange_stub_is_refused(stub: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        end_of_sections(stub)


def test_table_is_written_and_read_back(tmp_path: Path) -> None:
    contents = []
    for name, size in (("esp", 3 * MIB), ("root", 2 * MIB + 1)):
        path = tmp_path / name
        path.write_bytes(name.encode().ljust(size, b"."))
        contents.append(
            (name, TYPES["var"], f"00000000-0000-8000-8000-00000000000{size % 7}", path)
        )
    parts = place(contents)
    assert [(p.offset, p.size) for p in parts] == [(MIB, 3 * MIB), (4 * MIB, 3 * MIB)]
    raw = tmp_path / "disk.raw"
    write_disk(raw, "11111111-2222-8333-8444-555555555555", parts)
    assert raw.stat().st_size == disk_size(parts) == 8 * MIB
    dump = run(("sfdisk", "--dump", raw)).text
    assert "label-id: 11111111-2222-8333-8444-555555555555" in dump
    assert "start=        8192, size=        6144" in dump
    with raw.open("rb") as stream:
        stream.seek(4 * MIB)
        assert stream.read(4) == b"root"
    assert 'name="root"' in sfdisk_script("x", parts)


def test_esp_is_the_same_twice_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    uki = tmp_path / "uki.efi"
    uki.write_bytes(b"MZ" * 1000)
    for name in ("a.img", "b.img"):
        make_esp(
            tmp_path / name, uki, arch="x86_64", size=40 * MIB, volume_id="0123abcd", epoch=10**9
        )
        uki.touch()
    assert sha256_file(tmp_path / "a.img") == sha256_file(tmp_path / "b.img")
    listing = run(("mdir", "-i", tmp_path / "a.img", "-b", "::/EFI/BOOT")).text
    assert "BOOTX64.EFI" in listing
    uki.write_bytes(bytes(37 * MIB))
    with pytest.raises(BuildError, match=r"\(37 MiB\) does not fit the ESP\n.*disk.esp_mib"):
        make_esp(
            tmp_path / "c.img", uki, arch="x86_64", size=40 * MIB, volume_id="0123abcd", epoch=1
        )


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "tree"
    root.mkdir()
    trees.apply(root, [trees.write("/etc/a b", b"x"), trees.write("/usr/é", b"y" * 9000)])
    yield root
    remove_tree(root)


def plan(size: int, *, inodes: int = 1024) -> ext4.Ext4:
    return ext4.Ext4(
        label="root", uuid="01234567-89ab-8def-8123-456789abcdef", size=size, inodes=inodes,
        journal=False, epoch=1_500_000_000,
    )  # fmt: skip


def test_ext4_has_labels_times_and_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    entries = trees.scan(tree)
    size, inodes = ext4.room_for(entries)
    labels = {e.path: "system_u:object_r:etc_t:s0" for e in entries}
    trees.clamp(tree, 1_500_000_000)
    images = [tmp_path / "a.ext4", tmp_path / "b.ext4"]
    for image in images:
        ext4.make(plan(size, inodes=inodes), tree, image, labels)
        (tree / "etc/a b").read_bytes()
    assert sha256_file(images[0]) == sha256_file(images[1])
    stat = run(("debugfs", "-R", 'stat "/etc/a b"', images[0])).text
    assert 'security.selinux (27) = "system_u:object_r:etc_t:s0\\000"' in stat
    assert stat.count("0x59682f00") == 4


def test_a_label_for_a_file_that_is_not_there_is_an_error(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"label the root file system: .*File not found"):
        ext4.make(plan(16 * MIB), tree, tmp_path / "a.ext4", {"/etc/nothing": "x:y:z:s0"})


def test_a_file_system_that_is_too_small_is_an_error(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(bytes(range(256)) * 40000)
    with pytest.raises(CommandError, match="make the root file system: exit status 1"):
        ext4.make(plan(4 * MIB), tree, tmp_path / "a.ext4", {})


def test_block_root_ignores_zero_blocks_and_tells_their_place(tmp_path: Path) -> None:
    def disk(name: str, *blocks: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(b.ljust(EBS_BLOCK, b"\0") for b in blocks))
        return path

    first = measure(disk("a", b"1", b"", b"2"))
    longer = measure(disk("b", b"1", b"", b"2", b""))
    moved = measure(disk("c", b"1", b"2", b""))
    assert first[1] == longer[1] != moved[1]
    assert first[0] != longer[0]
