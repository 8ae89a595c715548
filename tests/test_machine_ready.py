from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from machine_doubles import FINGERPRINT, fake_tools, machine_in

from goldpress.errors import MachineError
from goldpress.machine import process, ready, ssh
from goldpress.machine.record import Machine

LINE = "goldpress-identity: ssh-host-key ssh-ed25519 {}\n"


@pytest.fixture(params=[200])
def web(request: pytest.FixtureRequest) -> Iterator[int]:
    """A web server that answers every request with the given status; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = machine_in(tmp_path / "m")
    found.console.write_text("Linux version 6\n")
    return found


def announce(machine: Machine, tmp_path: Path) -> str:
    """Write a host key's fingerprint on the console; returns what ssh-keyscan should print."""
    line = ssh.make_login_key(tmp_path / "host", comment="host")
    with machine.console.open("a") as stream:
        stream.write(LINE.format(ssh.fingerprint(line.split()[1])))
    return f"echo '127.0.0.1 {' '.join(line.split()[:2])}'"


def test_a_machine_gets_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine, web: int
) -> None:
    add = fake_tools(tmp_path, monkeypatch)
    add("ssh-keyscan", announce(machine, tmp_path))
    add("ssh", "exit 0")
    machine = replace(machine, http_port=web, started=time.time() - 5)
    found = ready.wait_ready(machine, 30)
    assert found.fingerprint.startswith("SHA256:")
    assert 5 <= found.boot_to_identity_seconds <= found.boot_to_ssh_seconds < 30
    assert 5 <= found.boot_to_200_seconds < 30
    assert machine.known_hosts.exists()


def test_another_host_key_ends_the_wait_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine, web: int
) -> None:
    fake_tools(tmp_path, monkeypatch)("ssh-keyscan", announce(machine, tmp_path))
    machine.console.write_text(LINE.format(FINGERPRINT))
    began = time.monotonic()
    with pytest.raises(MachineError, match=f"but the console announced {FINGERPRINT}"):
        ready.wait_ready(replace(machine, http_port=web), 60)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("web", [503], indirect=True)
def test_a_web_server_that_never_says_200(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine, web: int
) -> None:
    add = fake_tools(tmp_path, monkeypatch)
    add("ssh-keyscan", announce(machine, tmp_path))
    add("ssh", "exit 0")
    monkeypatch.setattr(ready, "WEB_GRACE_SECONDS", 0.3)
    with pytest.raises(
        MachineError, match=rf"lets people in, but /healthz on port {web} never answered"
    ):
        ready.wait_ready(replace(machine, http_port=web), 60)


@pytest.mark.parametrize("web", [404], indirect=True)
def test_no_200_within_the_limit(machine: Machine, web: int) -> None:
    said = rf"gave no HTTP 200 for /healthz on port {web} within 0\.3 s"
    with pytest.raises(MachineError, match=said):
        ready.first_200(replace(machine, http_port=web), 0.3)


def test_no_announcement_within_the_limit(machine: Machine) -> None:
    with pytest.raises(MachineError, match="printed no `goldpress-identity: ssh-host-key` line"):
        ready.wait_identity(machine, 0.3)


def test_no_login_within_the_limit_says_what_ssh_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    add = fake_tools(tmp_path, monkeypatch)
    add("ssh-keyscan", announce(machine, tmp_path))
    add("ssh", "echo 'Permission denied (publickey).' >&2; exit 255")
    found = ready.wait_identity(machine, 5)
    with pytest.raises(MachineError, match=r"gave no login within 0\.3 s: Permission denied"):
        ready.wait_ssh(machine, found, 0.3)


def test_an_sshd_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    fake_tools(tmp_path, monkeypatch)("ssh-keyscan", "exit 0")
    with pytest.raises(MachineError, match=r"gave no login within 0\.1 s: sshd does not answer"):
        ready.wait_ssh(machine, FINGERPRINT, 0.1)


def test_a_panic_ends_the_wait_with_the_console(machine: Machine) -> None:
    machine.console.write_text("[FAILED] Failed to start nginx.service - n.\nKernel panic - oh\n")
    with pytest.raises(MachineError) as caught:
        ready.wait_ready(machine, 60)
    text = str(caught.value)
    assert "the machine at 127.0.0.1 did not boot: the kernel panicked: Kernel panic - oh" in text
    assert "failed units: nginx.service" in text
    assert f"the whole console: {machine.console}" in text


def test_a_machine_that_ended_ends_the_wait(machine: Machine) -> None:
    gone = process.Process(pid=999999999, start_ticks=1, boot_id=process.boot_id())
    with pytest.raises(MachineError, match=r"has ended by itself \(QEMU exited\)\n.*Linux version"):
        ready.wait_ready(replace(machine, process=gone), 60)
