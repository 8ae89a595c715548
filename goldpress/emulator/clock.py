"""Owns the emulator's time: the real one, moved forward or stopped by whoever tests with it.

    POST /_goldpress/clock   {"advance": 3600, "stopped": true}

Everything that takes time here (EBS snapshots that complete, instances that boot) asks this clock.
moto's own timestamps stay real.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Clock:
    """Unix time in seconds, plus what was added; constant while `stopped`."""

    moved: float = 0.0
    stopped_at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        """Seconds since 1970."""
        real = time.time() if self.stopped_at is None else self.stopped_at
        return real + self.moved

    def utc(self) -> dt.datetime:
        """The same as a date."""
        return dt.datetime.fromtimestamp(self.now(), tz=dt.UTC)

    def set(
        self, *, advance: float = 0.0, stopped: bool | None = None, reset: bool = False
    ) -> float:
        """Move forward, stop or go on; returns the new time. Raises ValueError for the past.

        `reset` is back to the real time, for the next test on the same cloud.
        """
        if advance < 0:
            raise ValueError("the clock goes forward only")
        with self.lock:
            if reset:
                self.moved, self.stopped_at = 0.0, None
            if stopped is True and self.stopped_at is None:
                self.stopped_at = time.time()
            elif stopped is False and self.stopped_at is not None:
                # What passed meanwhile did not pass here.
                self.moved -= time.time() - self.stopped_at
                self.stopped_at = None
            self.moved += advance
            return self.now()
