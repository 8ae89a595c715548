"""One HAProxy in front of small web servers: members come and go, and no request is lost."""

from __future__ import annotations

import http.client
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clouds import waited
from web_targets import Web, webs

from goldpress.emulator import balancer
from goldpress.emulator.balancer import SLOTS, Balancer, Request, Slot, Wanted, parsed, plan
from goldpress.errors import CommandError, MachineError, MissingError
from goldpress.host import run as host_run
from goldpress.host import tools
from goldpress.rehearsal.traffic import Failure, Load, Traffic

Key = tuple[str, int]


@pytest.fixture(scope="module", autouse=True)
def _haproxy() -> None:
    tools.ensure(tools.BALANCER)


@dataclass(kw_only=True)
class Bench:
    balancer: Balancer
    webs: list[Web]
    requests: list[Request]

    def apply(self, *serving: int, draining: tuple[int, ...] = ()) -> list[str]:
        wanted = {}
        for number in sorted((*serving, *draining)):
            web = self.webs[number]
            wanted[f"t{number}", 80] = Wanted(
                address=web.address, port=web.port, serving=number in serving
            )
        return self.balancer.apply(wanted)

    def get(self, path: str = "/") -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            self.balancer.address, self.balancer.port, timeout=10
        )
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body.partition(" ")[0]

    def traffic(self, **given: object) -> Load:
        url = f"http://{self.balancer.address}:{self.balancer.port}/page"
        values = {"connections": 8, "pause": 0.01, "timeout": 10.0, **given}
        return Load(traffic=Traffic(url=url, **values))  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    sockets = Path(tempfile.mkdtemp(prefix="goldpress-lb-"))
    with webs(3) as made:
        address = f"127.47.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        one = balancer.start(
            tmp_path / "one", sockets=sockets, address=address, port=8080, listener=80
        )
        seen: list[Request] = []
        thread = balancer.follow(one, seen.append)
        try:
            yield Bench(balancer=one, webs=made, requests=seen)
        finally:
            one.end()
            thread.join(10)
            shutil.rmtree(sockets)
        assert not one.alive
        assert not thread.is_alive()


def test_members_come_and_go(bench: Bench) -> None:
    assert bench.get() == (503, "<html><body><h1>503")
    assert bench.apply(0) == [
        f"set server targets/slot1 addr {bench.webs[0].address} port 8000",
        "set server targets/slot1 state ready",
    ]
    assert bench.apply(0) == []
    assert bench.get() == (200, bench.webs[0].address)
    bench.apply(0, 1)
    assert {bench.get()[1] for _ in range(4)} == {bench.webs[0].address, bench.webs[1].address}
    assert bench.apply(1) == ["set server targets/slot1 state maint"]
    assert {bench.get()[1] for _ in range(4)} == {bench.webs[1].address}
    # The slot is another's now: no connection of the one before is used.
    bench.apply(1, 2)
    assert {bench.get()[1] for _ in range(4)} == {bench.webs[1].address, bench.webs[2].address}


def test_who_drains_finishes_what_it_has_and_gets_nothing_new(bench: Bench) -> None:
    """On connections that clients keep, too."""
    bench.apply(0)
    answers: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: answers.append(bench.get("/slow?3")))
    slow.start()
    waited("a slow request", lambda: bench.webs[0].open, 5)
    with_kept = bench.traffic()
    with_kept.start()
    waited("quick ones", lambda: len(bench.webs[0].seen) > 10, 10)
    bench.apply(0, 1)
    bench.apply(1, draining=(0,))
    time.sleep(0.1)
    before = len(bench.webs[0].seen)
    bench.apply(1, draining=(0,))
    assert bench.balancer.open_requests(("t0", 80)) == 1
    time.sleep(0.5)
    assert len(bench.webs[0].seen) == before
    slow.join()
    assert answers == [(200, bench.webs[0].address)]
    bench.apply(1, draining=(0,))
    assert bench.balancer.open_requests(("t0", 80)) == 0
    bench.webs[0].end()
    bench.apply(1)
    report = with_kept.stop()
    assert (report.failures, report.reconnected) == ((), 0)
    assert report.answered > 100


def test_members_change_under_load_and_nothing_fails(bench: Bench) -> None:
    bench.apply(0)
    load = bench.traffic(connections=6, slow=2, slow_path="/slow?0.3")
    load.start()
    for new in (1, 2, 0):
        old = (new - 1) % 3
        bench.apply(old, new)
        bench.apply(new, draining=(old,))
        key = (f"t{old}", 80)

        def drained(new: int = new, old: int = old, key: Key = key) -> bool:
            bench.apply(new, draining=(old,))
            return bench.balancer.open_requests(key) == 0

        waited("drained", drained, 10)
        assert bench.webs[old].open == 0
        bench.apply(new)
    report = load.stop()
    assert (report.failures, report.reconnected) == ((), 0)
    assert report.slow > 5
    waited("the log", lambda: len(bench.requests) == report.requests, 5)
    assert {row.status for row in bench.requests} == {200}


def test_a_target_that_ends_without_draining_costs_requests(bench: Bench) -> None:
    """What the tests above would show, were there something to show."""
    bench.apply(0, 1)
    load = bench.traffic()
    load.start()
    waited("answers", lambda: load.report().answered > 8, 20)
    bench.webs[0].end()
    waited("failures", lambda: any(map(_answered, load.report().failures)), 20)
    report = load.stop()
    # Which of them: whether it was in the middle of an answer, before one, or gone already.
    assert {row.error.partition(":")[0] for row in report.failures} <= {
        "status 502", "status 503", "IncompleteRead", "RemoteDisconnected",
    }  # fmt: skip
    # A connection that was kept, and ends before an answer: HAProxy only hangs up on its client.
    hung_up = sum(row.error.startswith("RemoteDisconnected") for row in report.failures)
    waited("the log", lambda: len(bench.requests) == report.requests - hung_up, 5)
    own = [row for row in bench.requests if row.status >= 500]
    assert len(own) == sum(map(_answered, report.failures))
    assert {row.seconds for row in own} == {None}


def _answered(row: Failure) -> bool:
    return row.error.startswith("status ")


def test_the_log_tells_whose_error_it_is(bench: Bench) -> None:
    bench.apply(0)
    bench.webs[0].status = 500
    assert bench.get("/slow?0.2")[0] == 500
    bench.apply()
    assert bench.get()[0] == 503
    waited("the log", lambda: len(bench.requests) == 2, 5)
    theirs, own = bench.requests
    assert (theirs.target, theirs.status, own) == (
        "slot1", 500, Request(target="", status=503, seconds=None),
    )  # fmt: skip
    assert theirs.seconds is not None
    assert 0.2 <= theirs.seconds < 2


def test_its_counters_agree_with_its_log(bench: Bench) -> None:
    bench.apply(0, 1)
    bench.webs[1].status = 500
    load = bench.traffic()
    load.start()
    time.sleep(0.5)
    report = load.stop()
    (total,) = [row for row in bench.balancer.counters() if row["svname"] == "BACKEND"]
    waited("the log", lambda: len(bench.requests) == report.requests, 5)
    assert int(total["req_tot"]) == report.requests
    errors = sum(1 for row in bench.requests if row.status == 500)
    assert int(total["hrsp_5xx"]) == errors == len(report.failures) > 0


def test_targets_are_told_who_asked(bench: Bench) -> None:
    """[D] ALB: X-Forwarded-For, -Proto and -Port."""
    text = (bench.balancer.directory / balancer.CONFIGURATION).read_text()
    for line in ("option forwardfor", "X-Forwarded-Proto http", "X-Forwarded-Port 80"):
        assert line in text


def test_without_haproxy_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = {**host_run.CLEAN_ENVIRONMENT, "PATH": str(tmp_path)}
    monkeypatch.setattr(tools, "CLEAN_ENVIRONMENT", clean)
    with pytest.raises(MissingError, match=r"which is not installed\n.*apt-get install haproxy"):
        balancer.start(tmp_path / "b", sockets=tmp_path, address="127.47.0.1", port=8080)
    assert not (tmp_path / "b").exists()


def test_an_address_that_is_taken_is_an_error(bench: Bench, tmp_path: Path) -> None:
    web = bench.webs[0]
    with pytest.raises(CommandError, match=r"(?s)starting a load balancer at .*cannot bind"):
        balancer.start(tmp_path / "b", sockets=tmp_path, address=web.address, port=web.port)


def test_a_balancer_that_is_gone_is_an_error(bench: Bench) -> None:
    bench.balancer.end()
    with pytest.raises(MachineError, match=r"the load balancer at .* is gone"):
        bench.apply(0)


def test_an_order_that_haproxy_refuses_is_an_error(bench: Bench) -> None:
    wanted = {("t", 80): Wanted(address="nowhere", port=80, serving=True)}
    with pytest.raises(MachineError, match="HAProxy refuses `set server targets/slot1 addr"):
        bench.balancer.apply(wanted)


def member(number: int, *, serving: bool = True) -> tuple[Key, Wanted]:
    return (f"t{number}", 80), Wanted(address=f"10.0.0.{number}", port=80, serving=serving)


def test_a_slot_that_still_has_requests_is_nobody_elses() -> None:
    slots = [Slot(name="slot1", key=("t1", 80), mode="drain", open=2), Slot(name="slot2")]
    orders = plan(slots, dict([member(2)]))
    assert orders == [
        "set server targets/slot1 state maint",
        "set server targets/slot2 addr 10.0.0.2 port 80",
        "set server targets/slot2 state ready",
    ]


def test_who_was_never_served_takes_no_slot() -> None:
    slots = [Slot(name="slot1")]
    assert plan(slots, dict([member(1, serving=False)])) == []
    assert plan(slots, dict([member(1)]))[-1] == "set server targets/slot1 state ready"
    assert plan(slots, dict([member(1, serving=False)])) == ["set server targets/slot1 state drain"]
    # Until it is counted again, something may be open.
    assert slots[0].open == 1


def test_more_members_than_slots_are_refused() -> None:
    with pytest.raises(MachineError, match=f"{SLOTS} targets at most"):
        plan([Slot(name="slot1")], dict([member(1), member(2)]))


def test_lines_of_the_log() -> None:
    assert parsed("request slot3 200 17") == Request(target="slot3", status=200, seconds=0.017)
    assert parsed("request <NOSRV> 503 -1") == Request(target="", status=503, seconds=None)
    assert parsed("Server targets/slot1 is UP/READY (leaving forced maintenance).") is None
    with pytest.raises(ValueError, match="invalid literal"):
        parsed("request slot3 two hundred")
