"""Owns how many calls are under way at once: as many as AWS answers without asking to slow down.

Half as many after a call that had to be tried again, one more after a round without; so a busy
region is not made busier, and a quiet one is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: A slower pace shows its effect only after the calls that are under way.
PATIENCE_SECONDS = 1.0
LEAST = 2


@dataclass(kw_only=True)
class Pace:
    """The number of calls that may be under way, between `LEAST` and `most`."""

    most: int
    clock: Callable[[], float] = time.monotonic
    now: float = 0.0
    slowed: float = 0.0

    def __post_init__(self) -> None:
        self.now = float(self.most)

    def told(self, retries: int) -> None:
        """A call ended, after so many retries."""
        if not retries:
            self.now = min(self.most, self.now + 1 / self.now)
        elif self.clock() - self.slowed >= PATIENCE_SECONDS:
            self.slowed = self.clock()
            self.now = max(LEAST, self.now / 2)


def at_pace(
    items: Iterable[Item],
    work: Callable[[Item], tuple[Result, int]],
    *,
    workers: int,
) -> Iterator[Result]:
    """What `work` returns of each item, in the order in which it ends.

    `work` returns (a result, how often it was tried again). The first error ends it: nothing new
    is begun, what is under way ends, and it is raised.
    """
    pace, rest = Pace(most=workers), iter(items)
    stop = threading.Event()

    def guarded(item: Item) -> tuple[Result, int] | None:
        return None if stop.is_set() else work(item)

    with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as pool:
        running: set[Future[tuple[Result, int] | None]] = set()
        try:
            while True:
                room = max(0, int(pace.now) - len(running))
                running.update(pool.submit(guarded, item) for item in islice(rest, room))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    if (found := future.result()) is not None:
                        pace.told(found[1])
                        yield found[0]
        finally:
            stop.set()
            for future in running:
                future.cancel()
