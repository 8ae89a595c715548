"""Owns comparing two presses of the same inputs: whether they are one image, else where not.

Manifests tell whether. Where is told as exactly as what is left of both allows: by their files,
by the blocks of their disks, or by the manifests alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from goldpress.aws.ebs import BLOCK_BYTES
from goldpress.digest import sha256_file, short
from goldpress.disk.partitions import MIB
from goldpress.errors import BuildError
from goldpress.host import trees
from goldpress.manifest import ImageManifest
from goldpress.publish.audit import compare
from goldpress.publish.blocks import BlockIndex
from goldpress.stage import products


def refuse_different(
    wanted: ImageManifest, made: ImageManifest, *, first: Callable[[], str]
) -> None:
    """Raises BuildError when two presses are not the same image, with the `first` difference."""
    if made == wanted:
        return
    names = [
        row.name for row in fields(wanted) if getattr(wanted, row.name) != getattr(made, row.name)
    ]
    raise BuildError(
        f"{short(wanted.digest)} was not reproduced, its inputs made {short(made.digest)}: "
        f"{', '.join(names)} differ; the first difference is in {first()}",
        hint="find what wrote the time, the host or an order into it, or who changed it",
    )


def file_difference(one: Mapping[str, Path], other: Mapping[str, Path]) -> str:
    """The first path whose mode, owner, time or bytes differ, or the part of the disk.

    Both are the directories of an image's products, by stage.
    """
    for part in ("tree", "var"):
        ours, theirs = (trees.listing(row["rootfs"] / part) for row in (one, other))
        for path in sorted({*ours, *theirs}):
            if ours.get(path) != theirs.get(path):
                place = path if part == "tree" else f"/var{path}".rstrip("/")
                return f"{place}: {ours.get(path)} and {theirs.get(path)}"
    for name in ("initrd", "vmlinuz"):
        if sha256_file(one["initrd"] / name) != sha256_file(other["initrd"] / name):
            return f"the {name}"
    return "the file systems or the partition table, though all files are the same"


def block_difference(wanted: BlockIndex, made: BlockIndex, sizes: Mapping[str, int]) -> str:
    """The first block of 512 KiB that differs, and the part of the disk that it belongs to.

    `sizes` are those of the made disk's partitions, in their order.
    """
    for row in compare(wanted, made):
        offset = row.index * BLOCK_BYTES
        return f"{part_at(offset, sizes)}, at byte {offset} of the disk: {row}"
    return "what the disk has behind its last block with data: its size"


def part_at(offset: int, sizes: Mapping[str, int]) -> str:
    """The partition that a byte of a disk belongs to, which lie as `partitions.place` has them."""
    start = MIB
    if offset < start:
        return "the partition table"
    for name, size in sizes.items():
        start += size
        if offset < start:
            return f"the partition {name}"
    return "the second partition table"


def kept_places(build_directory: Path, manifest: ImageManifest) -> Mapping[str, Path] | None:
    """The directories of an image's products, by stage, if this machine pressed it and has them."""
    for disk in products(build_directory, "disk"):
        if disk.facts.get("sha256") != manifest.disk_sha256:
            continue
        stages = build_directory / "stages"
        found = {name: stages / name / disk.inputs[name] for name in ("rootfs", "initrd")}
        if all((path / "product.json").is_file() for path in found.values()):
            return found
    return None


def root_difference(wanted: ImageManifest, made: ImageManifest) -> str:
    """The part of the disk that differs, by the manifests alone."""
    if wanted.root_hash != made.root_hash:
        return "the root file system: its root hash is another"
    return "the EFI partition, /var or the partition table: the root hash is the same"
