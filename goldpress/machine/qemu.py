"""Owns QEMU: boot a disk as a local machine in an EC2-like network, and halt it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
import time
import uuid as uuids
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from goldpress.errors import CommandError, MachineError, MissingError
from goldpress.host.run import run
from goldpress.machine import address, imds, loghost, process, record, ssh
from goldpress.machine.address import Endpoint
from goldpress.machine.instance import GUEST_ADDRESS, Instance, write_configuration
from goldpress.machine.record import Firmware, Machine

OVMF_DIRECTORY = Path("/usr/share/OVMF")
START_SECONDS = 60
OVERLAY = "disk.qcow2"
VARIABLES = "efivars.fd"
PIDFILE = "qemu.pid"
#: The command line of the machine, to start it once more with the disk that it left.
COMMAND = "qemu.json"
CPU_MODELS = {"kvm": "host", "tcg": "max"}
#: Where QEMU takes orders from this host, among a machine's sockets: see `power.press`.
MONITOR = "qmp"


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel that QEMU loads itself. What boots this way is never evidence."""

    kernel: Path
    initrd: Path | None
    command_line: str


def accelerator_argv(accelerator: str) -> list[str]:
    """QEMU's options for ``kvm`` or ``tcg``. Raises MachineError for anything else."""
    if accelerator not in CPU_MODELS:
        raise MachineError(f"unknown accelerator {accelerator!r}: it is `kvm` or `tcg`")
    option = "tcg,thread=multi" if accelerator == "tcg" else "kvm"
    return ["-accel", option, "-cpu", CPU_MODELS[accelerator]]


def escaped(value: str | Path) -> str:
    """A value inside a QEMU option: a comma is doubled there."""
    return str(value).replace(",", ",,")


def connected(program: str, path: Path) -> str:
    """What QEMU runs for each connection to an address of ours, split as a shell would."""
    return escaped(shlex.join([sys.executable, "-I", "-S", program, str(path)]))


def network_option(endpoint: Endpoint, directory: Path) -> str:
    """The user network: the guest reaches its metadata service and its log host, nothing else.

    `restrict=on` drops every other packet to the host and beyond; the forwards stay.
    """
    metadata = connected(imds.__file__, directory / record.INSTANCE)
    logs = connected(loghost.__file__, directory / record.JOURNAL)
    return ",".join(
        [
            "user,id=net,restrict=on,ipv6=off,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3",
            f"dhcpstart={GUEST_ADDRESS}",
            f"guestfwd=tcp:169.254.169.254:80-cmd:{metadata}",
            f"guestfwd=tcp:{loghost.ADDRESS}:80-cmd:{logs}",
            f"hostfwd=tcp:{endpoint.address}:{endpoint.ssh_port}-:22",
            f"hostfwd=tcp:{endpoint.address}:{endpoint.http_port}-:80",
        ]
    )


def mac_address(uuid: str) -> str:
    """A locally administered MAC address that follows from the uuid."""
    tail = uuid.replace("-", "")[-10:]
    return "06:" + ":".join(tail[i : i + 2] for i in range(0, 10, 2))


def boot_argv(
    *,
    directory: Path,
    uuid: str,
    endpoint: Endpoint,
    sockets: Path,
    accelerator: str,
    memory_mib: int = 1024,
    cpus: int = 2,
    kernel: Kernel | None = None,
    ovmf: Path = OVMF_DIRECTORY,
) -> list[str]:
    """The QEMU command line for a machine in `directory`, whose files are already there."""
    serial = uuid.replace("-", "")[:20]
    # QEMU's own loader of kernels claims index 0.
    boot_first = ",bootindex=0" if kernel is None else ""
    # fmt: off
    argv = [
        "qemu-system-x86_64", "-no-user-config", "-nodefaults",
        "-name", f"goldpress-{uuid[:8]}", "-uuid", uuid,
        "-machine", "q35", *accelerator_argv(accelerator),
        "-smp", str(cpus), "-m", str(memory_mib), "-no-reboot",
        "-display", "none", "-vga", "none",
        "-serial", f"file:{escaped(directory / 'console.log')}",
        "-drive", (f"if=none,id=root,format=qcow2,cache=unsafe,discard=unmap,"
                   f"file={escaped(directory / OVERLAY)}"),
        "-device", f"nvme,drive=root,serial={serial}{boot_first}",
        "-netdev", network_option(endpoint, directory),
        "-device", f"virtio-net-pci,netdev=net,mac={mac_address(uuid)},romfile=",
        "-device", "virtio-rng-pci",
        "-qmp", f"unix:{escaped(sockets / MONITOR)},server=on,wait=off",
        "-pidfile", str(directory / PIDFILE), "-daemonize",
    ]
    if kernel is None:
        argv += [
            "-drive", ("if=pflash,format=raw,unit=0,readonly=on,"
                       f"file={escaped(ovmf / 'OVMF_CODE_4M.fd')}"),
            "-drive", f"if=pflash,format=raw,unit=1,file={escaped(directory / VARIABLES)}",
        ]
    else:
        argv += ["-kernel", str(kernel.kernel), "-append", kernel.command_line]
        if kernel.initrd is not None:
            argv += ["-initrd", str(kernel.initrd)]
    # fmt: on
    return argv


def overlay_argv(disk: Path, overlay: Path, size_bytes: int | None) -> list[str]:
    """The command that makes a machine's own disk on top of a raw one, which is only read."""
    size = [] if size_bytes is None else [str(size_bytes)]
    # fmt: off
    return [
        "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay),
        *size,
    ]
    # fmt: on


def prepare(
    disk: Path, *, directory: Path, kernel: Kernel | None, size_bytes: int | None, ovmf: Path
) -> None:
    """Make the machine's directory: overlay and, for UEFI, its own firmware variables."""
    needed = [disk]
    if kernel is None:
        needed += [ovmf / "OVMF_CODE_4M.fd", ovmf / "OVMF_VARS_4M.fd"]
    else:
        needed += [kernel.kernel, *([kernel.initrd] if kernel.initrd else [])]
    for path in needed:
        if not path.is_file():
            raise MissingError(
                f"cannot boot {disk}: there is no {path}",
                hint="`./inv setup` installs QEMU and its firmware; `invoke build-image` the disk",
            )
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise MachineError(
            f"{directory} is there already",
            hint="a machine's directory is new for each boot; halt and remove the earlier one",
        ) from None
    overlay = directory / OVERLAY
    run(overlay_argv(disk.resolve(), overlay, size_bytes), what=f"making the overlay of {disk}")
    if kernel is None:
        shutil.copyfile(ovmf / "OVMF_VARS_4M.fd", directory / VARIABLES)


def boot(
    disk: Path,
    *,
    directory: Path,
    accelerator: str,
    instance: Instance | None = None,
    user: str = "ec2-user",
    memory_mib: int = 1024,
    cpus: int = 2,
    kernel: Kernel | None = None,
    size_bytes: int | None = None,
    uuid: str | None = None,
    user_data: bytes | None = None,
    own_key: bool = True,
    ovmf: Path = OVMF_DIRECTORY,
) -> Machine:
    """Start a machine on an overlay of `disk` (raw) in the new folder `directory`.

    Returns once QEMU runs; `ready.wait_ready` waits for the guest. `kernel` boots directly
    instead of through UEFI. `instance` is what its metadata service says, or `user_data` and
    little else; its login key is added as first public key, unless `own_key` is False: then who
    logs in has another. `size_bytes` makes the disk larger than the image, as on EC2. Raises
    MissingError, MachineError, CommandError; nothing is left running then.
    """
    directory = directory.absolute()
    uuid = uuid or str(uuids.uuid4())
    prepare(disk, directory=directory, kernel=kernel, size_bytes=size_bytes, ovmf=ovmf)
    login_key = ssh.make_login_key(directory / "login_key", comment=f"goldpress-{uuid[:8]}")
    name = f"i-{uuid.replace('-', '')[:17]}"
    given = instance or Instance(instance_id=name, user_data=user_data)
    keys = {**({"goldpress": login_key} if own_key else {}), **given.public_keys}
    write_configuration(replace(given, public_keys=keys), directory / record.INSTANCE)
    # A unix socket's path is limited to about 100 bytes; a build directory's may be longer.
    sockets = Path(tempfile.mkdtemp(prefix="goldpress-"))
    firmware: Firmware = "uefi" if kernel is None else "direct"
    try:
        with address.allocation_lock():
            endpoint = address.choose(uuid)
            argv = boot_argv(
                directory=directory,
                uuid=uuid,
                endpoint=endpoint,
                sockets=sockets,
                accelerator=accelerator,
                memory_mib=memory_mib,
                cpus=cpus,
                kernel=kernel,
                ovmf=ovmf,
            )
            (directory / COMMAND).write_text(json.dumps(argv))
            started = time.time()
            pid = launch(argv, directory=directory)
        machine = Machine(
            kind="qemu",
            firmware=firmware,
            accelerator=accelerator,
            address=endpoint.address,
            ssh_port=endpoint.ssh_port,
            http_port=endpoint.http_port,
            uuid=uuid,
            directory=directory,
            sockets=sockets,
            process=process.identify(pid),
            started=started,
            user=user,
        )
        machine.ssh_config.write_text(ssh.configuration(machine))
        record.save(machine)
    except BaseException:
        abandon(directory)
        shutil.rmtree(sockets, ignore_errors=True)
        raise
    return machine


def launch(argv: Sequence[str], *, directory: Path) -> int:
    """Start QEMU in the background; returns its pid once it listens. Raises MachineError."""
    try:
        run(argv, timeout=START_SECONDS, what="starting QEMU")
    except CommandError as error:
        raise MachineError(f"QEMU did not start in {directory}: {error.message}") from error
    return int((directory / PIDFILE).read_text())


def abandon(directory: Path) -> None:
    """End a QEMU whose start was interrupted before its record was written."""
    pidfile = directory / PIDFILE
    if not pidfile.exists():
        return
    pid = int(pidfile.read_text())
    command = Path(f"/proc/{pid}/cmdline")
    # The pid file is seconds old, yet only a QEMU that was given this pid file is ended.
    if command.exists() and os.fsencode(pidfile) in command.read_bytes().split(b"\0"):
        process.stop(process.identify(pid))


def halt(machine: Machine) -> bool:
    """End the machine; its disk is an overlay, so there is nothing to save.

    Returns False when it was not running any more. Its directory stays, for its logs.
    """
    if (machine.sockets / "ssh").exists():
        run(ssh.close_master_argv(machine), check=False, timeout=10, what="closing ssh")
    was_running = process.stop(machine.process)
    (machine.directory / OVERLAY).unlink(missing_ok=True)
    shutil.rmtree(machine.sockets, ignore_errors=True)
    return was_running


@contextmanager
def halting(machine: Machine) -> Iterator[Machine]:
    """Halt the machine at the end of the block, whatever ends it: an error or Ctrl-C too.

    Its record names the process to end: in the block it may have been started once more.
    """
    try:
        yield machine
    finally:
        halt(record.load(machine.directory))
