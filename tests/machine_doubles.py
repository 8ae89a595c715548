"""Owns the doubles of machine and verify tests: fake host programs, and a machine's record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from goldpress.host import run as host_run
from goldpress.machine import process
from goldpress.machine.record import Firmware, Machine

FINGERPRINT = "SHA256:" + "A" * 43


def fake_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A function that puts an executable of this name on the PATH of every child.

    Each call's arguments are appended to ``<name>.calls`` beside it.
    """
    folder = tmp_path / "fake-bin"
    folder.mkdir()
    clean = dict(host_run.CLEAN_ENVIRONMENT)
    clean["PATH"] = f"{folder}:{clean['PATH']}"
    monkeypatch.setattr(host_run, "CLEAN_ENVIRONMENT", clean)

    def add(name: str, script: str) -> Path:
        tool = folder / name
        calls = folder / f"{name}.calls"
        tool.write_text(f"#!/bin/sh\necho \"$@\" >>'{calls}'\n{script}\n")
        tool.chmod(0o755)
        return calls

    return add


def machine_in(
    directory: Path, *, firmware: Firmware = "uefi", owner: process.Process | None = None
) -> Machine:
    """A machine's record in `directory`; its process is this test's own unless told otherwise."""
    directory.mkdir(exist_ok=True)
    sockets = directory / "sockets"
    sockets.mkdir(exist_ok=True)
    return Machine(
        kind="qemu",
        firmware=firmware,
        accelerator="tcg",
        address="127.0.0.1",
        ssh_port=2222,
        http_port=8080,
        uuid="11111111-2222-3333-4444-555555555555",
        directory=directory,
        sockets=sockets,
        process=owner or process.identify(os.getpid()),
        started=time.time(),
        user="ec2-user",
    )
