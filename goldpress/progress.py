"""Owns what the user sees while waiting.

On a terminal a running step is a live line that tells what it is at; elsewhere it is a plain line
when it starts. Everywhere one line with its time remains when it ends. Everything goes to stderr:
stdout carries results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status

CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(kw_only=True)
class Step:
    """One running step; `update` changes what is shown beside its name."""

    name: str
    started: float = field(default_factory=time.monotonic)
    status: Status | None = None
    detail: str = ""

    def update(self, detail: str) -> None:
        """Show `detail` beside the step's name; on a terminal only, to keep logs short."""
        self.detail = detail
        if self.status is not None:
            self.status.update(f"{self.name}  [dim]{detail}[/dim]")

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started


@dataclass(kw_only=True)
class StepRecord:
    """A finished step, for the summary."""

    name: str
    seconds: float


RECORDS: list[StepRecord] = []


def note(text: str) -> None:
    """One line to stderr."""
    CONSOLE.print(text, markup=False)


@contextmanager
def step(name: str, why: str = "") -> Iterator[Step]:
    """Announce a step, time it, and say how it ended (also when it raised)."""
    current = Step(name=name)
    reason = f"  ({why})" if why else ""
    live = CONSOLE.is_terminal
    if live:
        current.status = CONSOLE.status(f"{name}{reason}")
        current.status.start()
    else:
        note(f"  …  {name}{reason}")
    try:
        yield current
    except BaseException:
        _end(current, "FAILED")
        raise
    _end(current, "ok")
    RECORDS.append(StepRecord(name=name, seconds=current.seconds))


def _end(current: Step, mark: str) -> None:
    if current.status is not None:
        current.status.stop()
    detail = f"  {current.detail}" if current.detail and mark == "ok" else ""
    note(f"{mark:>6}  {current.name}  {current.seconds:.1f} s{detail}")
    sys.stderr.flush()
