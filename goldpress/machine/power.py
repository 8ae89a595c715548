"""Owns a machine's power: its button, its own way off, and a second start with the disk it left.

What is wrong with a first boot often shows at the second only: a unit that meets its own leftovers,
an identity that was not kept, a denial during the shutdown.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from goldpress.errors import DocumentError, MachineError
from goldpress.host.run import run
from goldpress.machine import address, console, process, qemu, record, ssh
from goldpress.machine.record import Machine

OFF_SECONDS = 120
POLL_SECONDS = 0.25
#: QEMU answers its monitor at once, unless the host is very busy.
MONITOR_SECONDS = 10.0
#: An event that comes before the guest listens is lost, as on any machine: it is pressed again.
PRESS_AGAIN_SECONDS = 15.0


def off_command() -> tuple[str, ...]:
    """What the machine is told; it returns before the machine ends."""
    return ("sudo", "-n", "systemctl", "poweroff", "--no-block")


def earlier_console(directory: Path, number: int) -> Path:
    """Where the console of boot `number` (1, 2, ...) is kept once the next one has begun."""
    return directory / f"console.{number}.log"


def press(machine: Machine) -> None:
    """Press the power button: an ACPI event, which the guest may follow, later or never.

    Raises MachineError when QEMU does not take the order. Source: QEMU's "QMP Reference Manual",
    system_powerdown.
    """
    path = machine.sockets / qemu.MONITOR
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
            monitor.settimeout(MONITOR_SECONDS)
            monitor.connect(str(path))
            with monitor.makefile("rwb") as stream:
                stream.readline()  # its greeting
                for order in ("qmp_capabilities", "system_powerdown"):
                    stream.write(json.dumps({"execute": order}).encode() + b"\n")
                    stream.flush()
                    _answer(stream.readline, order)
    except (OSError, ValueError) as error:
        raise MachineError(
            f"the power button of the machine at {machine.address} does not work: {error}"
        ) from error


def _answer(readline: Callable[[], bytes], order: str) -> None:
    """Read up to what answers an order; events may come in between. Raises ValueError."""
    while line := readline():
        value = json.loads(line)
        if "error" in value:
            raise ValueError(f"{order}: {value['error'].get('desc', value['error'])}")
        if "return" in value:
            return
    raise ValueError(f"{order}: QEMU closed its monitor")


def power_off(machine: Machine, *, timeout: float) -> bool:
    """Press the power button until the machine has ended; False when it has not within `timeout`.

    Its overlay stays. A button that does not work is as good as a guest that does not listen: it
    is pressed again, and the time runs out.
    """
    ends = time.monotonic() + timeout
    pressed = float("-inf")
    while process.is_running(machine.process):
        now = time.monotonic()
        if now >= ends:
            return False
        if now - pressed >= PRESS_AGAIN_SECONDS:
            pressed = now
            # Between the question and the button it may have ended by itself.
            with contextlib.suppress(MachineError):
                press(machine)
        time.sleep(POLL_SECONDS)
    return True


def shut_down(machine: Machine, *, timeout: float = OFF_SECONDS) -> float:
    """Let the machine power itself off; returns the seconds that it took.

    Its overlay stays, so `start_again` goes on where it ended. Raises CommandError when it refuses
    to, MachineError when it has not ended within `timeout` seconds.
    """
    asked = time.monotonic()
    ssh.execute(machine, *off_command())
    run(ssh.close_master_argv(machine), check=False, timeout=10, what="closing ssh")
    while process.is_running(machine.process):
        if time.monotonic() - asked > timeout:
            shown = console.Console(path=machine.console)
            shown.update()
            raise MachineError(
                f"the machine at {machine.address} does not power off within {timeout:g} s",
                hint=console.report(shown),
            )
        time.sleep(POLL_SECONDS)
    return time.monotonic() - asked


def command_line(directory: Path) -> Sequence[str]:
    """The QEMU command line that `qemu.boot` noted. Raises DocumentError when it is not there."""
    path = directory / qemu.COMMAND
    try:
        words = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DocumentError(f"{path}: not a noted QEMU command line: {error}") from error
    return [str(word) for word in words]


def start_again(machine: Machine) -> Machine:
    """Start the same machine (uuid, address, keys, firmware variables) on the disk that it left.

    Raises MachineError when it still runs, was halted (its disk is gone) or does not start.
    """
    directory = machine.directory
    if process.is_running(machine.process):
        raise MachineError(f"the machine at {machine.address} still runs: shut it down first")
    if not (directory / qemu.OVERLAY).exists():
        raise MachineError(
            f"{directory} has no disk any more", hint="a halted machine cannot be started again"
        )
    number = 1 + sum(1 for _ in directory.glob("console.*.log"))
    machine.console.rename(earlier_console(directory, number))
    argv = command_line(directory)
    try:
        with address.allocation_lock():
            started = time.time()
            pid = qemu.launch(argv, directory=directory)
        again = replace(machine, process=process.identify(pid), started=started)
        record.save(again)
    except BaseException:
        qemu.abandon(directory)
        raise
    return again
