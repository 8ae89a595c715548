"""Owns the unified kernel image: systemd's EFI stub with kernel, initrd and command line.

Sections are placed after the stub's last one, each at a page boundary, as read from the stub's
own section table: a wrong address boots into the EFI shell without a message.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.run import run

PAGE = 4096
STUBS: Mapping[str, str] = {
    "x86_64": "usr/lib/systemd/boot/efi/linuxx64.efi.stub",
    "aarch64": "usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section to add: its name, the file that holds its bytes, its virtual address."""

    name: str
    path: Path
    address: int


def end_of_sections(stub: bytes) -> int:
    """The first page boundary after the stub's last section, image base included.

    PE32+ layout: Microsoft PE Format, "COFF File Header", "Optional Header", "Section Table".
    Raises BuildError for anything else.
    """
    if stub[:2] != b"MZ":
        raise BuildError("the EFI stub is not a PE file")
    (pe,) = struct.unpack_from("<I", stub, 0x3C)
    if stub[pe : pe + 4] != b"PE\0\0":
        raise BuildError("the EFI stub has no PE header")
    count, optional_size = struct.unpack_from("<H12xH", stub, pe + 6)
    optional = pe + 24
    (magic,) = struct.unpack_from("<H", stub, optional)
    if magic != 0x20B:  # noqa: PLR2004 - PE32+
        raise BuildError("the EFI stub is not PE32+")
    (base,) = struct.unpack_from("<Q", stub, optional + 24)
    table = optional + optional_size
    end = 0
    for index in range(count):
        size, address = struct.unpack_from("<II", stub, table + 40 * index + 8)
        end = max(end, address + size)
    return int(base) + -(-end // PAGE) * PAGE


def plan_sections(start: int, files: Sequence[tuple[str, Path]]) -> tuple[Section, ...]:
    """Sections one after the other, each at a page boundary; the kernel comes last.

    The stub decompresses nothing in place, but a kernel may use memory behind its own section.
    """
    sections = []
    address = start
    for name, path in files:
        sections.append(Section(name=name, path=path, address=address))
        address += -(-path.stat().st_size // PAGE) * PAGE
    return tuple(sections)


def objcopy_argv(stub: Path, sections: Sequence[Section], output: Path) -> tuple[str, ...]:
    """The objcopy command that adds the sections."""
    words = ["objcopy", "--enable-deterministic-archives", "--preserve-dates"]
    for section in sections:
        words += ["--add-section", f"{section.name}={section.path}"]
        words += ["--change-section-vma", f"{section.name}={section.address:#x}"]
    return (*words, str(stub), str(output))


def build_uki(
    stub: Path, *, kernel: Path, initrd: Path, os_release: Path, command_line: str, output: Path
) -> None:
    """Write the UKI to `output`. Raises CommandError, or BuildError for a strange stub."""
    line = output.with_suffix(".cmdline")
    line.write_bytes(command_line.encode() + b"\0")
    files = ((".osrel", os_release), (".cmdline", line), (".initrd", initrd), (".linux", kernel))
    sections = plan_sections(end_of_sections(stub.read_bytes()), files)
    run(objcopy_argv(stub, sections, output), what="make the unified kernel image")
    line.unlink()
    _forget_time(output)


def _forget_time(path: Path) -> None:
    """objcopy writes the current time into the COFF header; nothing reads it."""
    with path.open("r+b") as stream:
        head = stream.read(PAGE)
        (pe,) = struct.unpack_from("<I", head, 0x3C)
        stream.seek(pe + 8)
        stream.write(b"\0\0\0\0")
