"""Owns what the user sees while waiting.

On a terminal a running step is a live line that tells what it is at; elsewhere it is a plain line
when it starts. Everywhere one line with its time remains when it ends. Everything goes to stderr:
stdout carries results only.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.status import Status

#: The width of a result in a file or a log; 80 would break most rows of a difference.
RESULT_COLUMNS = 160
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


def result(shown: RenderableType, *, beside: bool = False) -> None:
    """A table on stdout, for people: as wide as the terminal, or as a wide one where none is.

    `beside` a result for programs, which stdout then carries, it goes to stderr.
    """
    terminal = Console(highlight=False, stderr=beside)
    width = None if terminal.is_terminal else RESULT_COLUMNS
    Console(highlight=False, stderr=beside, width=width).print(shown)


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


#: Seconds of the past that a rate is of; a second or two jump about.
RATE_SECONDS = 5.0
#: Off a terminal, a line so often: a log that is silent for minutes looks like one that hangs.
LINE_SECONDS = 30.0
#: On one, so often; every chunk of every thread would cost more than the transfer.
SHOWN_SECONDS = 0.1


@dataclass(kw_only=True)
class Transfers:
    """Files on their way, and how fast; any thread may tell of bytes and files."""

    step: Step
    files: int
    size: int
    clock: Callable[[], float] = time.monotonic
    noun: str = "files"
    here: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _past: deque[tuple[float, int]] = field(default_factory=deque)
    _began: float = 0.0
    _shown: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._shown = self.clock()
        self._past.append((self._began, 0))

    def bytes(self, count: int) -> None:
        """So many bytes came (less than 0: were thrown away again)."""
        with self._lock:
            self.received += count
            self._show()

    def file(self) -> None:
        """A file is here."""
        with self._lock:
            self.here += 1
            self._show()

    def _show(self) -> None:
        now = self.clock()
        live = self.step.status is not None
        if now - self._shown < (SHOWN_SECONDS if live else LINE_SECONDS):
            return
        self._shown = now
        self._past.append((now, self.received))
        while len(self._past) > 2 and now - self._past[1][0] >= RATE_SECONDS:  # noqa: PLR2004
            self._past.popleft()
        then, before = self._past[0]
        rate = max(0.0, (self.received - before) / max(now - then, SHOWN_SECONDS))
        text = transfer_text(self.here, self.files, self.received, self.size, rate, noun=self.noun)
        if live:
            self.step.update(text)
        else:
            note(f"  …  {self.step.name}  {text}")

    def summary(self) -> str:
        """What came, and how fast."""
        rate = self.received / max(self.clock() - self._began, 0.001)
        return f"{self.here} {self.noun}, {megabytes(self.received)}, {megabytes(rate)}/s"


def megabytes(size: float) -> str:
    """A number of bytes in MB."""
    return f"{size / 1e6:.1f} MB"


def transfer_text(
    here: int, files: int, received: int, size: int, rate: float, *, noun: str = "files"
) -> str:
    """Files, bytes, bytes a second and the time left, in a line; `rate` 0 means not known."""
    parts = [f"{here} of {files} {noun}", f"{received / 1e6:.1f} of {megabytes(size)}"]
    if rate > 0:
        minutes, seconds = divmod(round(max(0, size - received) / rate), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
        parts += [f"{megabytes(rate)}/s", f"{left} left"]
    return ", ".join(parts)


@contextmanager
def transfers(name: str, *, files: int, size: int) -> Iterator[Transfers]:
    """A step that brings `files` files of `size` bytes altogether."""
    with step(name, f"{files} to bring, {megabytes(size)}") as current:
        running = Transfers(step=current, files=files, size=size)
        yield running
        current.update(running.summary())
