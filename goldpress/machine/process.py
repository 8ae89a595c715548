"""Owns the identity of a host process: a pid alone may belong to somebody else by now."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import MachineError

POLL_SECONDS = 0.05
START_TIME_FIELD = 19  # field 22 of /proc/PID/stat, counted after the name in parentheses
STATE_FIELD = 0


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of this host: its pid, its start in clock ticks, and the boot both belong to."""

    pid: int
    start_ticks: int
    boot_id: str


def boot_id(proc: Path = Path("/proc")) -> str:
    """The id of this host's current boot."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


def _stat_fields(pid: int, proc: Path) -> list[str] | None:
    try:
        text = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name may hold spaces and parentheses; what follows the last one does not.
    return text.rpartition(")")[2].split()


def identify(pid: int, proc: Path = Path("/proc")) -> Process:
    """The identity of a running process. Raises MachineError when there is none."""
    fields = _stat_fields(pid, proc)
    if fields is None:
        raise MachineError(f"process {pid} ended as soon as it started")
    return Process(pid=pid, start_ticks=int(fields[START_TIME_FIELD]), boot_id=boot_id(proc))


def is_running(process: Process, proc: Path = Path("/proc")) -> bool:
    """True while that very process runs: a zombie, or another one under its pid, is not it."""
    fields = _stat_fields(process.pid, proc)
    return (
        fields is not None
        and fields[STATE_FIELD] != "Z"
        and int(fields[START_TIME_FIELD]) == process.start_ticks
        and boot_id(proc) == process.boot_id
    )


def stop(process: Process, *, patience: float = 10.0) -> bool:
    """End the process: politely, after `patience` seconds by force.

    Returns False when it was not running. Raises MachineError when it cannot be ended.
    """
    if not is_running(process):
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return True
        except PermissionError as error:
            raise MachineError(f"process {process.pid} belongs to another user") from error
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not is_running(process):
                return True
            time.sleep(POLL_SECONDS)
    raise MachineError(f"process {process.pid} does not end, not even by SIGKILL")
