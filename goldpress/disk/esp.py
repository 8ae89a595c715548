"""Owns the EFI system partition: FAT32 with one file, the unified kernel image."""

from __future__ import annotations

from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.run import run

MIB = 1 << 20

#: Where UEFI firmware looks on a disk it knows nothing about (UEFI specification 3.5.1.1).
BOOT_FILES = {"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI"}


def make_esp(image: Path, uki: Path, *, arch: str, size: int, volume_id: str, epoch: int) -> None:
    """Write the ESP to `image`. `volume_id` is eight hex digits. Raises BuildError when full."""
    if uki.stat().st_size > size - 4 * MIB:
        raise BuildError(
            f"the unified kernel image ({uki.stat().st_size // MIB} MiB) does not fit the ESP",
            hint=f"raise disk.esp_mib in image.yaml (now {size // MIB})",
        )
    with image.open("wb") as stream:
        stream.truncate(size)
    env = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    run(
        ("mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-S", "512", "-n", "ESP",
         "-i", volume_id, image),
        env=env, what="make the EFI system partition",
    )  # fmt: skip
    run(("mmd", "-i", image, "::/EFI", "::/EFI/BOOT"), env=env, what="make the ESP's folders")
    run(
        ("mcopy", "-i", image, uki, f"::/EFI/BOOT/{BOOT_FILES[arch]}"),
        env=env, what="copy the kernel image into the ESP",
    )  # fmt: skip
