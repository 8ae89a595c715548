"""Owns the hosts that files come from: how many connections each bears, and which are better."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

#: librepo's default is 3; one more keeps a single mirror's line full while files begin and end.
PER_HOST = 4


@dataclass(kw_only=True)
class _Host:
    running: int = 0
    faults: int = 0
    rests_until: float = 0.0


@dataclass(kw_only=True)
class Hosts:
    """What is known of hosts in this run. Any thread may call anything here."""

    per_host: int = PER_HOST
    clock: Callable[[], float] = time.monotonic
    _hosts: dict[str, _Host] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def slot(self, hosts: Sequence[str], stop: threading.Event) -> Iterator[int]:
        """Wait for a free connection to one of `hosts` (best first); gives its index.

        A host that failed waits until no better one is left to ask, even a busy one: what it does
        badly for one file it does for the next. Ends with index -1 when `stop` is set.
        """
        with self._changed:
            while (index := self._free(hosts)) < 0 and not stop.is_set():
                self._changed.wait(0.5)
            if index >= 0:
                self._host(hosts[index]).running += 1
        try:
            yield index
        finally:
            if index >= 0:
                with self._changed:
                    self._host(hosts[index]).running -= 1
                    self._changed.notify_all()

    def failed(self, host: str, rest: float = 0.0) -> None:
        """The host did not do what it should; it wants to rest for so many seconds."""
        with self._changed:
            known = self._host(host)
            known.faults += 1
            known.rests_until = max(known.rests_until, self.clock() + rest if rest else 0.0)

    def worked(self, host: str) -> None:
        """The host gave a file: that makes up for one fault."""
        with self._changed:
            known = self._host(host)
            known.faults = max(0, known.faults - 1)

    def rest(self, host: str) -> float:
        """Seconds that the host still wants to be left alone."""
        with self._changed:
            return max(0.0, self._host(host).rests_until - self.clock())

    def _host(self, host: str) -> _Host:
        return self._hosts.setdefault(host, _Host())

    def _free(self, hosts: Sequence[str]) -> int:
        now = self.clock()
        known = [self._host(host) for host in hosts]
        merits = [(max(0.0, host.rests_until - now), host.faults) for host in known]
        best = min(merits)
        for index, host in enumerate(known):
            if merits[index] == best and host.running < self.per_host:
                return index
        return -1
