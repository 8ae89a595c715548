"""Owns leases: one at a time works on a channel, and whoever was too slow finds out.

    leases/<what>.json   {"fence": 3, "until": 1770000000, "who": "...", "process": {...},
                          "pids": "pid:[4026531836]"}

It is changed by compare-and-set only. The fence grows with every holder. A holder renews its lease
while it works; one that died keeps it until it ends, unless it died on this machine, which knows.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.digest import canonical_json
from goldpress.errors import ConflictError, DocumentError, GoldpressError
from goldpress.machine.process import Process, identify, is_running
from goldpress.store import Objects

FORMAT = 1
#: Longer than any call of AWS with all its attempts (aws/client: ten of 40 s, and pauses).
LEASE_SECONDS = 900
RENEW_SECONDS = 700
#: Clocks of two machines may differ by so much.
SLACK_SECONDS = 60
#: For what ends within this time it is waited.
WAIT_SECONDS = 60
POLL_SECONDS = 1.0
#: The year 9999, the last that can be told.
LATEST = 253402300799

Clock = Callable[[], float]


@dataclass(kw_only=True)
class Lease:
    """A lease that this process holds."""

    objects: Objects
    key: str
    fence: int
    until: float
    version: str
    who: str
    process: Process
    clock: Clock = time.time

    def renew(self) -> None:
        """To be called before every change elsewhere. Raises ConflictError when it is lost.

        Nobody can take it before it ends, so that is asked for only when it ends soon.
        """
        if self.until - self.clock() > RENEW_SECONDS:
            return
        self._write(self.clock() + LEASE_SECONDS)

    def release(self) -> None:
        """Let the next one have it. Raises ConflictError when it was lost."""
        self._write(0.0)

    def _write(self, until: float) -> None:
        data = _document(self.fence, until, self.who, self.process)
        if not self.objects.swap(self.key, data, version=self.version):
            raise ConflictError(
                f"{self.objects.name}/{self.key}: this process was too slow: someone else has "
                "taken over",
                hint="look at what is in force now: `./inv status`",
            )
        self.until = until
        held = self.objects.get(self.key)
        if held is None or held.data != data:
            raise ConflictError(f"{self.objects.name}/{self.key}: someone else has taken over")
        self.version = held.version


@contextmanager
def leased(objects: Objects, key: str, *, clock: Clock = time.time) -> Iterator[Lease]:
    """The lease until the end of the block. Raises as `take`."""
    lease = take(objects, key, clock=clock)
    try:
        yield lease
    except BaseException as error:
        try:
            lease.release()
        except (GoldpressError, OSError) as second:
            # The first error is the one to be told.
            error.add_note(f"the lease stays until it ends: {second}")
        raise
    lease.release()


def take(objects: Objects, key: str, *, clock: Clock = time.time) -> Lease:
    """The lease, once it is free. Raises ConflictError that tells who has it for long yet."""
    me = identify(os.getpid())
    who = f"process {me.pid} on {platform.node() or 'a machine without a name'}"
    end = clock() + WAIT_SECONDS
    while True:
        held = objects.get(key)
        fence = 0
        if held is not None:
            before = parsed(held.data, where=f"{objects.name}/{key}")
            fence = before["fence"]
            if (left := _left(before, clock())) > 0:
                _wait(f"{objects.name}/{key}", before, left, may_wait=clock() < end)
                continue
        until = clock() + LEASE_SECONDS
        data = _document(fence + 1, until, who, me)
        if objects.swap(key, data, version=held.version if held else None):
            now = objects.get(key)
            if now is not None and now.data == data:
                return Lease(
                    objects=objects, key=key, fence=fence + 1, until=until, version=now.version,
                    who=who, process=me, clock=clock,
                )  # fmt: skip


def _left(before: dict[str, Any], now: float) -> float:
    """For how many seconds its holder may go on; 0 when that is known to have ended."""
    if before["until"] == 0:
        return 0.0
    holder = Process(**before["process"])
    # Another machine, or an earlier boot of this one, has another boot_id; a container has the
    # same, and pids of its own: those of its processes tell nothing of others'.
    is_near = holder.boot_id == identify(os.getpid()).boot_id and before.get("pids") == pids()
    if is_near and not is_running(holder):
        progress.note(f"{before['who']} ended in the middle: going on from there")
        return 0.0
    return max(0.0, float(before["until"]) + SLACK_SECONDS - now)


def _wait(name: str, before: dict[str, Any], left: float, *, may_wait: bool) -> None:
    if left > WAIT_SECONDS or not may_wait:
        until = datetime.fromtimestamp(before["until"], UTC).strftime("%H:%M:%S")
        raise ConflictError(
            f"{name}: {before['who']} is at the same work, at most until {until} UTC",
            hint="wait until that has ended, then run the command again",
        )
    time.sleep(POLL_SECONDS)


def _document(fence: int, until: float, who: str, process: Process) -> bytes:
    return canonical_json({
        "format": FORMAT, "fence": fence, "until": until, "who": who, "process": asdict(process),
        "pids": pids(),
    })  # fmt: skip


def pids() -> str:
    """The namespace in which a pid of this process means anything."""
    return str(Path("/proc/self/ns/pid").readlink())


def parsed(data: bytes, *, where: str) -> dict[str, Any]:
    """The values of a lease's document. Raises DocumentError that names `where`."""
    try:
        value: dict[str, Any] = json.loads(data)
        if value["format"] != FORMAT:
            raise DocumentError(
                f"{where}: format {value['format']} is not {FORMAT}",
                hint="another version of goldpress wrote it; use that one",
            )
        Process(**value["process"])
        is_whole = bool(value["who"]) and type(value["fence"]) is int
        is_whole = is_whole and 0 <= value["until"] <= LATEST
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DocumentError(f"{where}: not a lease: {error!r}") from None
    if not is_whole:
        raise DocumentError(f"{where}: not a lease: its holder, fence or end is none")
    return value
