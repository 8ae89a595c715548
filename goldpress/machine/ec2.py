"""Owns EC2 instances as machines: waited for, pinned by their console, reached by ssh.

Everything is probed on the machine itself over ssh: an instance in a private network lets
nothing else through.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from goldpress.aws.instances import ENDED, UNKNOWN_SECONDS, Instance, Instances
from goldpress.errors import CommandError, MachineError
from goldpress.host.run import run
from goldpress.machine import console as consoles
from goldpress.machine import process, ssh
from goldpress.machine.console import Console
from goldpress.machine.launch import Launched
from goldpress.machine.ready import Ready
from goldpress.machine.record import Firmware, Machine
from goldpress.progress import Step

POLL_SECONDS = 2.0
CHECKS = 2
#: EC2's checks look every minute, and have to pass twice.
CHECKS_SECONDS = 600.0
WEB_SECONDS = 60.0
PROBE = ("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time",
         "5", "http://127.0.0.1/healthz")  # fmt: skip
OK = "200"
SSH_PORTS = (22, 2222)


def port_of(address: str) -> int:
    """Where an instance of the embedded cloud has its ssh: an ordinary user may not open 22."""
    for port in SSH_PORTS:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex((address, port)) == 0:
                return port
    return SSH_PORTS[0]


@contextmanager
def machine_of(
    instances: Instances,
    launched: Launched,
    directory: Path,
    step: Step,
    through: Callable[[str], AbstractContextManager[int]] | None = None,
) -> Iterator[tuple[Machine, Ready]]:
    """The machine once it is ready, with its way in, which ends with the context.

    `through` opens a tunnel to a private address, and gives the port on this machine.
    Raises MachineError with what the console shows, CloudError.
    """
    watch = Watch(instances=instances, launched=launched, directory=directory, step=step)
    machine = watch.machine(watch.running())
    ways = ExitStack()
    try:
        if through is not None:
            port = ways.enter_context(through(machine.address))
            machine = replace(machine, address="127.0.0.1", ssh_port=port)
        machine.ssh_config.write_text(ssh.configuration(machine))
        yield machine, watch.ready(machine)
    finally:
        watch.save_console()
        if (machine.sockets / "ssh").exists():
            run(ssh.close_master_argv(machine), check=False, timeout=10, what="closing ssh")
        shutil.rmtree(machine.sockets, ignore_errors=True)
        ways.close()


class Watch:
    """One instance from its launch to its first answers."""

    def __init__(
        self, *, instances: Instances, launched: Launched, directory: Path, step: Step
    ) -> None:
        self.instances = instances
        self.launched = launched
        self.plan = launched.plan
        self.directory = directory
        self.step = step
        self.console = Console(path=directory / "console.log")

    def running(self) -> Instance:
        """The instance, when EC2 says that it runs. Raises MachineError."""
        while True:
            found = self.look()
            if found is not None and found.state == "running":
                return found
            self.in_time("is not running")
            self.step.update(f"{self.launched.instance} {found.state if found else 'unknown'}")
            time.sleep(POLL_SECONDS)

    def look(self) -> Instance | None:
        """What EC2 says of it. Raises MachineError when it has ended."""
        found = self.instances.instance(self.launched.instance)
        if found is None and self.seconds() > UNKNOWN_SECONDS:
            raise self.failure("is unknown to EC2")
        if found is not None and (found.state in ENDED or found.state.startswith("stop")):
            raise self.failure(f"is {found.state}: {found.why or 'no reason told'}")
        return found

    def machine(self, found: Instance) -> Machine:
        """Its record."""
        address = found.private_address
        if self.plan.reach == "direct":
            address = found.public_address or address
        if not address:
            raise self.failure("has no address")
        if found.boot_mode != "uefi":
            raise self.failure(f"was booted by {found.boot_mode or 'nobody knows what'}, not UEFI")
        firmware: Firmware = "uefi"
        return Machine(
            kind="ec2-emulated" if self.plan.emulated else "ec2",
            firmware=firmware,
            accelerator=found.type,
            address=address,
            ssh_port=port_of(address) if self.plan.emulated else SSH_PORTS[0],
            http_port=80,
            uuid=found.id,
            directory=self.directory,
            sockets=Path(tempfile.mkdtemp(prefix="goldpress-")),
            process=process.identify(os.getpid()),
            started=self.launched.started,
            user="ec2-user",
        )

    def ready(self, machine: Machine) -> Ready:
        """Wait for the host key on the console, a login, HTTP 200 and EC2's own checks."""
        fingerprint = self.fingerprint()
        identity = self.seconds()
        self.login(machine, fingerprint)
        login = self.seconds()
        self.web(machine)
        web = self.seconds()
        self.checks()
        return Ready(
            fingerprint=fingerprint,
            boot_to_identity_seconds=round(identity, 2),
            boot_to_ssh_seconds=round(login, 2),
            boot_to_200_seconds=round(web, 2),
        )

    def fingerprint(self) -> str:
        """The host key's fingerprint, from the console alone."""
        while True:
            self.save_console()
            if reason := self.console.fatal():
                raise self.failure(f"did not boot: {reason}")
            if found := self.console.fingerprint():
                return found
            self.look()
            self.in_time("printed no `goldpress-identity: ssh-host-key` line")
            self.step.update(f"{self.launched.instance} boots, {self.seconds():.0f} s")
            time.sleep(POLL_SECONDS)

    def login(self, machine: Machine, fingerprint: str) -> None:
        """Pin the host key, and log in once."""
        pinned, last = False, "sshd does not answer"
        while True:
            try:
                pinned = pinned or ssh.pin(machine, fingerprint)
                if pinned:
                    done = ssh.execute(machine, "true", check=False)
                    if done.returncode == 0:
                        return
                    last = done.stderr.decode(errors="replace").strip() or "the login failed"
            except CommandError as error:
                last = error.message
            self.look()
            self.in_time(f"gave no login: {last}")
            self.step.update(f"{machine.address}: no login yet, {self.seconds():.0f} s")
            time.sleep(POLL_SECONDS)

    def web(self, machine: Machine) -> None:
        """Wait until ``GET /healthz`` is answered with 200, asked on the machine."""
        end = time.monotonic() + WEB_SECONDS
        while True:
            done = ssh.execute(machine, *PROBE, check=False)
            if done.text.strip() == OK:
                return
            if time.monotonic() > end:
                raise self.failure(
                    f"lets people in, but /healthz answers {done.text.strip() or 'nothing'}"
                )
            time.sleep(POLL_SECONDS)

    def checks(self) -> None:
        """Wait until EC2's two status checks pass."""
        end = time.monotonic() + CHECKS_SECONDS
        while (passed := self.instances.checks(self.launched.instance)) < CHECKS:
            if time.monotonic() > end:
                raise self.failure(f"passes {passed} of {CHECKS} status checks")
            self.step.update(f"{passed} of {CHECKS} status checks, {self.seconds():.0f} s")
            time.sleep(POLL_SECONDS)

    def save_console(self) -> None:
        """Write what EC2 has of the console over what was there; what has ended keeps its last."""
        if text := self.instances.console(self.launched.instance):
            self.console.path.write_bytes(text)
            self.console = replace(self.console, lines=[], position=0, rest=b"")
            self.console.update()

    def seconds(self) -> float:
        """Seconds since the launch."""
        return time.time() - self.launched.started

    def in_time(self, what: str) -> None:
        """Raises MachineError when the time for the boot is over."""
        if self.seconds() > self.plan.boot_seconds:
            raise self.failure(f"{what} within {self.plan.boot_seconds} s")

    def failure(self, what: str) -> MachineError:
        """The error, with what the console showed last."""
        return MachineError(
            f"{self.launched.instance} of {self.plan.ami} in {self.plan.region} {what}",
            hint=consoles.report(self.console),
        )
