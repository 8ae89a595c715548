"""Owns the disk image: file systems, kernel image and partition table put together, and measured.

The read-only root is found by its dm-verity root hash, which follows from every byte of it: two
golden volumes on one machine are told apart by content, never by a label they share.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.definition import Definition
from goldpress.digest import content_uuid, sha256_bytes, sha256_file
from goldpress.disk import ext4
from goldpress.disk.esp import make_esp
from goldpress.disk.partitions import TYPES, Partition, disk_size, place, write_disk
from goldpress.disk.uki import STUBS, build_uki
from goldpress.disk.verity import make_tree
from goldpress.errors import BuildError
from goldpress.host.run import run
from goldpress.host.trees import Entry, scan
from goldpress.lock import Lock
from goldpress.progress import Step
from goldpress.rootfs.product import RootFS

MIB = 1 << 20

#: The block of the EBS direct API; the block root is over these.
EBS_BLOCK = 512 * 1024


@dataclass(frozen=True, kw_only=True)
class DiskImage:
    """A bootable disk and what is needed to boot its kernel without it."""

    raw: Path
    kernel: Path
    initrd: Path
    command_line: str
    root_hash: str
    sha256: str
    block_root: str
    sizes: Mapping[str, int]


def build_disk(
    rootfs: RootFS,
    initrd: Path,
    *,
    definition: Definition,
    lock: Lock,
    directory: Path,
    step: Step,
) -> Mapping[str, Any]:
    """Make ``directory/disk.raw``; returns what `read_disk` reads. Raises BuildError."""
    labels, tree, var = rootfs.labels, rootfs.tree, rootfs.var
    stub = tree / STUBS[definition.arch]
    if not stub.exists():
        raise BuildError(
            f"the image has no EFI stub at /{STUBS[definition.arch]}",
            hint="name `systemd-boot-unsigned` in image.yaml, then `./inv lock`",
        )
    epoch = lock.source_date_epoch
    step.update("root file system")
    root_image = directory / "root.ext4"
    _make_root(tree, root_image, labels, epoch)
    step.update("hash tree")
    tree_image = directory / "root.verity"
    verity = make_tree(root_image, tree_image, sha256=sha256_file(root_image))
    step.update("/var file system")
    var_image = directory / "var.ext4"
    _make_var(
        var,
        var_image,
        labels,
        epoch=epoch,
        size=definition.disk.var_mib * MIB,
        uuid=rootfs.var_uuid,
    )
    step.update("unified kernel image")
    command_line = " ".join(verity.command_line(definition.kernel.command_line))
    uki = directory / "uki.efi"
    build_uki(
        stub,
        kernel=initrd / "vmlinuz",
        initrd=initrd / "initrd",
        os_release=tree / "usr/lib/os-release",
        command_line=command_line,
        output=uki,
    )
    esp = directory / "esp.img"
    make_esp(
        esp, uki, arch=definition.arch, size=definition.disk.esp_mib * MIB,
        volume_id=verity.root_hash[:8], epoch=epoch,
    )  # fmt: skip
    step.update("partitions")
    partitions = place(
        (
            ("esp", TYPES["esp"], content_uuid(sha256_file(esp)), esp),
            ("root", TYPES[f"root.{definition.arch}"], verity.data_uuid, root_image),
            ("root-verity", TYPES[f"root-verity.{definition.arch}"], verity.hash_uuid, tree_image),
            ("var", TYPES["var"], rootfs.var_uuid, var_image),
        )
    )
    raw = directory / "disk.raw"
    write_disk(raw, content_uuid(sha256_bytes(verity.root_hash.encode())), partitions)
    step.update("digests")
    sha256, block_root = measure(raw)
    sizes = {part.name: part.size for part in partitions}
    run(("cp", initrd / "vmlinuz", initrd / "initrd", directory))
    _remove(partitions, uki)
    return {
        "command_line": command_line,
        "root_hash": verity.root_hash,
        "sha256": sha256,
        "block_root": block_root,
        "sizes": {**sizes, "disk": disk_size(partitions), "written": raw.stat().st_blocks * 512},
    }


def read_disk(directory: Path, facts: Mapping[str, Any]) -> DiskImage:
    """The disk that `build_disk` made in `directory`."""
    return DiskImage(
        raw=directory / "disk.raw",
        kernel=directory / "vmlinuz",
        initrd=directory / "initrd",
        command_line=facts["command_line"],
        root_hash=facts["root_hash"],
        sha256=facts["sha256"],
        block_root=facts["block_root"],
        sizes=facts["sizes"],
    )


def _remove(partitions: tuple[Partition, ...], uki: Path) -> None:
    for path in (*(part.content for part in partitions), uki):
        path.unlink()


def _make_root(tree: Path, image: Path, labels: Mapping[str, str], epoch: int) -> None:
    entries = scan(tree)
    size, inodes = ext4.room_for(entries)
    uuid = content_uuid(sha256_bytes(f"root {epoch}".encode()))
    plan = ext4.Ext4(label="root", uuid=uuid, size=size, inodes=inodes, journal=False, epoch=epoch)
    own = {entry.path: labels.get(entry.path, "") for entry in entries}
    own["/lost+found"] = LOST_AND_FOUND
    ext4.make(plan, tree, image, own)


def _make_var(
    var: Path, image: Path, labels: Mapping[str, str], *, epoch: int, size: int, uuid: str
) -> None:
    entries = scan(var)
    plan = ext4.Ext4(
        label="var", uuid=uuid, size=size, inodes=_var_inodes(entries, size), journal=True,
        epoch=epoch,
    )  # fmt: skip
    own = {entry.path: labels[f"/var{entry.path}".rstrip("/")] for entry in entries}
    own["/lost+found"] = LOST_AND_FOUND
    ext4.make(plan, var, image, own)


LOST_AND_FOUND = "system_u:object_r:lost_found_t:s0"


def _var_inodes(entries: tuple[Entry, ...], size: int) -> int:
    return max(len(entries) * 2, size // (16 * 1024))


def measure(raw: Path) -> tuple[str, str]:
    """(sha256 of the raw disk, block root).

    The block root is the sha256 over, for each 512 KiB block that is not all zero, its index
    (8 bytes, big-endian) and its sha256 (32 bytes): what AWS holds of the disk, computed alike
    from a file and from an EBS snapshot.
    """
    whole, root = hashlib.sha256(), hashlib.sha256()
    for index, block in _blocks(raw):
        whole.update(block)
        if block.strip(b"\0"):
            padded = block.ljust(EBS_BLOCK, b"\0")
            root.update(index.to_bytes(8, "big") + hashlib.sha256(padded).digest())
    return whole.hexdigest(), root.hexdigest()


def _blocks(raw: Path) -> Iterator[tuple[int, bytes]]:
    with raw.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        index = 0
        while block := stream.read(EBS_BLOCK):
            yield index, block
            index += 1
