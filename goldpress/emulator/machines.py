"""Owns instances that are real: QEMU boots the EBS snapshot's blocks through UEFI.

The disk is an overlay on the assembled blocks; the metadata service, the private address and the
console are those of `goldpress.machine`, which is all that is used from outside the emulator.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.emulator.blocks import GIB, assemble
from goldpress.emulator.lives import Life
from goldpress.emulator.snapshots import DirectSnapshot
from goldpress.emulator.world import World
from goldpress.errors import GoldpressError
from goldpress.machine import power, process, qemu
from goldpress.machine.instance import Instance
from goldpress.machine.record import Machine

PROBE_SECONDS = 2.0
#: So long a passed check is believed; AWS checks once a minute.
BELIEVED_SECONDS = 5.0


@dataclass(kw_only=True)
class RealLife(Life):
    """An instance that a QEMU process is; without `machine` it never started."""

    machine: Machine | None = None
    answered: float = 0.0
    #: whether it followed its power button; None while it runs, or when it was killed at once
    graceful: bool | None = None

    def reachable(self) -> bool:
        """Whether sshd inside greets: a connection alone proves nothing, QEMU itself accepts it."""
        if self.machine is None or self.gone():
            return False
        if time.monotonic() - self.answered < BELIEVED_SECONDS:
            return True
        if greets(self.machine):
            self.answered = time.monotonic()
            return True
        return False

    def console(self) -> bytes:
        """The serial console's log; it stays after the machine has ended."""
        if self.machine is None or not self.machine.console.exists():
            return b""
        return self.machine.console.read_bytes()

    def gone(self) -> str:
        """Whether QEMU has ended by itself: a shutdown, a reboot or a panic inside."""
        if self.failure or self.machine is None:
            return self.failure or "it was never started"
        return "" if process.is_running(self.machine.process) else "the machine has shut down"

    def release(self, *, at_once: bool = False) -> None:
        """Press the power button and let the guest end, up to a bound; `at_once`: kill it.

        [D] EC2 user guide, "Methods for terminating an instance": a default termination attempts
        a graceful shutdown of the operating system.
        """
        machine = self.machine
        if machine is None:
            return
        if at_once:
            qemu.halt(machine)
            return
        threading.Thread(target=self._power_off, args=(machine,), daemon=True).start()

    def _power_off(self, machine: Machine) -> None:
        self.graceful = power.power_off(machine, timeout=self.world.settings.power_off_seconds)
        qemu.halt(machine)

    def released(self) -> bool:
        """Whether its process has ended."""
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.machine is not None and process.is_running(self.machine.process)


def greets(machine: Machine) -> bool:
    """Whether sshd says who it is on the machine's port 22."""
    try:
        with socket.create_connection(
            (machine.address, machine.ssh_port), timeout=PROBE_SECONDS
        ) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def boot(world: World, instance: Instance, snapshot: DirectSnapshot, *, size_gib: int) -> RealLife:
    """Start a machine from an EBS snapshot's blocks; a failure to do so is the instance's fate."""
    life = RealLife(world=world, launched=world.clock.now())
    try:
        base = assemble(snapshot.blocks, snapshot.blocks.path.with_name("disk.raw"))
        life.machine = qemu.boot(
            base,
            directory=world.machines / instance.instance_id,
            accelerator=world.settings.accelerator,
            instance=instance,
            own_key=False,
            memory_mib=world.settings.memory_mib,
            size_bytes=size_gib * GIB,
            # EC2's system UUIDs begin with ec2; the machine's id is made from this one.
            uuid=f"ec2{str(uuids.uuid4())[3:]}",
        )
    except (GoldpressError, OSError) as error:
        life.failure = str(error).partition("\n")[0]
    return life


def described(instance_id: str, life: RealLife) -> dict[str, Any]:
    """What `/_goldpress/instances` tells of a machine."""
    machine = life.machine
    if machine is None:
        return {"instance": instance_id, "running": False, "failure": life.failure}
    return {
        "instance": instance_id,
        "running": life.alive,
        "graceful": life.graceful,
        "address": machine.address,
        "ssh_port": machine.ssh_port,
        "http_port": machine.http_port,
        "console": str(machine.console),
        "directory": str(Path(machine.directory)),
    }
