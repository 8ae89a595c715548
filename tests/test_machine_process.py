from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from goldpress.errors import MachineError
from goldpress.host.run import run
from goldpress.machine import process


def start_sleeper(pidfile: Path, script: str = "exec sleep 300") -> process.Process:
    """A process in the background, as QEMU daemonizes itself."""
    run(["sh", "-c", f"( {script} ) >/dev/null 2>&1 & echo $! >'{pidfile}'"])
    return process.identify(int(pidfile.read_text()))


def test_a_process_is_recognised_and_ended(tmp_path: Path) -> None:
    sleeper = start_sleeper(tmp_path / "pid")
    assert process.is_running(sleeper)
    assert process.stop(sleeper) is True
    assert not process.is_running(sleeper)
    assert process.stop(sleeper) is False


def test_another_process_under_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    sleeper = start_sleeper(tmp_path / "pid")
    try:
        earlier = replace(sleeper, start_ticks=sleeper.start_ticks - 1)
        assert process.stop(earlier) is False
        other_boot = replace(sleeper, boot_id="another")
        assert process.stop(other_boot) is False
        assert process.is_running(sleeper)
    finally:
        process.stop(sleeper)


def test_a_deaf_process_is_ended_by_force(tmp_path: Path) -> None:
    sleeper = start_sleeper(tmp_path / "pid", "trap '' TERM; while :; do sleep 0.1; done")
    assert process.stop(sleeper, patience=0.4) is True
    assert not process.is_running(sleeper)


def test_a_process_that_is_gone_cannot_be_identified() -> None:
    with pytest.raises(MachineError, match=r"process 999999999 ended as soon as it started"):
        process.identify(999999999)


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("b\n")
    fields = ["S", *(["0"] * 18), "4242", "0"]
    (tmp_path / "7/stat").write_text(f"7 (a) S (b) {' '.join(fields)}\n")
    found = process.identify(7, tmp_path)
    assert found == process.Process(pid=7, start_ticks=4242, boot_id="b")
    assert process.is_running(found, tmp_path)
    fields[0] = "Z"
    (tmp_path / "7/stat").write_text(f"7 (a) S (b) {' '.join(fields)}\n")
    assert not process.is_running(found, tmp_path)


def test_this_process_runs() -> None:
    assert process.is_running(process.identify(os.getpid()))
