"""What is about to be deleted, and those who rely on it in the meantime; on both stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stores import Place, kept

from goldpress.digest import sha256_bytes
from goldpress.errors import ConflictError, DocumentError
from goldpress.store import Store, graves
from goldpress.store.directory import DirectoryObjects
from goldpress.store.store import document_key, package_key

NOW = datetime.now(UTC)
GRACE = timedelta(days=7)
ONE = sha256_bytes(b"one")
KEY = package_key(ONE)


def marked(store: Store) -> set[str]:
    found, _ = store.graves.read()
    return set(found.marked) if found else set()


def deleting(store: Store) -> set[str]:
    found, _ = store.graves.read()
    return set(found.deleting) if found else set()


def test_what_is_marked_is_deleted_after_the_grace_period_only(place: Place) -> None:
    store = place.store()
    kept(store, b"one")
    store.graves.mark([KEY], now=NOW)
    assert store.graves.bury([KEY], before=NOW) == ()
    assert store.objects.size(KEY) == 3
    assert store.graves.bury([KEY], before=NOW + GRACE) == (KEY,)
    assert store.objects.size(KEY) is None
    assert marked(store) == deleting(store) == set()


def test_what_nobody_marked_is_not_deleted(place: Place) -> None:
    store = place.store()
    kept(store, b"one")
    assert store.graves.bury([KEY], before=NOW + GRACE) == ()
    assert store.graves.finish() == ()
    assert store.objects.size(KEY) == 3


def test_a_second_mark_does_not_start_the_time_again(place: Place) -> None:
    store = place.store()
    kept(store, b"one")
    store.graves.mark([KEY], now=NOW)
    store.graves.mark([KEY], now=NOW + GRACE)
    assert store.graves.bury([KEY], before=NOW + timedelta(hours=1)) == (KEY,)


@pytest.mark.parametrize("way", ["package", "kept"])
def test_who_relies_on_a_marked_file_takes_it_back(place: Place, way: str) -> None:
    store = place.store()
    kept(store, b"one")
    store.graves.mark([KEY], now=NOW)
    other = place.store()
    if way == "package":
        assert other.has_package(ONE, 3)
    else:
        kept(other, b"one")
    assert marked(store) == set()
    assert store.graves.bury([KEY], before=NOW + GRACE) == ()
    assert other.has_package(ONE, 3)


def test_a_document_that_is_stored_again_is_taken_back(place: Place) -> None:
    store = place.store()
    digest = store.put_document("snapshot", {"a": 1})
    key = document_key("snapshot", digest)
    store.graves.mark([key], now=NOW)
    assert place.store().put_document("snapshot", {"a": 1}) == digest
    assert store.graves.bury([key], before=NOW + GRACE) == ()


def test_a_deleted_file_is_not_believed_to_be_there(place: Place) -> None:
    """Who saw it in another epoch asks again."""
    store = place.store()
    kept(store, b"one")
    assert store.has_package(ONE, 3)
    store.graves.mark([KEY], now=NOW)
    store.graves.bury([KEY], before=NOW + GRACE)
    other = Store(root=store.root, shared=store.shared)
    other.package_path(ONE).unlink(missing_ok=True)
    assert not other.has_package(ONE, 3)


def test_a_file_of_the_cache_is_shared_again(place: Place) -> None:
    """A machine that still has what was deleted keeps it, and then everybody has it."""
    if not place.in_cloud:
        place = Place(root=place.root, shared=DirectoryObjects(root=place.root / "shared"))
    store = place.store()
    kept(store, b"one")
    store.graves.mark([KEY], now=NOW)
    store.graves.bury([KEY], before=NOW + GRACE)
    assert store.objects.size(KEY) is None
    assert store.package_path(ONE).is_file()
    other = Store(root=store.root, shared=store.shared)
    assert other.has_package(ONE, 3)
    assert store.objects.size(KEY) == 3


def test_the_names_of_a_document_go_first(place: Place) -> None:
    store = place.store()
    old = store.put_document("snapshot", {"a": 1})
    new = store.put_document("snapshot", {"a": 2})
    store.append("snapshot", "x", old, after=None)
    store.append("snapshot", "x", new, after=old)
    key = document_key("snapshot", old)
    store.graves.mark([key], now=NOW)
    assert store.graves.bury([key], before=NOW + GRACE) == (key,)
    assert [entry.digest for entry in store.history("snapshot", "x")] == [new]
    assert store.objects.size(key) is None


def test_who_did_not_ask_first_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory gc deletes what was written meanwhile under a name that it announced."""
    store = Store(root=tmp_path)
    sha256 = kept(store, b"one")
    store.put_view("x", b"old")
    abandon(store, monkeypatch, ago=timedelta(0))
    with pytest.raises(ConflictError) as caught:
        kept(Store(root=tmp_path), b"one")
    path = store.package_path(sha256)
    assert caught.value.message == f"{path}: gc deleted it in this moment"
    with pytest.raises(ConflictError, match="views/y: gc deleted it in this moment"):
        store.put_view("y", tmp_path / "views/y")
    kept(Store(root=tmp_path), b"one")
    assert path.is_file()


class KilledError(Exception):
    """The process that deletes is killed here."""


def abandon(store: Store, monkeypatch: pytest.MonkeyPatch, *, ago: timedelta) -> None:
    """Leave KEY in deletion as a killed process does that announced it `ago`."""

    def die(_self: object, _keys: Iterable[str]) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(type(store.objects), "delete", die)
        patch.setattr(graves, "LEASE", graves.LEASE - ago)
        store.graves.mark([KEY], now=NOW)
        with pytest.raises((KilledError, ConflictError)):
            store.graves.bury([KEY], before=NOW + GRACE)
    assert deleting(store) == {KEY}


def test_what_a_dead_process_left_is_finished(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store()
    kept(store, b"one")
    abandon(store, monkeypatch, ago=timedelta(minutes=10))
    assert place.store().graves.finish() == (KEY,)
    assert store.objects.size(KEY) is None
    assert deleting(store) == set()


def test_who_needs_what_is_in_deletion_brings_it_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store()
    kept(store, b"one")
    abandon(store, monkeypatch, ago=timedelta(minutes=10))
    other = place.store()
    assert not other.has_package(ONE, 3)
    assert deleting(store) == set()
    kept(other, b"one")
    assert place.store().has_package(ONE, 3)
    assert store.graves.finish() == ()
    assert place.store().has_package(ONE, 3)


def test_one_that_may_live_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a lock nobody knows whether it is dead: its time has to be over."""
    if not place.in_cloud:
        place = Place(root=place.root, shared=Unlocked(root=place.root / "shared"))
    store = place.store()
    kept(store, b"one")
    almost = graves.LEASE + graves.SLACK - timedelta(seconds=1)
    abandon(store, monkeypatch, ago=almost)
    assert store.graves.finish() == ()
    started = time.monotonic()
    assert not place.store().has_package(ONE, 3)
    assert 0.5 < time.monotonic() - started < 10
    assert f"waiting until {KEY} is deleted" in capsys.readouterr().err


def test_one_that_is_too_slow_deletes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not place.in_cloud:
        place = Place(root=place.root, shared=Unlocked(root=place.root / "shared"))
    store = place.store()
    kept(store, b"one")
    monkeypatch.setattr(graves, "LEASE", timedelta(seconds=-1))
    store.graves.mark([KEY], now=NOW)
    with pytest.raises(ConflictError, match="deleting 1 objects took too long"):
        store.graves.bury([KEY], before=NOW + GRACE)
    assert store.objects.size(KEY) == 3


class Unlocked(DirectoryObjects):
    """A directory that has no lock, as S3 has none."""

    @contextmanager
    def sole(self) -> Iterator[bool]:
        yield False


def test_takers_and_a_digger_at_once(place: Place) -> None:
    """Whatever the order: who was told that a file is there finds it, and no grave is left."""
    names = [f"{n}".encode() for n in range(12)]
    keys = {sha256_bytes(n): package_key(sha256_bytes(n)) for n in names}
    store = place.store()
    for name in names:
        kept(store, name)
    store.graves.mark(keys.values(), now=NOW)
    relied: set[str] = set()

    def dig() -> None:
        digger = place.store()
        for key in keys.values():
            digger.graves.bury([key], before=NOW + GRACE)

    def take(share: list[bytes]) -> None:
        taker = place.store()
        for name in share:
            sha256 = sha256_bytes(name)
            if not taker.has_package(sha256, len(name)):
                kept(taker, name)
            relied.add(sha256)

    work = [threading.Thread(target=dig)]
    work += [threading.Thread(target=take, args=(names[n::3],)) for n in (2, 1)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(relied) == 8
    for sha256 in relied:
        assert store.objects.size(keys[sha256]) is not None
    assert deleting(store) == set()


def test_a_spoiled_list_of_graves_is_told(place: Place) -> None:
    for text in (b"<html>", b'{"format": 1, "epoch": "x"}'):
        place.store().objects.put(graves.KEY, text)
        with pytest.raises(DocumentError, match=r"gc/graves\.json: not a list of graves"):
            place.store().has_package(ONE, 3)
    place.store().objects.put(graves.KEY, b'{"format": 2}')
    with pytest.raises(DocumentError, match="format 2 is not 1"):
        place.store().has_package(ONE, 3)


def test_leftovers_of_dead_writers_are_swept(tmp_path: Path) -> None:
    objects = DirectoryObjects(root=tmp_path)
    sha256 = kept(Store(root=tmp_path), b"one")
    left = objects.path(package_key(sha256)).with_name(".left.0123")
    left.write_bytes(b"half")
    part = tmp_path / "tmp" / "some.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    assert objects.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert objects.sweep(datetime.now(UTC) + timedelta(seconds=5)) == 2
    assert [f.key for f in objects.listed("pool/")] == [package_key(sha256)]
    assert not left.exists()
    assert not part.exists()
