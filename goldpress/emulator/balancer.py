"""Owns one HAProxy in front of a target group: its configuration, its orders, its log.

It does what an Application Load Balancer does between a listener and a target group, and no more:
no checks of its own (the target group's health decides), no retries, no other target when one does
not answer. Members come and go through its runtime socket, in slots; it is never reloaded, so no
connection is lost by a change. Source: HAProxy 2.6, "Configuration Manual" and "Management Guide"
(9.3); Application Load Balancers' user guide for the timeouts and headers.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from goldpress.errors import MachineError, MissingError
from goldpress.host.run import run
from goldpress.host.tools import BALANCER
from goldpress.machine import process
from goldpress.machine.process import Process

#: More members than that at once are refused; a local cloud has a handful.
SLOTS = 64
START_SECONDS = 20
ORDER_SECONDS = 10.0
RECORD, CONFIGURATION, PIDFILE = "balancer.json", "haproxy.cfg", "haproxy.pid"
#: [D] ALB: idle timeout 60 s; a connection to a target is given up after 10 s (504).
IDLE_SECONDS, CONNECT_SECONDS = 60, 10

CONFIG = """\
global
    maxconn 4000
    nbthread 1
    stats socket unix@{socket} mode 600 level admin
    stats timeout 1d

ring requests
    format raw
    maxlen 256
    size 4194304

defaults
    mode http
    option dontlognull
    retries 0
    timeout connect {connect}s
    timeout client {idle}s
    timeout server {idle}s
    timeout http-keep-alive {idle}s

frontend listener
    bind {address}:{port}
    log ring@requests format raw local0
    log-format "request %s %ST %Tr"
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port {listener}
    default_backend targets

backend targets
    balance roundrobin
    server-template slot 1-{slots} 127.0.0.1:9 disabled
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that has ended: who answered, how, and after how long.

    `target` is empty when none was chosen. `seconds` is from the request's end until the target's
    headers, None when none came: then the status is the balancer's own.
    """

    target: str
    status: int
    seconds: float | None


def parsed(line: str) -> Request | None:
    """A line of the log; None for what HAProxy tells of itself. Raises ValueError."""
    if not line.startswith("request "):
        return None
    _, server, status, milliseconds = line.split()
    waited = int(milliseconds)
    return Request(
        target="" if server == "<NOSRV>" else server,
        status=int(status),
        seconds=None if waited < 0 else waited / 1000,
    )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A member as it should be: where it is, and whether it gets new requests."""

    address: str
    port: int
    serving: bool


@dataclass(kw_only=True)
class Slot:
    """One of the servers of the configuration, and who has it; `mode` is HAProxy's word."""

    name: str
    key: tuple[str, int] | None = None
    mode: str = "maint"
    open: int = 0


def plan(slots: Iterable[Slot], wanted: Mapping[tuple[str, int], Wanted]) -> list[str]:
    """The orders that make the members as wanted; the slots are noted as they will be then.

    A slot is given to another member only when it has nothing open. Raises MachineError when none
    is free.
    """
    slots, orders = list(slots), []
    for slot in slots:
        if slot.key is not None and slot.key not in wanted:
            orders.append(f"set server targets/{slot.name} state maint")
            slot.key, slot.mode = None, "maint"
    have = {slot.key: slot for slot in slots if slot.key is not None}
    for key, member in wanted.items():
        mode = "ready" if member.serving else "drain"
        if key not in have:
            if not member.serving:
                continue
            free = next((s for s in slots if s.key is None and not s.open), None)
            if free is None:
                raise MachineError(f"a load balancer of this cloud has {SLOTS} targets at most")
            have[key] = free
        slot = have[key]
        if slot.key is None:
            place = f"addr {member.address} port {member.port}"
            orders.append(f"set server targets/{slot.name} {place}")
            slot.key = key
        if slot.mode != mode:
            orders.append(f"set server targets/{slot.name} state {mode}")
            slot.mode = mode
            # Until it is counted anew, something may be open.
            slot.open = max(slot.open, 1)
    return orders


@dataclass(kw_only=True)
class Balancer:
    """A running HAProxy. `address` and `port` are where it listens, `listener` the port it is."""

    directory: Path
    sockets: Path
    address: str
    port: int
    listener: int
    process: Process
    slots: list[Slot] = field(
        default_factory=lambda: [Slot(name=f"slot{i + 1}") for i in range(SLOTS)]
    )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return process.is_running(self.process)

    def order(self, *orders: str) -> list[str]:
        """Give orders one after the other; returns each one's answer. Raises MachineError."""
        return [self._order(line) for line in orders]

    def _order(self, line: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(ORDER_SECONDS)
                connection.connect(str(self.sockets / "admin"))
                connection.sendall(line.encode() + b"\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise MachineError(f"the load balancer at {self.address} is gone: {error}") from error
        return answer.strip()

    def apply(self, wanted: Mapping[tuple[str, int], Wanted]) -> list[str]:
        """Make the members as wanted, and count what is open; returns the orders.

        Raises MachineError, also when HAProxy refuses one.
        """
        orders = plan(self.slots, wanted)
        for line, answer in zip(orders, self.order(*orders), strict=True):
            # Only a new address is answered, by what has changed; anything else is a refusal.
            if answer and not (" addr " in line and ("changed" in answer or "no need" in answer)):
                raise MachineError(f"HAProxy refuses `{line}`: {answer}")
        rows = {row["svname"]: row for row in self.counters() if row["pxname"] == "targets"}
        for slot in self.slots:
            slot.open = int(rows[slot.name]["scur"])
        return orders

    def counters(self) -> list[dict[str, str]]:
        """HAProxy's own statistics, one row each of listener, backend and slot."""
        (text,) = self.order("show stat")
        return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))

    def open_requests(self, key: tuple[str, int]) -> int:
        """How many requests a member that gets no new ones still has open; 1 while it does."""
        slot = next((slot for slot in self.slots if slot.key == key), None)
        if slot is None:
            return 0
        return slot.open if slot.mode == "drain" else max(slot.open, 1)

    def requests(self) -> Iterator[Request]:
        """Every request as it ends, up to the end of the balancer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.sockets / "admin"))
            connection.sendall(b"show events requests -w\n")
            with connection.makefile("r", encoding="ascii") as lines:
                for line in lines:
                    if (request := parsed(line)) is not None:
                        yield request

    def end(self) -> None:
        """End it at once, and what it has open."""
        process.stop(self.process, patience=2.0)
        (self.sockets / "admin").unlink(missing_ok=True)


def configuration(*, address: str, port: int, listener: int, sockets: Path) -> str:
    """The whole configuration; it never changes while the balancer runs."""
    return CONFIG.format(
        socket=sockets / "admin", address=address, port=port, listener=listener, slots=SLOTS,
        connect=CONNECT_SECONDS, idle=IDLE_SECONDS,
    )  # fmt: skip


def start(
    directory: Path, *, sockets: Path, address: str, port: int, listener: int | None = None
) -> Balancer:
    """Start one in the new folder `directory`; it listens when this returns.

    `sockets` is a folder with a short path. Raises MissingError, CommandError.
    """
    if BALANCER.path() is None:
        raise MissingError(
            "a load balancer of the embedded cloud is an HAProxy, which is not installed",
            hint="run `apt-get install haproxy`; its service is not needed and may be disabled",
        )
    directory.mkdir(parents=True)
    shown = port if listener is None else listener
    path = directory / CONFIGURATION
    path.write_text(configuration(address=address, port=port, listener=shown, sockets=sockets))
    argv = ("haproxy", "-D", "-f", path, "-p", directory / PIDFILE)
    run(argv, timeout=START_SECONDS, what=f"starting a load balancer at {address}:{port}")
    pid = int((directory / PIDFILE).read_text())
    running = process.identify(pid)
    (directory / RECORD).write_text(json.dumps(asdict(running)))
    return Balancer(
        directory=directory, sockets=sockets, address=address, port=port, listener=shown,
        process=running,
    )  # fmt: skip


def follow(balancer: Balancer, tell: Callable[[Request], object]) -> threading.Thread:
    """Tell `tell` of every request, in a thread that ends with the balancer."""

    def read() -> None:
        # Its end, however it came, is the end of the requests.
        with contextlib.suppress(ConnectionError):
            for request in balancer.requests():
                tell(request)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
