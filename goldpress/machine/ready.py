"""Owns waiting for a machine: it is ready when the host key that its console announced answers.

Every wait is bounded, ends early when the boot cannot succeed any more, and says what the
console showed last.
"""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass

from goldpress.errors import CommandError, MachineError
from goldpress.machine import console as consoles
from goldpress.machine import process, ssh
from goldpress.machine.console import Console
from goldpress.machine.record import Machine

POLL_SECONDS = 0.25
CONNECT_SECONDS = 2.0
WEB_GRACE_SECONDS = 60  # from the first login: the web server starts beside sshd, not after it


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A machine that answers: its pinned host key, and seconds from power-on to each event."""

    fingerprint: str
    boot_to_identity_seconds: float
    boot_to_ssh_seconds: float
    boot_to_200_seconds: float


def failure(machine: Machine, console: Console, what: str) -> MachineError:
    """The error for a machine that did not come up, with what its console showed."""
    console.update()
    return MachineError(f"the machine at {machine.address} {what}", hint=consoles.report(console))


def check_alive(machine: Machine, console: Console) -> None:
    """Raises MachineError when the boot has failed for good or the machine is gone."""
    console.update()
    if reason := console.fatal():
        raise failure(machine, console, f"did not boot: {reason}")
    if not process.is_running(machine.process):
        raise failure(machine, console, "has ended by itself (QEMU exited)")


def answers_200(machine: Machine) -> bool:
    """True when ``GET /healthz`` on the machine's HTTP port is answered with 200."""
    # As a balancer asks: by address, so that the image need not know this name of the machine.
    connection = http.client.HTTPConnection(
        machine.address, machine.http_port, timeout=CONNECT_SECONDS
    )
    try:
        connection.request("GET", "/healthz", headers={"Connection": "close"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def first_200(machine: Machine, timeout: float, stop: threading.Event | None = None) -> float:
    """Seconds from power-on to the first 200 for ``GET /healthz``.

    `timeout` counts from power-on. Raises MachineError at its end, when the boot has failed, or
    once `stop` is set.
    """
    console = Console(path=machine.console)
    halted = stop or threading.Event()
    while not answers_200(machine):
        check_alive(machine, console)
        if time.time() - machine.started > timeout:
            raise failure(
                machine,
                console,
                f"gave no HTTP 200 for /healthz on port {machine.http_port} within {timeout:g} s",
            )
        if halted.wait(POLL_SECONDS):
            raise failure(machine, console, "was no longer waited for")
    return time.time() - machine.started


def wait_identity(machine: Machine, timeout: float) -> str:
    """The host key's fingerprint from the console. `timeout` counts from power-on."""
    console = Console(path=machine.console)
    while True:
        check_alive(machine, console)
        if found := console.fingerprint():
            return found
        if time.time() - machine.started > timeout:
            raise failure(
                machine,
                console,
                f"printed no `goldpress-identity: ssh-host-key` line within {timeout:g} s",
            )
        time.sleep(POLL_SECONDS)


def wait_ssh(machine: Machine, fingerprint: str, timeout: float) -> None:
    """Pin the host key and log in once. `timeout` counts from power-on."""
    console = Console(path=machine.console)
    pinned = False
    last = "sshd does not answer"
    while True:
        check_alive(machine, console)
        try:
            pinned = pinned or ssh.pin(machine, fingerprint)
            if pinned:
                done = ssh.execute(machine, "true", check=False)
                if done.returncode == 0:
                    return
                last = done.stderr.decode(errors="replace").strip() or "the login failed"
        except CommandError as error:
            last = error.message
        if time.time() - machine.started > timeout:
            raise failure(machine, console, f"gave no login within {timeout:g} s: {last}")
        time.sleep(POLL_SECONDS)


def wait_ready(machine: Machine, timeout: float) -> Ready:
    """Wait for identity, ssh and the first HTTP 200, each bounded by `timeout` from power-on.

    Raises MachineError. It does not halt the machine: whoever started it does (`running`).
    """
    web: list[float] = []
    web_error: list[MachineError] = []
    stop = threading.Event()

    def watch_web() -> None:
        try:
            web.append(first_200(machine, timeout, stop))
        except MachineError as error:
            web_error.append(error)

    watcher = threading.Thread(target=watch_web, name="first-200", daemon=True)
    watcher.start()
    try:
        fingerprint = wait_identity(machine, timeout)
        identity = time.time() - machine.started
        wait_ssh(machine, fingerprint, timeout)
        login = time.time() - machine.started
        watcher.join(WEB_GRACE_SECONDS)
        late = watcher.is_alive()
    finally:
        stop.set()
        watcher.join()
    if late:
        what = f"lets people in, but /healthz on port {machine.http_port} never answered 200"
        raise failure(machine, Console(path=machine.console), what)
    if web_error:
        raise web_error[0]
    return Ready(
        fingerprint=fingerprint,
        boot_to_identity_seconds=round(identity, 2),
        boot_to_ssh_seconds=round(login, 2),
        boot_to_200_seconds=round(web[0], 2),
    )
