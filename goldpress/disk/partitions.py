"""Owns the partition table: GPT with an EFI partition, the root, its hash tree, and /var last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.host.run import run

SECTOR = 512
MIB = 1 << 20

#: Discoverable Partitions Specification (uapi-group.org).
TYPES = {
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "root.x86_64": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "root.aarch64": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
    "root-verity.x86_64": "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
    "root-verity.aarch64": "DF3300CE-D69F-4C92-978C-9BFB0F38D820",
    "var": "4D21B016-B534-45C2-A9FB-5C16E091FD2D",
}


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition: its content's file, offset and size in bytes (whole MiB), and identity."""

    name: str
    type: str
    uuid: str
    content: Path
    offset: int
    size: int


def place(parts: Sequence[tuple[str, str, str, Path]]) -> tuple[Partition, ...]:
    """(name, type, uuid, content) one after the other, each at a MiB boundary."""
    placed = []
    offset = MIB
    for name, kind, uuid, content in parts:
        size = -(-content.stat().st_size // MIB) * MIB
        placed.append(
            Partition(name=name, type=kind, uuid=uuid, content=content, offset=offset, size=size)
        )
        offset += size
    return tuple(placed)


def disk_size(partitions: Sequence[Partition]) -> int:
    """Bytes of the whole disk, with a MiB behind the last partition for the second table."""
    last = partitions[-1]
    return last.offset + last.size + MIB


def sfdisk_script(disk_uuid: str, partitions: Sequence[Partition]) -> str:
    """The table in sfdisk's language; nothing in it is left to chance."""
    lines = ["label: gpt", f"label-id: {disk_uuid}", "unit: sectors", f"sector-size: {SECTOR}"]
    for index, part in enumerate(partitions, start=1):
        start, size = part.offset // SECTOR, part.size // SECTOR
        lines.append(
            f"{index} : start={start}, size={size}, type={part.type}, uuid={part.uuid.upper()}, "
            f'name="{part.name}"'
        )
    return "\n".join([*lines, ""])


def write_disk(raw: Path, disk_uuid: str, partitions: Sequence[Partition]) -> None:
    """Write table and contents into a sparse file. Raises CommandError, also when full."""
    with raw.open("wb") as stream:
        stream.truncate(disk_size(partitions))
    run(
        ("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", raw),
        stdin=sfdisk_script(disk_uuid, partitions).encode(),
        what="write the partition table",
    )
    for part in partitions:
        run(
            ("dd", f"if={part.content}", f"of={raw}", "bs=1M", "conv=notrunc,sparse",
             f"seek={part.offset // MIB}", "status=none"),
            what=f"copy the {part.name} partition into the disk",
        )  # fmt: skip
