from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from goldpress.mirror.transfer.download import StoppedError
from goldpress.mirror.transfer.partial import OLD_SECONDS, claimed, drop_old, partial_path

NEVER = threading.Event()


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    path, order = tmp_path / "tmp" / "x.part", []

    def other() -> None:
        with claimed(path, NEVER):
            order.append("other")

    with claimed(path, NEVER):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.5)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_who_waited_does_not_hold_what_was_moved_away(tmp_path: Path) -> None:
    path, whole, held = tmp_path / "x.part", tmp_path / "whole", threading.Event()

    def other() -> None:
        with claimed(path, NEVER):
            held.set()
            path.write_bytes(b"another")

    with claimed(path, NEVER):
        path.write_bytes(b"all of it")
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        path.replace(whole)
    thread.join(10)
    assert held.is_set()
    assert (whole.read_bytes(), path.read_bytes()) == (b"all of it", b"another")


def test_an_empty_one_is_not_left(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    with claimed(path, NEVER):
        assert path.exists()
    assert not path.exists()
    with claimed(path, NEVER):
        path.write_bytes(b"begun")
    assert path.read_bytes() == b"begun"


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    path, stop = tmp_path / "x.part", threading.Event()
    with claimed(path, NEVER):
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(StoppedError), claimed(path, stop):
            pytest.fail("two hold it")


def test_old_ones_are_dropped_unless_somebody_holds_them(tmp_path: Path) -> None:
    paths = [partial_path(tmp_path, digit * 64) for digit in "abc"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"begun")
    now = time.time() + OLD_SECONDS
    with claimed(paths[0], NEVER):
        assert drop_old(tmp_path, now=now - 60) == 0
        assert drop_old(tmp_path, now=now + 60) == 2
    assert [path.exists() for path in paths] == [True, False, False]
    assert drop_old(tmp_path / "nowhere") == 0
