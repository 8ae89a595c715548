"""One case of the web benchmark, inside a confinement of its own; JSON on stdin and stdout.

web_child.py database    make the database in /kept/data
web_child.py case        start the services, look at their answers, load them, watch their memory

Nothing outlives it: it is the one program of a process namespace, which ends with it. It runs on
the standard library alone, and so it is told everything as plain values.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from web_memory import Sample, look

from goldpress.errors import GoldpressError, MachineError
from goldpress.host.run import run
from goldpress.machine import process
from goldpress.machine.process import Process

LOGS = Path("/kept/logs")
START_SECONDS = 90
SAMPLE_SECONDS = 1.0
TAIL_LINES = 6
#: Starts a program in the background, and tells its process: in a group of its own, since Apache
#: ends its whole group.
START = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
COMPLAINTS = re.compile(
    r"PHP (?:Warning|Fatal|Parse|Notice|Deprecated)|Unable to load|Error loading"
)


class Journal:
    """Stands where the journal listens: nginx sends every request there, PHP what it logs."""

    def __init__(self, path: str) -> None:
        self.lines = 0
        self.complaints: deque[str] = deque(maxlen=TAIL_LINES)
        self.last: deque[str] = deque(maxlen=TAIL_LINES)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        Path(path).chmod(0o666)
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        while True:
            line = self._socket.recv(1 << 16).decode(errors="replace")
            self.lines += 1
            if '{"time":' not in line:  # a request, of which there are very many
                self.last.append(line)
                if COMPLAINTS.search(line):
                    self.complaints.append(line)


def furnish(lines: Sequence[str]) -> None:
    """Carry out the shell lines that give both trees what a machine would give them."""
    run(("sh", "-e", "-c", "\n".join(lines)), what="mounting")


def make_database(steps: Sequence[tuple[Sequence[str], str]]) -> None:
    """Run each program with what it reads."""
    for argv, text in steps:
        run(argv, stdin=text.encode(), timeout=120, merge=True)


def start(service: Mapping[str, Any], journal: Journal) -> Process | None:
    """Start a service; one that is run once has ended well. Raises MachineError."""
    name, log = service["name"], LOGS / f"{service['name'].replace(' ', '-')}.log"
    if service["once"]:
        done = run(service["argv"], env=service["env"], merge=True, check=False, timeout=60)
        log.write_bytes(done.stdout)
        if done.returncode or done.text.strip():
            raise MachineError(f"{name} did not end well:{tails(journal, name)}")
        return None
    started = run(("sh", "-c", START, "start", str(log), *service["argv"]), env=service["env"])
    try:
        return process.identify(int(started.text))
    except MachineError as error:
        raise MachineError(f"{name} ended as soon as it started:{tails(journal, name)}") from error


def tails(journal: Journal, name: str = "") -> str:
    """The last lines of a service's logs and the journal, or of all logs, each named."""
    found = {log.stem: log.read_text(errors="replace").splitlines() for log in LOGS.glob("*.log")}
    found["journal"] = list(journal.last)
    rows = [
        f"\n    {log}: {line}"
        for log, lines in sorted(found.items())
        if log.startswith((name.replace(" ", "-"), "journal")) and not log.endswith("requests")
        for line in lines[-TAIL_LINES:]
    ]
    return "".join(rows) or " its log is empty"


def ask(host: str, path: str) -> tuple[int, str]:
    """Status and body of a page. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def unready(job: Mapping[str, Any], roots: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    """What is not as it has to be before it is measured; empty when all is."""
    try:
        for path, expected in job["pages"].items():
            status, body = ask(job["host"], path)
            if (status, body) != (200, expected):
                return f"GET {path}: {status} {body[:200]!r}, not {expected[:200]!r}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error!r}"
    found = look(roots, job["title"]).processes
    for name, least in wanted.items():
        if found[name] < least:
            return f"{name} has {found[name]} processes, not {least}"
    return ""


def wait_ready(job: Mapping[str, Any], running: Mapping[str, Process], journal: Journal) -> str:
    """Wait until every answer is right; returns what the greeting says. Raises MachineError."""
    roots = {name: found.pid for name, found in running.items()}
    wanted = {s["name"]: s["processes"] for s in job["services"] if not s["once"]}
    deadline = time.monotonic() + START_SECONDS
    while problem := unready(job, roots, wanted):
        check_running(running, journal)
        if time.monotonic() > deadline:
            raise MachineError(f"not ready after {START_SECONDS} s: {problem}{tails(journal)}")
        time.sleep(0.2)
    return ask(job["host"], job["greeting"])[1].strip()


def check_running(running: Mapping[str, Process], journal: Journal) -> None:
    """Raises MachineError with the last lines of the logs when a service has ended."""
    for name, found in running.items():
        if not process.is_running(found):
            raise MachineError(f"{name} ended:{tails(journal, name)}")


def watch(done: threading.Event, roots: Mapping[str, int], title: str) -> list[Sample]:
    """Look at the memory, until `done`."""
    samples = []
    while not done.wait(SAMPLE_SECONDS):
        samples.append(look(roots, title))
    return samples


def loaded(job: Mapping[str, Any], roots: Mapping[str, int]) -> tuple[str, list[Sample]]:
    """What wrk says, and what the memory was meanwhile."""
    run(job["warm_up"], timeout=job["timeout"], what="warming up")
    done = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        looks = pool.submit(watch, done, roots, job["title"])
        try:
            said = run(job["load"], timeout=job["timeout"], what="loading").text
        finally:
            done.set()
        return said, looks.result()


@contextlib.contextmanager
def started(
    services: Sequence[Mapping[str, Any]], journal: Journal
) -> Iterator[dict[str, Process]]:
    """The services, in order; at the end they are stopped, the database last."""
    running: dict[str, Process] = {}
    try:
        for service in services:
            if found := start(service, journal):
                running[service["name"]] = found
        yield running
    finally:
        for found in reversed(running.values()):
            process.stop(found, patience=30)


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """One case. Raises MachineError or CommandError."""
    journal = Journal("/dev/log")
    with started(job["services"], journal) as running:
        greeting = wait_ready(job, running, journal)
        said, samples = loaded(job, {name: found.pid for name, found in running.items()})
        check_running(running, journal)
    errors = LOGS / "apache-errors.log"
    lines = errors.read_text(errors="replace").splitlines() if errors.exists() else []
    if found := [*journal.complaints, *(line for line in lines if COMPLAINTS.search(line))]:
        raise MachineError(f"PHP complains: {found[0]}")
    return {
        "greeting": greeting,
        "wrk": said,
        "samples": [asdict(sample) for sample in samples],
        "journal_lines": journal.lines,
    }


def main(verb: str) -> int:
    """Do it, and tell the result, or what failed, as JSON."""
    job = json.load(sys.stdin)
    LOGS.mkdir(exist_ok=True)
    for log in LOGS.iterdir():
        log.unlink()
    try:
        furnish(job["furniture"])
        if verb == "database":
            make_database(job["steps"])
            result: dict[str, Any] = {}
        else:
            result = measure(job)
    except GoldpressError as error:
        result = {"error": error.message}
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
