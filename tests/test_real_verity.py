"""A changed byte of the root is an I/O error at that place, on the disk or under a running machine.

The byte is changed where the file system has the file's content, so without dm-verity the machine
would read it as it is.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pressing import booted_directly, sandbox_press

from goldpress.disk.verity import BLOCK, as_uuid
from goldpress.errors import MachineError
from goldpress.host.run import Completed, run
from goldpress.machine import ssh
from goldpress.machine.record import Machine
from goldpress.press import Pressed

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

#: No boot reads the first; every boot reads the second, which stays as it is until it is up.
UNREAD = "/usr/lib/goldpress/image.json"
IN_USE = "/etc/nginx/nginx.conf"


@pytest.fixture(scope="module")
def pressed() -> Pressed:
    return sandbox_press().press()


def offset(raw: Path, name: str = "root") -> int:
    """Where a partition begins, in bytes."""
    table = json.loads(run(("sfdisk", "--json", raw)).text)["partitiontable"]["partitions"]
    (start,) = [part["start"] for part in table if part["name"] == name]
    return int(start) * 512


def block_of(raw: Path, path: str) -> int:
    """The block of the root file system that holds the file's first bytes."""
    said = run(("debugfs", "-R", f"blocks {path}", f"{raw}?offset={offset(raw)}")).text
    return int(said.split()[0])


def flip(raw: Path, place: int) -> bytes:
    """Flip a bit of the byte at `place`; returns the block that begins there as it is now."""
    with raw.open("r+b") as stream:
        stream.seek(place)
        data = bytearray(stream.read(BLOCK))
        data[0] ^= 1
        stream.seek(place)
        stream.write(data)
    return bytes(data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spoiled:
    """A machine on a copy of the disk with one changed byte, in this block of the root."""

    machine: Machine
    block: int
    data: bytes

    def root(self, command: str) -> Completed:
        """Run a command as root."""
        return ssh.execute(self.machine, f"sudo sh -c '{command}'", check=False, timeout=60)


@pytest.fixture(scope="module")
def spoiled(pressed: Pressed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoiled]:
    folder = tmp_path_factory.mktemp("verity")
    raw = folder / "disk.raw"
    run(("cp", "--sparse=always", pressed.disk.raw, raw))
    block = block_of(raw, UNREAD)
    data = flip(raw, offset(raw) + block * BLOCK)
    changed = dataclasses.replace(pressed, disk=dataclasses.replace(pressed.disk, raw=raw))
    with booted_directly(changed, folder / "machine") as machine:
        yield Spoiled(machine=machine, block=block, data=data)
    shutil.rmtree(folder)


def test_the_command_line_and_the_manifest_name_the_root_hash(
    pressed: Pressed, spoiled: Spoiled
) -> None:
    found = spoiled.root("cat /proc/cmdline").text.split()
    assert f"roothash={pressed.manifest.root_hash}" in found
    listing = spoiled.root("ls /dev/disk/by-partuuid").text.split()
    assert as_uuid(pressed.manifest.root_hash[:32]) in listing


def test_a_changed_byte_is_an_error_where_it_is_and_nowhere_else(spoiled: Spoiled) -> None:
    read = spoiled.root(f"cat {UNREAD}")
    assert read.returncode == 1
    assert read.stdout == b""
    assert b"Input/output error" in read.stderr
    below = spoiled.root(f"dd if=/dev/mapper/root bs={BLOCK} skip={spoiled.block} count=1")
    assert below.stdout == b""
    assert b"Input/output error" in below.stderr
    for beside in (spoiled.block - 1, spoiled.block + 1):
        good = spoiled.root(f"dd if=/dev/mapper/root bs={BLOCK} skip={beside} count=1")
        assert len(good.stdout) == BLOCK
    # The byte is there: the kernel refuses it, and not the disk.
    raw = spoiled.root(f"dd if=/dev/nvme0n1p2 bs={BLOCK} skip={spoiled.block} count=1")
    assert raw.stdout == spoiled.data
    log = spoiled.root("journalctl --boot --dmesg --output cat").text
    assert re.search(rf"verity: \d+:\d+: data block {spoiled.block} is corrupted", log)
    assert spoiled.root("dmsetup status root").text.split()[-1] == "C"


def test_a_byte_changed_under_the_running_machine_is_never_read(
    pressed: Pressed, spoiled: Spoiled
) -> None:
    """Root may write to the partition below; what it writes never becomes the running root."""
    block = block_of(pressed.disk.raw, IN_USE)
    before = spoiled.root(f"cat {IN_USE}")
    assert before.returncode == 0
    assert before.stdout[:1] not in {b"", b"X"}
    wrote = spoiled.root(
        f"printf X | dd of=/dev/nvme0n1p2 bs=1 seek={block * BLOCK} conv=notrunc,fsync"
        " && echo 3 >/proc/sys/vm/drop_caches"
    )
    assert wrote.returncode == 0, wrote.stderr.decode()
    read = spoiled.root(f"cat {IN_USE}")
    assert (read.returncode, read.stdout) == (1, b"")
    assert b"Input/output error" in read.stderr
    raw = spoiled.root(f"dd if=/dev/nvme0n1p2 bs={BLOCK} skip={block} count=1")
    assert raw.stdout[: len(before.stdout)] == (b"X" + before.stdout[1:])[:BLOCK]


def test_not_even_root_writes_to_the_running_root(spoiled: Spoiled) -> None:
    copied = "dd if=/dev/zero of=/dev/mapper/root bs=4096 count=1 conv=notrunc,fsync"
    assert b"Operation not permitted" in spoiled.root(copied).stderr
    assert b"write-protected" in spoiled.root("mount -o remount,rw /").stderr
    assert b"Read-only file system" in spoiled.root("touch /etc/x").stderr
    # Nor can the protection be taken away from below what is mounted.
    assert b"busy" in spoiled.root("dmsetup remove root").stderr.lower()


def test_a_hash_tree_that_does_not_match_the_root_hash_does_not_boot(
    pressed: Pressed, tmp_path: Path
) -> None:
    """As if somebody had changed the root, and the tree to fit: its top is not what was signed."""
    raw = tmp_path / "disk.raw"
    run(("cp", "--sparse=always", pressed.disk.raw, raw))
    flip(raw, offset(raw, "root-verity") + BLOCK)  # behind the superblock: the tree's top
    changed = dataclasses.replace(pressed, disk=dataclasses.replace(pressed.disk, raw=raw))
    with (
        pytest.raises(MachineError, match="the root's hash tree does not match its root hash"),
        booted_directly(changed, tmp_path / "machine"),
    ):
        pass
