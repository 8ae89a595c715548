"""Leases: one holder at a time, whoever died, and whoever was too slow."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from emulated import Emulator

from goldpress.digest import canonical_json
from goldpress.errors import ConflictError, DocumentError
from goldpress.machine.process import Process, identify
from goldpress.promotion import lease as leases
from goldpress.promotion.lease import Lease, leased, take
from goldpress.store import Objects
from goldpress.store.directory import DirectoryObjects

KEY = "leases/promote/web/prod.json"


@pytest.fixture(params=["directory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "directory":
        return DirectoryObjects(root=tmp_path)
    emulator: Emulator = request.getfixturevalue("emulator")
    return emulator.objects()


@pytest.fixture
def here(tmp_path: Path) -> Objects:
    return DirectoryObjects(root=tmp_path)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def elsewhere(objects: Objects, *, until: float, fence: int = 4) -> None:
    """A lease of another machine."""
    process = Process(pid=1, start_ticks=1, boot_id="another")
    data = leases._document(fence, until, "process 1 on build-7", process)  # noqa: SLF001
    held = objects.get(KEY)
    assert objects.swap(KEY, data, version=held.version if held else None)


def spoiled(**changes: object) -> bytes:
    """A lease that was changed by hand."""
    process = Process(pid=1, start_ticks=1, boot_id="another")
    value = json.loads(leases._document(4, 9e9, "process 1 on build-7", process))  # noqa: SLF001
    return canonical_json({**value, **changes})


def test_one_after_the_other_has_it_with_a_growing_fence(objects: Objects) -> None:
    first = take(objects, KEY)
    assert first.fence == 1
    first.release()
    second = take(objects, KEY)
    assert second.fence == 2
    with pytest.raises(ConflictError, match="someone else has taken over"):
        first.release()
    second.release()


def test_whoever_has_it_keeps_others_out(here: Objects) -> None:
    lease = take(here, KEY)
    with pytest.raises(ConflictError, match=rf"process {os.getpid()} on .* is at the same work"):
        take(here, KEY)
    lease.release()


def test_what_ends_soon_is_waited_for(here: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    elsewhere(here, until=clock.now - 30)
    monkeypatch.setattr("time.sleep", lambda _: setattr(clock, "now", clock.now + 10))
    assert take(here, KEY, clock=clock).fence == 5
    assert clock.now >= 1030


def test_what_is_renewed_meanwhile_is_not(here: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    elsewhere(here, until=clock.now - 20)

    def renewed(_: float) -> None:
        clock.now += 10
        elsewhere(here, until=clock.now - 20)

    monkeypatch.setattr("time.sleep", renewed)
    with pytest.raises(ConflictError, match="process 1 on build-7 is at the same work"):
        take(here, KEY, clock=clock)
    assert clock.now < 1100


def test_a_long_one_of_another_machine_is_told_at_once(here: Objects) -> None:
    clock = Clock()
    elsewhere(here, until=clock.now + 500)
    with pytest.raises(ConflictError, match="at most until 00:25:00 UTC"):
        take(here, KEY, clock=clock)
    clock.now += 561
    assert take(here, KEY, clock=clock).fence == 5


def test_one_that_died_on_this_machine_is_taken_over(here: Objects) -> None:
    me = identify(os.getpid())
    gone = Process(pid=me.pid, start_ticks=me.start_ticks - 1, boot_id=me.boot_id)
    data = leases._document(8, 9e9, "process 5 on here", gone)  # noqa: SLF001
    assert here.swap(KEY, data, version=None)
    assert take(here, KEY).fence == 9


def test_a_container_beside_this_one_is_another_machine(
    here: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same boot, and pids of its own: that none of ours is its process tells nothing."""
    me = identify(os.getpid())
    its = Process(pid=me.pid, start_ticks=me.start_ticks - 1, boot_id=me.boot_id)
    with monkeypatch.context() as patch:
        patch.setattr(leases, "pids", lambda: "pid:[1]")
        data = leases._document(8, 9e9, "process 5 in a container", its)  # noqa: SLF001
    assert here.swap(KEY, data, version=None)
    with pytest.raises(ConflictError, match="process 5 in a container is at the same work"):
        take(here, KEY)


def test_an_earlier_boot_of_this_machine_is_another_machine(here: Objects) -> None:
    elsewhere(here, until=9e9)
    with pytest.raises(ConflictError, match="is at the same work"):
        take(here, KEY)


def test_it_is_renewed_when_it_ends_soon(here: Objects) -> None:
    clock = Clock()
    lease = take(here, KEY, clock=clock)
    before = lease.until
    clock.now += 100
    lease.renew()
    assert lease.until == before
    clock.now += 200
    lease.renew()
    assert lease.until == clock.now + leases.LEASE_SECONDS
    held = here.get(KEY)
    assert held is not None
    assert json.loads(held.data)["until"] == lease.until


def test_whoever_was_too_slow_finds_out(here: Objects) -> None:
    clock = Clock()
    lease = take(here, KEY, clock=clock)
    clock.now += 5000
    elsewhere(here, until=clock.now + 500, fence=2)
    with pytest.raises(ConflictError, match="this process was too slow"):
        lease.renew()


def test_it_is_given_back_also_after_a_failure_which_is_the_one_that_is_told(
    here: Objects,
) -> None:
    with pytest.raises(RuntimeError, match="broken"), leased(here, KEY):
        raise RuntimeError("broken")
    with leased(here, KEY) as lease:
        assert lease.fence == 2

    def lost() -> None:
        with leased(here, KEY):
            elsewhere(here, until=9e9)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as caught:
        lost()
    assert "the lease stays until it ends" in caught.value.__notes__[0]


def test_of_many_at_once_one_has_it(here: Objects) -> None:
    found: list[Lease] = []
    refused: list[ConflictError] = []

    def one() -> None:
        try:
            found.append(take(here, KEY))
        except ConflictError as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(refused)) == (1, 11)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "not a lease: KeyError"),
        (b"x", "not a lease: JSONDecodeError"),
        (canonical_json({"format": 2}), "format 2 is not 1"),
        (canonical_json({"format": 1, "process": {}, "fence": 1, "until": 0}), "TypeError"),
        (spoiled(fence=1.5), "its holder, fence or end is none"),
        (spoiled(until=1e300), "its holder, fence or end is none"),
        (spoiled(until=-1), "its holder, fence or end is none"),
        (spoiled(until=7).replace(b":7", b":NaN"), "its holder, fence or end is none"),
        (spoiled(until="soon"), "TypeError"),
        (b'{"a":' * 100_000, "not a lease: RecursionError"),
    ],
)
def test_a_spoiled_one_is_an_error(here: Objects, data: bytes, message: str) -> None:
    assert here.swap(KEY, data, version=None)
    with pytest.raises(DocumentError, match=message):
        take(here, KEY)
