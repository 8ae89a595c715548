"""The pace of many calls: fewer after retries, more without, an end at the first error."""

from __future__ import annotations

import threading
import time

import pytest

from goldpress.publish.pace import LEAST, Pace, at_pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_retry_halves_the_pace_once_a_second() -> None:
    clock = Clock()
    pace = Pace(most=32, clock=clock)
    pace.told(1)
    pace.told(3)
    assert pace.now == 16
    for _ in range(9):
        clock.now += 1
        pace.told(1)
    assert pace.now == LEAST


def test_a_round_without_retries_is_one_call_more_up_to_the_most() -> None:
    clock = Clock()
    pace = Pace(most=8, clock=clock)
    pace.told(1)
    for _ in range(4):
        pace.told(0)
    assert 4.8 < pace.now < 5.1
    for _ in range(1000):
        pace.told(0)
    assert pace.now == 8


def test_everything_is_done_once_and_not_all_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(item: int) -> tuple[int, int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return item, 0

    assert sorted(at_pace(range(200), work, workers=4)) == list(range(200))
    assert most <= 4


def test_the_first_error_ends_it() -> None:
    done: list[int] = []

    def work(item: int) -> tuple[int, int]:
        if item == 10:
            raise ValueError("block 10")
        done.append(item)
        time.sleep(0.001)
        return item, 0

    with pytest.raises(ValueError, match="block 10"):
        list(at_pace(range(10_000), work, workers=4))
    assert len(done) < 50
