"""Owns the checks of the disk: the root is the image's, to the byte, and /var is the machine's."""

from __future__ import annotations

import pytest
from promise import Promise
from sections import Facts, Section

DEVICE = "/dev/mapper/root"
SECTOR = 512
MIB = 1 << 20
#: What ext4 keeps for itself of a partition is below this.
FILE_SYSTEM_SHARE = 0.9
#: Fields of a line of `dmsetup table` for a verity target without optional arguments, name first.
TABLE_FIELDS = 14
ROOT_HASH_FIELD = 12


def mount(section: Section) -> tuple[str, str, list[str]]:
    """Source, file system and options of a findmnt line."""
    (row,) = section.lines
    source, kind, options = row.split()
    return source, kind, options.split(",")


def table(facts: Facts) -> list[str]:
    """The fields of the one verity target: `root: first length verity version data hash ...`."""
    rows = facts.good("verity-table").lines
    assert len(rows) == 1, f"dmsetup names {len(rows)} verity devices, not one: {rows}"
    fields = rows[0].split()
    assert fields[0] == "root:", f"the verity device is {fields[0]}"
    return fields


def halves(root_hash: str) -> tuple[str, str]:
    """The UUIDs of the root's and the hash tree's partition, which are the root hash's halves."""
    uuids = []
    for digits in (root_hash[:32], root_hash[32:]):
        groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        uuids.append("-".join(groups))
    return uuids[0], uuids[1]


@pytest.mark.control("disk-root-read-only")
def test_root_is_mounted_read_only(facts: Facts) -> None:
    """The root is ext4 and mounted read-only."""
    _, kind, options = mount(facts.good("root-mount"))
    assert kind == "ext4", f"the root is {kind}, not ext4"
    assert "ro" in options, f"the root is mounted {','.join(options)}"


@pytest.mark.control("disk-root-verity")
def test_root_is_checked_against_the_images_hash(facts: Facts, promise: Promise) -> None:
    """The kernel checks the mounted root against the manifest's root hash, with no exception."""
    source, _, _ = mount(facts.good("root-mount"))
    assert source == DEVICE, f"the root is mounted from {source}, not through dm-verity"
    words = facts.good("command-line").text.split()
    said = [word.partition("=")[2] for word in words if word.startswith("roothash=")]
    assert said == [promise.root_hash], f"roothash= on the command line is {said or 'absent'}"
    fields = table(facts)
    found = fields[ROOT_HASH_FIELD : TABLE_FIELDS - 1]
    assert found == [promise.root_hash], f"the verity device has another root hash: {found}"
    extra = fields[TABLE_FIELDS:]
    assert not extra, f"the verity device has options: {' '.join(extra)}"


@pytest.mark.control("disk-root-identity")
def test_root_is_the_images_partition(facts: Facts, promise: Promise) -> None:
    """Root and hash tree are the very partitions of the image, not others of the same content."""
    partitions = dict(row.split(maxsplit=1) for row in facts.good("partitions").lines)
    wanted = [partitions.get(uuid, "absent") for uuid in halves(promise.root_hash)]
    found = table(facts)[5:7]
    assert found == wanted, f"the verity device is on {found}; the image's partitions are {wanted}"


@pytest.mark.control("disk-root-intact")
def test_no_block_of_the_root_was_found_changed(facts: Facts) -> None:
    """Every block of the root that was read since the boot was as the image has it."""
    rows = facts.good("verity-status").lines
    found = [row.split()[-1] for row in rows]
    assert found == ["V"], f"dm-verity says {' '.join(rows) or 'nothing'}: a block has changed"


def check_refused(probe: Section, could: str, because: str) -> None:
    """What was tried did not work, for this reason and no other."""
    assert probe.status != 0, could
    assert because in probe.text, f"refused for another reason: {probe.text}"


@pytest.mark.control("disk-root-not-remountable")
def test_root_cannot_be_remounted_writable(facts: Facts) -> None:
    """Not even root can remount the root file system writable."""
    check_refused(
        facts.sections["remount-root"], "the root could be remounted writable", "write-protected"
    )


@pytest.mark.control("disk-root-device-not-writable")
def test_root_device_cannot_be_written(facts: Facts) -> None:
    """Not even root can write to the device below the root file system."""
    check_refused(
        facts.sections["write-root-device"], f"{DEVICE} could be written", "Operation not permitted"
    )


@pytest.mark.control("disk-usr-not-writable")
def test_usr_cannot_be_written(facts: Facts) -> None:
    """Not even root can write below /usr."""
    check_refused(
        facts.sections["write-usr"], "a file could be made in /usr", "Read-only file system"
    )


@pytest.mark.control("disk-etc-not-writable")
def test_etc_cannot_be_written(facts: Facts) -> None:
    """Not even root can write below /etc."""
    check_refused(
        facts.sections["write-etc"], "a file could be made in /etc", "Read-only file system"
    )


@pytest.mark.control("disk-var-separate")
def test_var_is_separate_and_writable(facts: Facts) -> None:
    """/var is a partition of its own, and can be written."""
    source, _, options = mount(facts.good("var-mount"))
    root = mount(facts.good("root-mount"))[0]
    assert source != root, f"/var is on the root's device {root}"
    assert "rw" in options, f"/var is mounted {','.join(options)}"
    facts.good("write-var")


@pytest.mark.control("disk-var-grown")
def test_var_fills_the_disk(facts: Facts) -> None:
    """/var's partition reaches the end of the disk, and its file system fills the partition."""
    start, size, disk, blocks, block = map(int, facts.good("var-size").text.split())
    free = (disk - start - size) * SECTOR
    assert free <= 2 * MIB, f"{free // MIB} MiB of the disk lie unused behind /var"
    share = blocks * block / (size * SECTOR)
    assert share >= FILE_SYSTEM_SHARE, f"/var uses {share:.0%} of its partition"
