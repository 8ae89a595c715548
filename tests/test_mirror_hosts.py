from __future__ import annotations

import threading
import time

from goldpress.mirror.transfer.hosts import Hosts


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def chosen(hosts: Hosts, *names: str, stopped: bool = False) -> int:
    stop = threading.Event()
    if stopped:
        stop.set()
    with hosts.slot(names, stop) as index:
        return index


def test_the_first_is_asked_first() -> None:
    assert chosen(Hosts(), "a", "b") == 0


def test_a_busy_one_is_passed_over() -> None:
    hosts, stop = Hosts(per_host=2), threading.Event()
    with hosts.slot(["a"], stop), hosts.slot(["a"], stop):
        assert chosen(hosts, "a", "b") == 1
    assert chosen(hosts, "a", "b") == 0


def test_one_that_failed_comes_after_all_others_until_it_made_up_for_it() -> None:
    hosts = Hosts()
    hosts.failed("a")
    assert chosen(hosts, "a", "b") == 1
    hosts.failed("b")
    hosts.failed("b")
    assert chosen(hosts, "a", "b") == 0
    hosts.worked("b")
    hosts.worked("b")
    hosts.worked("b")
    assert chosen(hosts, "a", "b") == 1
    hosts.failed("b")
    assert chosen(hosts, "a", "b") == 0


def test_one_that_failed_is_not_asked_because_a_better_one_is_busy() -> None:
    hosts, stop, asked = Hosts(per_host=1), threading.Event(), []
    hosts.failed("b")
    with hosts.slot(["a"], stop):
        waiting = threading.Thread(target=lambda: asked.append(chosen(hosts, "a", "b")))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(10)
    assert asked == [0]


def test_one_that_rests_is_left_alone() -> None:
    clock = Clock()
    hosts = Hosts(clock=clock)
    hosts.failed("b")
    hosts.failed("b")
    hosts.failed("a", 30.0)
    assert hosts.rest("a") == 30.0
    assert chosen(hosts, "a", "b") == 1
    clock.now += 40
    assert hosts.rest("a") == 0.0
    assert chosen(hosts, "a", "b") == 0


def test_waiting_for_a_connection_can_be_stopped() -> None:
    hosts, stop = Hosts(per_host=1), threading.Event()
    with hosts.slot(["a"], stop):
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        with hosts.slot(["a"], stop) as index:
            assert index == -1
        assert time.monotonic() - began < 5
    # And takes no connection from others.
    assert chosen(hosts, "a") == 0
