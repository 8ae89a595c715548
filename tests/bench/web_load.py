"""Owns the load: how wrk asks, and what it found out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLIENTS = 500
THREADS = 2
TIMEOUT_SECONDS = 10
#: Users behind the balancer that keeps the connections: so many addresses a thread, each below
#: the rate that the image allows one.
USERS = 1000
FAILURES = ("connect", "read", "write", "status", "timeout")

SCRIPT = """\
wrk.headers["Host"] = "{host}"
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end
function init(arguments)
  math.randomseed(number + 1)
  sent = 0
end
function request()
  sent = sent + 1
  wrk.headers["X-Forwarded-For"] = string.format(
    "10.%d.%d.%d", number, math.floor(sent / 250) % {blocks}, sent % 250)
  return wrk.format("GET", {target})
end
{delay}function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d,'
    .. ' "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""
#: A person reads for a second, on average, before asking again.
DELAY = """\
function delay()
  return math.random(500, 1500)
end
"""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What wrk saw: requests a second, milliseconds, and failures by their kind."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failures: Mapping[str, int]


def script(host: str, path: str, *, rows: int = 0, think: bool = False) -> str:
    """wrk's script: `path` of `host`, of a random row with `rows`, at once or after a while."""
    target = f'"{path}?id=" .. math.random({rows})' if rows else f'"{path}"'
    return SCRIPT.format(
        host=host, target=target, blocks=USERS // 250, delay=DELAY if think else ""
    )


def load_argv(wrk: tuple[str, ...], script_path: str, seconds: int) -> tuple[str, ...]:
    """The command line that asks for `seconds`; `wrk` is how it is started."""
    options = (f"-t{THREADS}", f"-c{CLIENTS}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s")
    return (*wrk, *options, "-s", script_path, "http://127.0.0.1:80/")


def parse_answers(text: str) -> Answers:
    """What the script wrote, in the last line of wrk's output. Raises ValueError."""
    lines = text.strip().splitlines()
    try:
        row: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return Answers(
            requests_per_second=row["requests"] / (row["microseconds"] / 1e6),
            p50_ms=row["p50"] / 1000,
            p99_ms=row["p99"] / 1000,
            failures={kind: row[kind] for kind in FAILURES if row[kind]},
        )
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"wrk did not tell what it found: {text.strip()[-200:]!r}") from error
