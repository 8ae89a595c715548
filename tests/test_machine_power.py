"""The second start of a machine: the same one, on the disk that it left."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from machine_doubles import fake_tools, machine_in

from goldpress.errors import CommandError, DocumentError, MachineError
from goldpress.machine import power, process, qemu, record
from goldpress.machine.record import Machine

# A QEMU that goes to the background, writes its pid file, and whose end ssh brings about.
DAEMON = """
while [ $# -gt 0 ]; do [ "$1" = -pidfile ] && pid="$2"; shift; done
sleep 300 </dev/null >/dev/null 2>&1 &
echo $! >"$pid"
"""


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    add = fake_tools(tmp_path, monkeypatch)
    add("qemu-system-x86_64", DAEMON)
    folder = tmp_path / "m"
    # Told to power off, the guest ends its QEMU.
    add("ssh", f"case \"$*\" in *poweroff*) kill $(cat '{folder}/qemu.pid');; esac")
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    ovmf = tmp_path / "ovmf"
    ovmf.mkdir()
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        (ovmf / name).write_bytes(b"firmware")
    machine = qemu.boot(disk, directory=folder, accelerator="tcg", ovmf=ovmf)
    machine.console.write_text("first boot\n")
    return machine


def test_the_same_machine_starts_on_the_disk_that_it_left(running: Machine) -> None:
    directory = running.directory
    keys = (directory / "login_key").read_bytes()
    (directory / "efivars.fd").write_bytes(b"written by the first boot")
    disk = (directory / "disk.qcow2").stat().st_ino
    with qemu.halting(running):
        assert power.shut_down(running, timeout=30) < 30
        assert not process.is_running(running.process)
        again = power.start_again(running)
        assert process.is_running(again.process)
        same = replace(running, process=again.process, started=again.started)
        assert again == same == record.load(directory)
        assert again.started > running.started
        assert (directory / "disk.qcow2").stat().st_ino == disk
        assert (directory / "login_key").read_bytes() == keys
        assert (directory / "efivars.fd").read_bytes() == b"written by the first boot"
        # The first boot's console is kept; the second's is not taken for it.
        assert power.earlier_console(directory, 1).read_text() == "first boot\n"
        assert not again.console.exists()
    assert not process.is_running(again.process)
    assert not (directory / "disk.qcow2").exists()


def test_a_machine_that_runs_is_not_started_twice(running: Machine) -> None:
    with qemu.halting(running):
        with pytest.raises(MachineError, match="still runs: shut it down first"):
            power.start_again(running)
        assert running.console.read_text() == "first boot\n"


def test_a_halted_machine_has_no_disk_to_start_on(running: Machine) -> None:
    qemu.halt(running)
    with pytest.raises(MachineError, match=r"has no disk any more\n.*a halted machine cannot"):
        power.start_again(running)


def test_a_machine_that_does_not_power_off_shows_its_console(
    running: Machine, tmp_path: Path
) -> None:
    (tmp_path / "fake-bin/ssh").write_text("#!/bin/sh\nexit 0\n")
    with qemu.halting(running), pytest.raises(MachineError) as caught:
        power.shut_down(running, timeout=0.5)
    assert "does not power off within 0.5 s" in str(caught.value)
    assert "first boot" in str(caught.value)


def test_a_machine_that_refuses_to_power_off_says_why(running: Machine, tmp_path: Path) -> None:
    (tmp_path / "fake-bin/ssh").write_text("#!/bin/sh\necho sudo: no >&2; exit 1\n")
    with (
        qemu.halting(running),
        pytest.raises(CommandError, match=r"systemctl poweroff(.|\n)*sudo: no"),
    ):
        power.shut_down(running)


def test_a_qemu_that_does_not_start_again_says_why(running: Machine, tmp_path: Path) -> None:
    power.shut_down(running, timeout=30)
    broken = tmp_path / "fake-bin/qemu-system-x86_64"
    broken.write_text("#!/bin/sh\necho address in use >&2; exit 1\n")
    with (
        qemu.halting(running),
        pytest.raises(MachineError, match=r"QEMU did not start in .*(.|\n)*address in use"),
    ):
        power.start_again(running)


@pytest.mark.parametrize("text", [None, "not json"])
def test_a_lost_command_line_is_named(tmp_path: Path, text: str | None) -> None:
    machine = machine_in(tmp_path / "m")
    if text is not None:
        (machine.directory / "qemu.json").write_text(text)
    with pytest.raises(DocumentError, match=r"qemu\.json: not a noted QEMU command line"):
        power.command_line(machine.directory)


def test_the_command_line_is_the_one_of_the_first_start(running: Machine) -> None:
    with qemu.halting(running):
        noted = json.loads((running.directory / "qemu.json").read_bytes())
        assert list(power.command_line(running.directory)) == noted
        assert noted[noted.index("-uuid") + 1] == running.uuid


class Monitor:
    """A QEMU's monitor: it greets, tells events in between, and does what it is told."""

    def __init__(self, path: Path, *, answers: dict[str, bytes] | None = None) -> None:
        self.orders: list[str] = []
        self.answers = answers or {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.pressed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                stream.write(b'{"QMP": {"version": {}, "capabilities": []}}\n')
                stream.flush()
                for line in stream:
                    order = json.loads(line)["execute"]
                    self.orders.append(order)
                    event = b'{"event": "NIC_RX_FILTER_CHANGED"}\n'
                    stream.write(event + self.answers.get(order, b'{"return": {}}\n'))
                    stream.flush()
                    if order == "system_powerdown":
                        self.pressed.set()


def test_the_power_button_is_an_order_to_qemu(tmp_path: Path) -> None:
    """QMP: capabilities are negotiated before the first order."""
    machine = machine_in(tmp_path / "m")
    monitor = Monitor(machine.sockets / "qmp")
    power.press(machine)
    assert monitor.orders == ["qmp_capabilities", "system_powerdown"]


def test_a_button_that_does_not_work_says_why(tmp_path: Path) -> None:
    machine = machine_in(tmp_path / "m")
    with pytest.raises(MachineError, match=r"the power button of the machine at 127\.0\.0\.1 does"):
        power.press(machine)
    refusal = b'{"error": {"class": "GenericError", "desc": "no such button"}}\n'
    Monitor(machine.sockets / "qmp", answers={"system_powerdown": refusal})
    with pytest.raises(MachineError, match="does not work: system_powerdown: no such button"):
        power.press(machine)


def test_a_machine_that_follows_its_button_is_off(running: Machine) -> None:
    with qemu.halting(running):
        monitor = Monitor(running.sockets / "qmp")

        def end() -> None:
            monitor.pressed.wait(30)
            process.stop(running.process)

        threading.Thread(target=end, daemon=True).start()
        assert power.power_off(running, timeout=30)
        assert not process.is_running(running.process)
        assert (running.directory / "disk.qcow2").exists()


def test_one_that_does_not_follow_runs_on_and_is_asked_again(
    running: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "PRESS_AGAIN_SECONDS", 0.3)
    with qemu.halting(running):
        monitor = Monitor(running.sockets / "qmp")
        assert not power.power_off(running, timeout=1.2)
        assert process.is_running(running.process)
        assert monitor.orders.count("system_powerdown") > 1
