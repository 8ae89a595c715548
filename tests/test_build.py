"""Examining a copy at both of its boots: in which order, and when no second one is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from machine_doubles import FINGERPRINT, machine_in

from goldpress import build, progress
from goldpress.definition import Verify
from goldpress.errors import MachineError
from goldpress.machine import power, ready
from goldpress.machine.ready import Ready
from goldpress.machine.record import Machine
from goldpress.store import Store
from goldpress.verify.evidence import Boot, Check, Outcome, Subject
from goldpress.verify.suite import Examination

SETTINGS = Verify(suite="verify", boot_seconds=60)
UP = Ready(
    fingerprint=FINGERPRINT,
    boot_to_identity_seconds=1.0,
    boot_to_ssh_seconds=2.0,
    boot_to_200_seconds=3.0,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examined(Examination):
    """An examination whose suite ends as told, boot by boot."""

    outcomes: Sequence[Outcome]
    events: list[str]

    def examine(self, machine: Machine, up: Ready, *, earlier: Sequence[Boot] = ()) -> Boot:
        number = len(earlier) + 1
        self.events.append(f"examine {number}")
        outcome = self.outcomes[number - 1]
        check = Check(control="os-x", test="t::x", outcome=outcome, seconds=0.1)
        return Boot(
            number=number,
            host_key=up.fingerprint,
            checks=(check,),
            faults=(),
            started="",
            ended="",
            boot_to_200_seconds=up.boot_to_200_seconds,
            console_sha256=f"of {machine.started}",
            junit_sha256="",
        )


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the machine, in order; starting it again moves its console away."""
    done: list[str] = []

    def wait(machine: Machine, timeout: float) -> Ready:
        done.append(f"wait {timeout:g}")
        machine.console.touch()
        return UP

    def shut_down(machine: Machine) -> float:
        done.append("off")
        with machine.console.open("a") as console:
            console.write("reboot: Power down\n")
        return 1.0

    def start_again(machine: Machine) -> Machine:
        done.append("on")
        return dataclasses.replace(machine, started=machine.started + 1)

    monkeypatch.setattr(ready, "wait_ready", wait)
    monkeypatch.setattr(power, "shut_down", shut_down)
    monkeypatch.setattr(power, "start_again", start_again)
    return done


def examine(tmp_path: Path, events: list[str], *outcomes: Outcome) -> list[Boot]:
    examination = Examined(
        suite=tmp_path,
        facts={},
        subject=Subject(image_digest="sha256:1", disk_sha256="2"),
        store=Store(root=tmp_path / "store"),
        outcomes=outcomes,
        events=events,
    )
    with progress.step("boot and verify", "") as step:
        return build.examine_boots(machine_in(tmp_path / "m"), examination, SETTINGS, step)


def test_a_copy_is_examined_at_both_boots(tmp_path: Path, events: list[str]) -> None:
    boots = examine(tmp_path, events, "passed", "passed")
    assert events == ["wait 60", "examine 1", "off", "on", "wait 60", "examine 2"]
    assert [boot.number for boot in boots] == [1, 2]
    # The first boot's console counts until its very end.
    assert not boots[0].console_sha256.startswith("of ")


def test_a_first_boot_that_failed_is_the_last(tmp_path: Path, events: list[str]) -> None:
    boots = examine(tmp_path, events, "failed")
    assert events == ["wait 60", "examine 1"]
    assert [boot.good for boot in boots] == [False]


def test_a_machine_that_does_not_power_off_ends_it(
    tmp_path: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(machine: Machine) -> float:
        raise MachineError(f"the machine at {machine.address} does not power off within 120 s")

    monkeypatch.setattr(power, "shut_down", stuck)
    with pytest.raises(MachineError, match="does not power off within 120 s"):
        examine(tmp_path, events, "passed")


def test_both_consoles_and_reports_are_kept(tmp_path: Path) -> None:
    for name in ("console.1.log", "console.log", "verify.1.log", "verify.2.log", "login_key"):
        (tmp_path / name).touch()
    found = [path.name for path in build.kept_files(tmp_path)]
    assert found == ["console.1.log", "console.log", "verify.1.log", "verify.2.log"]
