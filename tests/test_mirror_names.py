from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.errors import MissingError
from goldpress.mirror.names import find_digest, find_snapshot
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import KIND, Snapshot
from goldpress.store import Store
from goldpress.store import ledger as module

KNOWN = "there are: centos-stream-10.aarch64, centos-stream-10.x86_64, centos-stream-9.x86_64"
DAYS = ("2026-11-20", "2026-11-21", "2026-11-21", "2026-11-23")


def snapshot(number: int, distribution: str = "centos-stream-9", arch: str = "x86_64") -> Snapshot:
    base = RepositorySnapshot(
        id="base", priority=99, repomd_sha256=f"{number:064x}", metadata={}, packages=number
    )
    return Snapshot(
        distribution=distribution, stand_in=False, platform="el9", arch=arch, repositories=(base,)
    )


def add(store: Store, *taken: Snapshot) -> None:
    for one in taken:
        name = f"{one.distribution}.{one.arch}"
        history = store.history(KIND, name)
        digest = store.put_document(KIND, one.document())
        store.append(KIND, name, digest, after=history[-1].digest if history else None)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Four snapshots of Stream 9, one each of Stream 10 for two architectures."""
    store = Store(root=tmp_path)
    for number, day in enumerate(DAYS):
        monkeypatch.setattr(module, "_now", lambda day=day: f"{day}T10:00:00Z")
        add(store, snapshot(number))
    add(store, snapshot(7, "centos-stream-10"), snapshot(7, "centos-stream-10", "aarch64"))
    return store


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("centos-stream-9", 3),
        ("centos-stream-9.x86_64", 3),
        ("centos-stream-9~0", 3),
        ("centos-stream-9.x86_64~1", 2),
        ("centos-stream-9~3", 0),
        ("centos-stream-9@2026-11-21", 2),
        ("centos-stream-9.x86_64@2026-11-20", 0),
    ],
)
def test_a_name_is_of_one_snapshot(store: Store, text: str, number: int) -> None:
    assert find_snapshot(store, text) == snapshot(number)


def test_a_digest_or_its_beginning_names_it_too(store: Store) -> None:
    digest = snapshot(1).digest
    for text in (digest, digest.removeprefix("sha256:"), digest[:15], digest[7:15]):
        assert find_snapshot(store, text) == snapshot(1)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "centos-stream-10",
            "'centos-stream-10' may be any of centos-stream-10.aarch64, centos-stream-10.x86_64",
            "say which, with its architecture",
        ),
        (
            "centos-stream-9~4",
            "centos-stream-9.x86_64~4: there are only 4 snapshots of centos-stream-9.x86_64",
            "the oldest is of 2026-11-20",
        ),
        (
            "centos-stream-9@2026-11-22",
            "centos-stream-9.x86_64@2026-11-22: no snapshot was taken on that day",
            "the nearest: 2026-11-21 and 2026-11-23",
        ),
        (
            "centos-stream-9@2026-11-19",
            "centos-stream-9.x86_64@2026-11-19: no snapshot was taken on that day",
            "the nearest: 2026-11-20",
        ),
        ("centos-stream-9@2026-02-30", "centos-stream-9.x86_64@2026-02-30: that is no date", ""),
        ("00000000", "no snapshot has a digest that begins with 00000000", ""),
        ("centos-stream-9.x86_46", "no snapshot is called 'centos-stream-9.x86_46'", KNOWN),
        ("Nothing~", "no snapshot is called 'Nothing~'", KNOWN),
        ("sha256:" + "0" * 64, "the store has no snapshot sha256:" + "0" * 64, ""),
    ],
)
def test_what_names_none_is_an_error(store: Store, text: str, message: str, hint: str) -> None:
    with pytest.raises(MissingError) as caught:
        find_snapshot(store, text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_beginning_of_several_is_an_error(store: Store) -> None:
    for digits in ("1" * 8 + "2" * 56, "1" * 8 + "3" * 56):
        store.append(KIND, f"a.{digits}", f"sha256:{digits}", after=None)
    with pytest.raises(MissingError) as caught:
        find_digest(store, "1" * 8)
    assert str(caught.value) == (
        "11111111: several snapshots begin so: 111111112222, 111111113333\n  say more of it"
    )


def test_without_snapshots_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        find_snapshot(Store(root=tmp_path), "centos-stream-9")
    assert str(caught.value) == (
        "no snapshot is called 'centos-stream-9'\n  run `./inv mirror.sync`"
    )
