"""Syncs and gcs that are killed, and several at once: the store stays whole, no lock breaks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess  # noqa: TID251 - processes that are killed are the test
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crashing import LOCK, PROJECT, READ
from gits import Checkout, make_checkout
from rpms import Rpms, make_repository
from stores import Place

from goldpress.digest import sha256_file
from goldpress.mirror.gitlocks import parse_root
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

NAME = "test-9.x86_64"
START_SECONDS = 60
#: Lease and slack of a deletion in `crashing`.
KILLED_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Nursery:
    """A process that forks children which do the work; see `crashing`."""

    process: subprocess.Popen[str]

    def begin(self, job: dict[str, object]) -> int:
        """Begin a job; returns the pid of the child."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(job)}\n")
        self.process.stdin.flush()
        return int(self.line())

    def end(self) -> int:
        """The exit status of the child, once it has ended."""
        return int(self.line())

    def run(self, job: dict[str, object]) -> float:
        """Do a job to its end; returns the seconds it took."""
        started = time.monotonic()
        self.begin(job)
        assert self.end() == 0
        return time.monotonic() - started

    def kill(self, job: dict[str, object], *, after: float) -> int:
        """Kill -9 a job some seconds after its start; returns its exit status."""
        pid = self.begin(job)
        time.sleep(after)
        # The nursery has not waited for it while its status was not read: the pid is its own,
        # or it ended by itself and the nursery may have: then there is nothing to kill.
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            assert after > 0
        return self.end()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def nursery() -> Iterator[Nursery]:
    program = PROJECT / "tests" / "crashing.py"
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        found = Nursery(process=process)
        assert found.line() == "ready"
        yield found
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(START_SECONDS) == 0


@pytest.fixture(scope="module")
def repositories(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """What upstream has from day to day: each time a package goes and another one comes."""
    top = tmp_path_factory.mktemp("days")
    pairs = [
        (rpms.good, rpms.needed),
        (rpms.needed, rpms.other),
        (rpms.other, rpms.unsigned),
        (rpms.unsigned, rpms.good),
    ]
    return tuple(make_repository(top / str(n), *pair) for n, pair in enumerate(pairs))


@dataclass(frozen=True, kw_only=True)
class Scene:
    place: Place
    checkout: Checkout
    repositories: tuple[Path, ...]
    root: Path = field(default_factory=Path)

    def job(
        self, do: str, day: int = 0, *, machine: int = 0, lock: bool = True, pause: float = 0
    ) -> dict[str, object]:
        root = self.place.root if not self.place.in_cloud else self.place.root / f"m{machine}"
        return {
            "do": do,
            "root": os.fspath(root),
            "shared": self.place.shared.name if self.place.shared is not None else "",
            "repository": os.fspath(self.repositories[day % len(self.repositories)]),
            "checkout": os.fspath(self.checkout.root),
            "lock": lock,
            "pause": pause,
        }

    def wait_for(self, name: str) -> None:
        """Until a file of the checkout is there."""
        for _ in range(6000):
            if (self.checkout.root / name).exists():
                return
            time.sleep(0.005)
        raise AssertionError(name)

    def check(self) -> None:
        """Every name's snapshot and every package of the lock can be read, byte for byte."""
        store = self.place.store()
        for name in store.names("snapshot"):
            check_snapshot(store, store.history("snapshot", name)[-1].digest)
        path = self.checkout.root / LOCK
        if path.is_file():
            lock = parse_root(path.read_bytes(), where="the lock")
            for sha256 in lock.packages:
                assert sha256_file(store.package(sha256)) == sha256
            for digest in lock.snapshots:
                check_snapshot(store, digest)


def check_snapshot(store: Store, digest: str) -> None:
    (row,) = Snapshot.read(store, digest).repositories
    for sha256 in (row.repomd_sha256, *(entry.sha256 for entry in row.metadata.values())):
        assert sha256_file(store.meta(sha256)) == sha256


@pytest.fixture
def scene(place: Place, repositories: tuple[Path, ...], tmp_path: Path) -> Scene:
    checkout = make_checkout(tmp_path / "project")
    return Scene(place=place, checkout=checkout, repositories=repositories)


@pytest.fixture
def times(place: Place) -> int:
    """Fifty on a disk; over HTTP, where each takes longer, a part of them."""
    return 10 if place.in_cloud else 50


def test_kill_at_any_time(scene: Scene, times: int) -> None:
    """Half of them hit a sync, half a gc that has to delete."""
    chance = random.Random(20_261_123)  # noqa: S311 - moments, not secrets
    killed = 0
    with nursery() as child:
        seconds = {"sync": 0.3, "gc": 0.3}
        for round_ in range(times):
            do = ("sync", "gc")[round_ % 2]
            if do == "gc":
                child.run(scene.job("age"))
            job = scene.job(do, round_ // 2)
            status = child.kill(job, after=chance.uniform(0, 1.1 * seconds[do]))
            killed += status == -signal.SIGKILL
            assert status in (0, -signal.SIGKILL)
            scene.check()
            seconds[do] = max(0.02, child.run(job))
            scene.check()
        if scene.place.in_cloud:
            # Only when its time is over a killed gc is known to be dead.
            time.sleep(2 * KILLED_SECONDS)
        # The rest of the story: nothing was lost, and what is not needed does go.
        child.run(scene.job("sync", 0))
        child.run(scene.job("gc"))
        child.run(scene.job("age"))
        child.run(scene.job("gc"))
    scene.check()
    assert killed > times // 3
    objects = scene.place.store().objects
    lock = parse_root((scene.checkout.root / LOCK).read_bytes(), where="the lock")
    assert {row.key[-68:-4] for row in objects.listed("pool/")} == lock.packages
    assert len(list(objects.listed("documents/snapshot/"))) == 1


def test_two_syncs_of_the_same_at_once(scene: Scene) -> None:
    with ExitStack() as stack:
        pair = [stack.enter_context(nursery()) for _ in range(2)]
        for day in range(4):
            for machine, child in enumerate(pair):
                child.begin(scene.job("sync", day, machine=machine))
            assert [child.end() for child in pair] == [0, 0]
            scene.check()
            # One outcome: both say the same, and it was written down once.
            assert len(scene.place.store().history("snapshot", NAME)) == day + 1


def test_two_syncs_of_different_states_at_once(scene: Scene) -> None:
    """Each saw another mirror; both snapshots are whole, and one of them is the newest."""
    with ExitStack() as stack:
        pair = [stack.enter_context(nursery()) for _ in range(2)]
        for day in range(4):
            for machine, child in enumerate(pair):
                child.begin(scene.job("sync", day + machine, machine=machine))
            assert [child.end() for child in pair] == [0, 0]
            scene.check()
            store = scene.place.store()
            for entry in store.history("snapshot", NAME):
                check_snapshot(store, entry.digest)


def test_a_gc_beside_two_syncs(scene: Scene) -> None:
    """What the syncs need again gc is about to delete: it has read the roots before them."""
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(nursery()) for _ in range(3))
        for day in range(4):
            first.run(scene.job("sync", day))
        for day in range(6):
            first.run(scene.job("gc"))
            first.run(scene.job("age"))
            (scene.checkout.root / READ).unlink()
            third.begin(scene.job("gc", machine=3, pause=0.3 * (day % 3)))
            scene.wait_for(READ)
            first.begin(scene.job("sync", day, machine=1))
            second.begin(scene.job("sync", day, machine=2, lock=False))
            assert [child.end() for child in (first, second, third)] == [0, 0, 0]
            scene.check()
