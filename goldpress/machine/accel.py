"""Owns the choice of QEMU's accelerator: KVM where it really boots a kernel, else TCG.

That /dev/kvm is there proves nothing: nested or restricted hosts abort on some CPU models and
hang on others. So the image's own kernel is booted under KVM, without a root file system, and
has to reach the panic about that.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from goldpress.errors import CommandError
from goldpress.host.run import run
from goldpress.machine.process import boot_id
from goldpress.machine.qemu import accelerator_argv
from goldpress.store import write_atomically

PROBE_SECONDS = 10
KVM_DEVICE = Path("/dev/kvm")
KERNEL_SPOKE = "Linux version"
KERNEL_WANTED_ROOT = "Unable to mount root fs"


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """``kvm`` or ``tcg``, and why."""

    name: str
    reason: str


def probe_argv(kernel: Path, console: Path) -> list[str]:
    """QEMU under KVM with a kernel that has no root: it panics, restarts at once, and ends."""
    # fmt: off
    return [
        "qemu-system-x86_64", "-no-user-config", "-nodefaults", "-machine", "q35",
        *accelerator_argv("kvm"), "-smp", "2", "-m", "512", "-no-reboot",
        "-display", "none", "-vga", "none", "-serial", f"file:{console}",
        "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1",
    ]
    # fmt: on


def judge(console: str, *, ending: str) -> Accelerator:
    """The verdict on a probe from what its kernel said and how QEMU ended."""
    if KERNEL_SPOKE in console and KERNEL_WANTED_ROOT in console:
        return Accelerator(name="kvm", reason="a kernel booted under KVM")
    if KERNEL_SPOKE in console:
        seen = "the kernel started and stopped halfway"
    else:
        seen = "no kernel message appeared"
    return Accelerator(name="tcg", reason=f"KVM does not work here: {seen}; {ending}")


def probe(
    kernel: Path, *, device: Path = KVM_DEVICE, seconds: float = PROBE_SECONDS
) -> Accelerator:
    """Boot `kernel` under KVM for at most `seconds`. Never raises for a KVM that is unusable."""
    if not device.exists():
        return Accelerator(name="tcg", reason=f"there is no {device}")
    try:
        device.open("r+b", buffering=0).close()
    except OSError as error:
        return Accelerator(name="tcg", reason=f"{device} cannot be opened: {error.strerror}")
    with tempfile.TemporaryDirectory(prefix="goldpress-kvm-") as scratch:
        console = Path(scratch) / "console.log"
        try:
            done = run(
                probe_argv(kernel, console), timeout=seconds, check=False, what="probing KVM"
            )
        except CommandError:
            ending = f"QEMU was stopped after {seconds:g} s"
        else:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            ending = f"QEMU ended with {done.returncode}" + "".join(f" ({row})" for row in last)
        text = console.read_text(errors="replace") if console.exists() else ""
    return judge(text, ending=ending)


def qemu_version() -> str:
    """The first line of ``qemu-system-x86_64 --version``. Raises CommandError when missing."""
    return run(["qemu-system-x86_64", "--version"], what="asking QEMU").text.splitlines()[0]


def choose(kernel: Path, *, cache: Path, device: Path = KVM_DEVICE) -> Accelerator:
    """The accelerator for this host, probed once for each host boot and QEMU version.

    `cache` is a file; one that cannot be read is probed anew. Raises CommandError without QEMU.
    """
    key = {"boot_id": boot_id(), "qemu": qemu_version(), "device": str(device)}
    try:
        known = json.loads(cache.read_bytes())
        if known["key"] == key:
            return Accelerator(**known["accelerator"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no verdict yet: it is made below
    found = probe(kernel, device=device)
    value = {"key": key, "accelerator": asdict(found)}
    write_atomically(cache, json.dumps(value, indent=1).encode())
    return found
