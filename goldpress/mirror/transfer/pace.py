"""Owns pace: a transfer that crawls, or is to be stopped, is cut instead of waited for.

A server that sends a byte now and then keeps every timeout of a socket happy; only somebody who
looks at the clock from outside can tell. That is a thread beside each transfer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: Seconds between two looks at a running transfer.
LOOK_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The least that a transfer has to do: `rate` bytes a second over every `window` seconds.

    As dnf asks of mirrors: eight at once over a poor link still do it.
    """

    rate: int = 1000
    window: float = 30.0

    def __str__(self) -> str:
        return f"slower than {self.rate} bytes a second for {self.window:g} s"


@dataclass(kw_only=True)
class Watch:
    """One transfer under watch; `slow` is set when it was cut because it crawled."""

    pace: Pace
    stop: threading.Event
    slow: bool = False
    received: int = 0
    _connection: Any = None
    _done: threading.Event = field(default_factory=threading.Event)

    def count(self, size: int) -> None:
        """So many bytes came."""
        self.received += size

    def _look(self) -> None:
        since, before = time.monotonic(), 0
        while not self._done.wait(min(LOOK_SECONDS, self.pace.window)):
            if self.stop.is_set():
                self._cut()
                continue
            now = time.monotonic()
            if now - since < self.pace.window:
                continue
            if self.received - before < self.pace.rate * (now - since):
                self.slow = True
                self._cut()
            since, before = now, self.received

    def _cut(self) -> None:
        connection = self._connection
        if connection is None:
            return
        # Below TLS: its own way of ending would wait for the other side.
        plain = getattr(connection, "socket", connection)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(plain, socket.SHUT_RDWR)


_HERE = threading.local()


@contextmanager
def watched(pace: Pace, stop: threading.Event) -> Iterator[Watch]:
    """Watch the transfer that this thread does in the block."""
    watch = Watch(pace=pace, stop=stop)
    thread = threading.Thread(target=watch._look, daemon=True)  # noqa: SLF001 - its own
    _HERE.watch = watch
    thread.start()
    try:
        yield watch
    finally:
        watch._done.set()  # noqa: SLF001
        thread.join()
        # What is cut after this line is another transfer's: connections are used again.
        _HERE.watch = None


def speaking(connection: Any) -> None:
    """Tell this thread's watch which socket it is about to read from."""
    watch: Watch | None = getattr(_HERE, "watch", None)
    if watch is not None:
        watch._connection = connection  # noqa: SLF001
