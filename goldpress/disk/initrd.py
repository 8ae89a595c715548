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

#: Only as much as finds, checks and mounts a read-only ext4 root on an NVMe or virtio disk, and
#: grows the last partition; the policy is loaded by systemd after the switch of root.
MODULES = ("base", "systemd", "systemd-initrd", "systemd-udevd", "udev-rules", "kernel-modules",
           "dm", "systemd-veritysetup", "systemd-repart", "rootfs-block", "shutdown")  # fmt: skip
#: systemd 252 orders systemd-repart only after initrd-usr-fs.target, which nothing starts where
#: /usr is no mount of its own: without this it finds no /sysroot, is skipped, and comes again in a
#: race with the switch of root, which it loses on a slow machine.
REPART_ORDER = "[Unit]\nAfter=sysroot.mount\n"
REPART_DROP_IN = "/usr/lib/systemd/system/systemd-repart.service.d/50-goldpress.conf"

DRIVERS = ("nvme", "ext4", "virtio_pci", "virtio_blk", "dm_mod", "dm_verity")


def dracut_argv(kernel: str, initrd: Initrd, *, output: str, order: str) -> tuple[str, ...]:
    """The dracut command: the same bytes on any builder, nothing of the builder inside.

    `order` is the file with `REPART_ORDER`.
    """
    modules = sorted({*MODULES, *initrd.add_modules} - {*initrd.omit_modules})
    drivers = sorted({*DRIVERS, *initrd.add_drivers})
    return (
        "dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline", "--no-hostonly-i18n",
        "--reproducible", "--zstd", "--no-early-microcode", "--nofscks", "--quiet",
        "--conf", "/dev/null", "--confdir", "/var/empty", "--tmpdir", "/tmp",
        "--modules", " ".join(modules), "--drivers", " ".join(drivers),
        "--include", order, REPART_DROP_IN,
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
    order = directory / "repart.conf"
    order.write_text(REPART_ORDER)
    done = Confinement(root=tree, root_writable=False, writable={"/mnt": directory}).run(
        dracut_argv(kernel, initrd, output="/mnt/initrd", order=f"/mnt/{order.name}"),
        env={"SOURCE_DATE_EPOCH": str(epoch), "DRACUT_TMPDIR": "/tmp"},
        merge=True,
        what="dracut",
    )
    order.unlink()
    found = directory / "initrd"
    if not found.exists():
        raise BuildError("dracut made no initrd", hint=done.text.strip()[-500:])
    if missing := failures(done.text):
        raise BuildError(f"dracut: {missing[0]}", hint="dracut forgives this and exits 0")
    run(("cp", tree / "usr/lib/modules" / kernel / "vmlinuz", directory / "vmlinuz"))
    return {"initrd_bytes": found.stat().st_size, "messages": done.text.strip()[-2000:]}
