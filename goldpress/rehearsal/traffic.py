"""Owns real traffic: connections that are kept open, slow requests, every failure told.

Each connection asks for one page after the other, at a pace, and keeps its connection as browsers
and proxies do; the last `slow` of them ask for the slow page. Whatever is not a whole answer with
the expected status is a failure, with its time and what happened: also a kept connection that ends
without an answer, which a browser would quietly ask again. Nothing is asked twice.

    python -m goldpress.rehearsal.traffic http://127.83.1.2/ --host app.example.com --seconds 60

prints one JSON object when the time is over, or at Ctrl-C, and ends with status 1 when a request
failed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

#: Above this share of all requests, a latency percentile: what reports tell.
PERCENTILES = (50, 90, 99, 100)
MOST_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What to ask, and how. `pause` is seconds between two requests of a connection.

    `timeout` bounds each wait for bytes; a slow page takes its own time, so give it more. `body`
    is a text that every answer has to contain.
    """

    url: str
    host: str = ""
    connections: int = 8
    slow: int = 0
    slow_path: str = "/slow"
    pause: float = 0.1
    timeout: float = 60.0
    status: int = 200
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request that failed: when it began (Unix time), after how long, where, and what it got."""

    began: float
    seconds: float
    path: str
    connection: int
    kept: bool
    error: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened. `latency` has seconds by percentile, of the requests that were answered.

    `answers` counts first lines of the answers, the failed ones' too, with their status.
    """

    requests: int
    answered: int
    slow: int
    reconnected: int
    failures: tuple[Failure, ...]
    seconds: float
    latency: dict[str, float]
    slow_latency: dict[str, float]
    answers: dict[str, int]

    def after(self, moment: float) -> tuple[Failure, ...]:
        """The failures of requests that began after a Unix time."""
        return tuple(row for row in self.failures if row.began > moment)


@dataclass(kw_only=True)
class Load:
    """Traffic that flows from `start` until `stop`."""

    traffic: Traffic
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: list[threading.Thread] = field(default_factory=list)
    times: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    failures: list[Failure] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    reconnected: int = 0
    began: float = 0.0

    def start(self) -> None:
        """Let it flow."""
        self.began = time.monotonic()
        for number in range(self.traffic.connections):
            thread = threading.Thread(target=self._flow, args=(number,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self) -> Report:
        """Send no new request, wait for every one that is open, and tell."""
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return self.report()

    def report(self) -> Report:
        """What has happened so far."""
        with self.lock:
            quick, slow = sorted(self.times[False]), sorted(self.times[True])
            failures = tuple(self.failures)
            reconnected = self.reconnected
            answers = dict(sorted(self.answers.items()))
        answered = len(quick) + len(slow)
        return Report(
            requests=answered + len(failures),
            answered=answered,
            slow=len(slow),
            reconnected=reconnected,
            failures=failures,
            seconds=time.monotonic() - self.began,
            latency=_percentiles(quick),
            slow_latency=_percentiles(slow),
            answers=answers,
        )

    def _flow(self, number: int) -> None:
        slow = number >= self.traffic.connections - self.traffic.slow
        place = urlsplit(self.traffic.url)
        path = self.traffic.slow_path if slow else (place.path or "/")
        connection = http.client.HTTPConnection(
            place.hostname or "", place.port or 80, timeout=self.traffic.timeout
        )
        # Spread over the pause, so that they do not all ask at once.
        self.ending.wait(self.traffic.pause * number / self.traffic.connections)
        while not self.ending.is_set():
            self._one(connection, path, number, slow=slow)
            self.ending.wait(self.traffic.pause)
        connection.close()

    def _one(
        self, connection: http.client.HTTPConnection, path: str, number: int, *, slow: bool
    ) -> None:
        kept = connection.sock is not None
        moment, began = time.time(), time.monotonic()
        try:
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            body = answer.read()
            error = self._complaint(answer.status, body)
            said = f"{answer.status} {first_line(body)}"
            closes = answer.will_close
        except (OSError, http.client.HTTPException) as problem:
            error, closes = f"{type(problem).__name__}: {problem}", True
            said = type(problem).__name__
        took = time.monotonic() - began
        if closes:
            connection.close()
        with self.lock:
            self.reconnected += closes
            self.answers[said] += 1
            if not error:
                self.times[slow].append(took)
                return
            self.failures.append(
                Failure(
                    began=moment,
                    seconds=took,
                    path=path,
                    connection=number,
                    kept=kept,
                    error=error,
                )
            )

    def _headers(self) -> dict[str, str]:
        return {"Host": self.traffic.host} if self.traffic.host else {}

    def _complaint(self, status: int, body: bytes) -> str:
        if status != self.traffic.status:
            return f"status {status}: {body[:60]!r}"
        if self.traffic.body and self.traffic.body.encode() not in body:
            return f"{self.traffic.body!r} is not in {body[:60]!r}"
        return ""


def first_line(body: bytes) -> str:
    """What tells one answer from another."""
    return body[:MOST_SHOWN].partition(b"\n")[0].decode(errors="replace")


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    if not times:
        return {}
    ranks = {p: max(0, -(-p * len(times) // 100) - 1) for p in PERCENTILES}
    return {f"p{p}": round(times[rank], 4) for p, rank in ranks.items()}


@contextlib.contextmanager
def flowing(traffic: Traffic) -> Iterator[Load]:
    """Traffic during the block; it is stopped at its end, whatever ends it. Ask for its report."""
    load = Load(traffic=traffic)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Let traffic flow as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description="real traffic, every failure told")
    parser.add_argument("url")
    parser.add_argument("--host", default="", help="the Host header, where it is not the address")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--slow", type=int, default=0, help="how many of them ask the slow page")
    parser.add_argument("--slow-path", default="/slow")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two requests")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--body", default="", help="a text that every answer contains")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = vars(parser.parse_args(arguments))
    seconds = options.pop("seconds")
    load = Load(traffic=Traffic(**options))
    load.start()
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(seconds)
    report = load.stop()
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 1 if report.failures or not report.answered else 0


if __name__ == "__main__":
    raise SystemExit(main())
