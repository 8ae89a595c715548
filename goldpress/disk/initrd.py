"""Owns the initrd: dracut, run exactly once, in the image's own root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress.definition import Initrd
from goldpress.errors import BuildError
from goldpress.host.confine import Confinement
from goldpress.host.run import run

#: Only as much as finds and mounts a read-only ext4 root on an NVMe or virtio disk; the policy
#: is loaded by systemd after the switch of root.
MODULES = ("base", "systemd", "systemd-initrd", "systemd-udevd", "udev-rules", "kernel-modules",
           "rootfs-block", "shutdown")  # fmt: skip
DRIVERS = ("nvme", "ext4", "virtio_pci", "virtio_blk")


def dracut_argv(kernel: str, initrd: Initrd, *, output: str) -> tuple[str, ...]:
    """The dracut command: the same bytes on any builder, nothing of the builder inside."""
    modules = sorted({*MODULES, *initrd.add_modules} - {*initrd.omit_modules})
    drivers = sorted({*DRIVERS, *initrd.add_drivers})
    return (
        "dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline", "--no-hostonly-i18n",
        "--reproducible", "--zstd", "--no-early-microcode", "--nofscks", "--quiet",
        "--conf", "/dev/null", "--confdir", "/var/empty", "--tmpdir", "/tmp",
        "--modules", " ".join(modules), "--drivers", " ".join(drivers),
        "--kver", kernel, output,
    )  # fmt: skip


def failures(output: str) -> list[str]:
    """The lines of dracut's output that tell of a missing module, driver or file."""
    rows = (line.strip() for line in output.splitlines())
    return [row for row in rows if re.search(r"cannot be found|FAILED:|could not|not found!", row)]


def build_initrd(
    tree: Path, kernel: str, initrd: Initrd, epoch: int, directory: Path
) -> Mapping[str, Any]:
    """Make ``directory/initrd`` and ``directory/vmlinuz``. Raises CommandError or BuildError."""
    done = Confinement(root=tree, root_writable=False, writable={"/mnt": directory}).run(
        dracut_argv(kernel, initrd, output="/mnt/initrd"),
        env={"SOURCE_DATE_EPOCH": str(epoch), "DRACUT_TMPDIR": "/tmp"},
        merge=True,
        what="dracut",
    )
    found = directory / "initrd"
    if not found.exists():
        raise BuildError("dracut made no initrd", hint=done.text.strip()[-500:])
    if missing := failures(done.text):
        raise BuildError(f"dracut: {missing[0]}", hint="dracut forgives this and exits 0")
    run(("cp", tree / "usr/lib/modules" / kernel / "vmlinuz", directory / "vmlinuz"))
    return {"initrd_bytes": found.stat().st_size, "messages": done.text.strip()[-2000:]}
