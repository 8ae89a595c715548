"""Owns the requests that flow in this cloud: health checks, load balancers, and their metrics.

A beat every quarter of a second requests the checks that are due, makes each load balancer's
members what its target group says, and counts what they have open. It begins with the first target
or listener that is real; a cloud of virtual instances has none.

[D] "CloudWatch metrics for your Application Load Balancer": names, dimensions, and that what did
not occur is not reported: no errors are no data point, and without requests there is none at all.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
import traceback
import uuid as uuids
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldpress.emulator import balancer
from goldpress.emulator.balancer import Balancer, Request, Wanted
from goldpress.emulator.metrics import Key, Metrics
from goldpress.emulator.probing import Checker, Where
from goldpress.emulator.targets import TargetGroups
from goldpress.errors import GoldpressError, MachineError
from goldpress.machine import address

BEAT_SECONDS = 0.25
#: How often hosts are counted; AWS reports once a minute.
COUNT_SECONDS = 10.0
NAMESPACE = "AWS/ApplicationELB"
HTTP = 80
ERRORS = 500


@dataclass(kw_only=True)
class Front:
    """A listener with its HAProxy; `target_group` is where it forwards to now."""

    listener: str
    load_balancer: str
    target_group: str
    groups: TargetGroups
    metrics: Metrics
    balancer: Balancer
    hosts: tuple[int, int] = (0, 0)
    counted: float = 0.0
    failure: str = ""

    def beat(self, where: Where) -> None:
        """Members as the target group says. A failure is kept for who looks, and told once."""
        try:
            self.balancer.apply(self._wanted(where))
        except GoldpressError as error:
            if str(error) != self.failure:
                sys.stderr.write(f"{self.listener}: {error}\n")
            self.failure = str(error)
            return
        self.failure = ""
        self._count_hosts()

    def _wanted(self, where: Where) -> dict[tuple[str, int], Wanted]:
        found = {}
        if self.groups.exists(self.target_group):
            for member in self.groups.members(self.target_group):
                place = where(member.id, member.port)
                if place is not None:
                    found[member.id, member.port] = Wanted(
                        address=place[0], port=place[1], serving=member.serving
                    )
        return found

    def _count_hosts(self) -> None:
        if not self.groups.exists(self.target_group):
            return
        states = [t.state for t in self.groups.targets(self.target_group) if not t.deregistered]
        healthy, now = states.count("healthy"), time.monotonic()
        found = (healthy, len(states))
        if states and (found != self.hosts or now - self.counted >= COUNT_SECONDS):
            self.hosts, self.counted = found, now
            _, both = self._dimensions()
            self._add("HealthyHostCount", both, healthy, "Count")
            self._add("UnHealthyHostCount", both, len(states) - healthy, "Count")

    def tell(self, request: Request) -> None:
        """Count a request that has ended. Source of the dimensions: see the module."""
        alone, both = self._dimensions()
        places = (alone, both)
        if request.seconds is None:
            if request.status >= ERRORS:
                self._add("HTTPCode_ELB_5XX_Count", alone, 1, "Count")
        else:
            name = f"HTTPCode_Target_{request.status // 100}XX_Count"
            for place in places:
                self._add(name, place, 1, "Count")
                self._add("TargetResponseTime", place, request.seconds, "Seconds")
        if request.target:
            for place in places:
                self._add("RequestCount", place, 1, "Count")

    def _dimensions(self) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        one = ("LoadBalancer", self.load_balancer.partition(":loadbalancer/")[2])
        return (one,), (one, ("TargetGroup", self.target_group.rpartition(":")[2]))

    def _add(
        self, name: str, dimensions: tuple[tuple[str, str], ...], value: float, unit: str
    ) -> None:
        self.metrics.add(Key(NAMESPACE, name, dimensions), float(value), unit=unit)

    def described(self) -> dict[str, Any]:
        """What `/_goldpress/balancers` tells."""
        return {
            "load_balancer": self.load_balancer, "listener": self.listener,
            "target_group": self.target_group, "address": self.balancer.address,
            "port": self.balancer.port, "running": self.balancer.alive, "failure": self.failure,
            "members": {
                f"{slot.key[0]}:{slot.key[1]}": {"mode": slot.mode, "open": slot.open}
                for slot in self.balancer.slots if slot.key is not None
            },
        }  # fmt: skip


@dataclass(kw_only=True)
class Traffic:
    """All of one cloud's. `where` finds a target's port on this machine."""

    directory: Path
    where: Where
    groups: Callable[[], Iterable[TargetGroups]]
    fronts: dict[str, Front] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    starting: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def begin(
        self,
        *,
        listener: str,
        port: int,
        load_balancer: str,
        target_group: str,
        groups: TargetGroups,
        metrics: Metrics,
    ) -> str:
        """Listen for a listener; returns the address. Raises GoldpressError."""
        with self.lock, address.allocation_lock():
            known = next(
                (f for f in self.fronts.values() if f.load_balancer == load_balancer), None
            )
            uuid = str(uuids.uuid5(uuids.NAMESPACE_URL, load_balancer))
            place = address.choose(uuid)
            host = place.address if known is None else known.balancer.address
            own = place.http_port if port == HTTP else port
            if not address.can_bind(host, own):
                raise MachineError(f"a load balancer cannot listen on {host}:{own}")
            made = balancer.start(
                self.directory / str(uuids.uuid5(uuids.NAMESPACE_URL, listener)),
                sockets=Path(tempfile.mkdtemp(prefix="goldpress-lb-")),
                address=host,
                port=own,
                listener=port,
            )
            front = Front(
                listener=listener, load_balancer=load_balancer, target_group=target_group,
                groups=groups, metrics=metrics, balancer=made,
            )  # fmt: skip
            self.fronts[listener] = front
            balancer.follow(made, front.tell)
            front.beat(self.where)
        self.start()
        return host

    def start(self) -> None:
        """Begin to beat, once. Called under the locks of others, so it waits for no other lock."""
        with self.starting:
            if self.thread is None:
                self.thread = threading.Thread(target=self._beat, daemon=True)
                self.thread.start()

    def _beat(self) -> None:
        checker = Checker(self.groups, self.where)
        while not self.stopped.wait(BEAT_SECONDS):
            try:
                checker.tick()
                with self.lock:
                    for front in self.fronts.values():
                        front.beat(self.where)
            except Exception:  # noqa: BLE001 - told, and the next beat comes: a server's thread
                traceback.print_exc()

    def open_requests(self, target_group: str, target: str, port: int) -> int | None:
        """How many requests are still open; None when no load balancer is in front of the group."""
        found = [f for f in list(self.fronts.values()) if f.target_group == target_group]
        if not found:
            return None
        return sum(front.balancer.open_requests((target, port)) for front in found)

    def end(self, listener: str) -> None:
        """Stop listening; nothing for a listener that nothing listens for."""
        with self.lock:
            front = self.fronts.pop(listener, None)
        if front is not None:
            front.balancer.end()
            shutil.rmtree(front.balancer.sockets, ignore_errors=True)

    def close(self) -> None:
        """The cloud ends."""
        self.stopped.set()
        for listener in list(self.fronts):
            self.end(listener)
