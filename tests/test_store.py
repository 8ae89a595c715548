"""What every store does, a directory and S3 alike; S3 is the embedded cloud over HTTP."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from stores import Place, kept, kept_meta

from goldpress.digest import digest_of, sha256_bytes
from goldpress.errors import ConflictError, DocumentError, MissingError, TrustError
from goldpress.store import Store, write_atomically

ABSENT = sha256_bytes(b"absent")
FINGERPRINT = "A" * 40


def test_a_package_is_there_for_everybody(place: Place) -> None:
    first, second = place.store(), place.store()
    assert not first.has_package(sha256_bytes(b"one"), 3)
    sha256 = kept(first, b"one")
    assert first.has_package(sha256, 3)
    assert second.has_package(sha256, 3)
    assert second.package(sha256).read_bytes() == b"one"
    assert second.package(sha256) == second.package_path(sha256)


def test_of_many_packages_those_are_told_that_are_there(place: Place) -> None:
    store = place.store()
    sha256s = [kept(store, f"{n}".encode()) for n in range(5)]
    asked = {ABSENT: 1, sha256s[0]: 2, **dict.fromkeys(sha256s[1:], 1)}
    assert store.has_packages({}) == frozenset()
    if place.in_cloud:
        with pytest.raises(TrustError, match="has 1 bytes, expected 2"):
            place.store().has_packages(asked)
        del asked[sha256s[0]]
    assert place.store().has_packages(asked) == frozenset(sha256s[1:])


def test_a_package_that_nobody_has_is_told(place: Place) -> None:
    with pytest.raises(MissingError) as caught:
        place.store().package(ABSENT)
    assert caught.value.message == f"package {ABSENT} is not in the pool"


def test_metadata_is_there_for_everybody(place: Place) -> None:
    first, second = place.store(), place.store()
    assert not second.has_meta(ABSENT)
    sha256 = kept_meta(first, b"<repomd/>")
    assert second.has_meta(sha256)
    assert second.meta(sha256).read_bytes() == b"<repomd/>"
    with pytest.raises(MissingError, match=f"the store has no metadata {ABSENT}"):
        second.meta(ABSENT)


def test_a_document_comes_back(place: Place) -> None:
    first, second = place.store(), place.store()
    digest = first.put_document("evidence", {"b": 1, "a": "ü"})
    assert digest == digest_of({"a": "ü", "b": 1})
    assert second.get_document("evidence", digest) == {"a": "ü", "b": 1}
    assert second.put_document("evidence", {"a": "ü", "b": 1}) == digest
    with pytest.raises(MissingError) as caught:
        second.get_document("evidence", f"sha256:{ABSENT}")
    assert caught.value.message == f"the store has no evidence sha256:{ABSENT}"


def test_a_changed_document_is_noticed(place: Place) -> None:
    store = place.store()
    digest = store.put_document("evidence", {"passed": False})
    path = store.document_path("evidence", digest)
    path.write_bytes(b'{"passed":true}')
    with pytest.raises(DocumentError, match="its bytes do not match its name"):
        store.get_document("evidence", digest)


def test_keys_are_kept_and_renewed(place: Place, tmp_path: Path) -> None:
    first, second = place.store(), place.store()
    assert first.key(FINGERPRINT) is None
    for text in ("old", "new"):
        (tmp_path / "key").write_text(text)
        first.keep_key(FINGERPRINT, tmp_path / "key")
    found = second.key(FINGERPRINT)
    assert found is not None
    assert found.read_text() == "new"


def test_views_are_replaced(place: Place, tmp_path: Path) -> None:
    store = place.store()
    store.put_view("x/repomd.xml", b"<old/>")
    (tmp_path / "repomd.xml").write_bytes(b"<new/>")
    store.put_view("x/repomd.xml", tmp_path / "repomd.xml")
    held = store.objects.get("views/x/repomd.xml")
    assert held is not None
    assert held.data == b"<new/>"


def test_history_is_told_oldest_first(place: Place) -> None:
    first, second = place.store(), place.store()
    assert first.history("snapshot", "a.x86_64") == ()
    first.append("snapshot", "a.x86_64", "sha256:1", after=None)
    second.append("snapshot", "a.x86_64", "sha256:2", after="sha256:1")
    second.append("snapshot", "b.x86_64", "sha256:3", after=None)
    history = first.history("snapshot", "a.x86_64")
    assert [entry.digest for entry in history] == ["sha256:1", "sha256:2"]
    assert all(len(entry.at) == len("2026-11-23T10:00:00Z") for entry in history)
    assert first.names("snapshot") == ("a.x86_64", "b.x86_64")
    assert first.names("image") == ()


def test_appending_the_last_changes_nothing(place: Place) -> None:
    store = place.store()
    store.append("snapshot", "a", "sha256:1", after=None)
    before = store.history("snapshot", "a")
    store.append("snapshot", "a", "sha256:1", after=None)
    store.append("snapshot", "a", "sha256:1", after="sha256:1")
    assert store.history("snapshot", "a") == before


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (None, "a stands for 1 by now, not for nothing"),
        ("sha256:0", "a stands for 1 by now, not for 0"),
    ],
)
def test_who_appends_late_is_told(place: Place, after: str | None, message: str) -> None:
    store = place.store()
    store.append("snapshot", "a", "sha256:1", after=None)
    with pytest.raises(ConflictError) as caught:
        store.append("snapshot", "a", "sha256:2", after=after)
    assert caught.value.message == message
    assert len(store.history("snapshot", "a")) == 1


def test_a_digest_can_come_back(place: Place) -> None:
    store = place.store()
    for before, digest in ((None, "1"), ("1", "2"), ("2", "1")):
        store.append("snapshot", "a", digest, after=before)
    assert [e.digest for e in store.history("snapshot", "a")] == ["1", "2", "1"]


def test_what_is_entered_is_there_once(place: Place) -> None:
    """Images of several branches have one history; none of them follows another."""
    store = place.store()
    for digest in ("1", "2", "1"):
        store.enter("image", "web", digest)
    assert [e.digest for e in place.store().history("image", "web")] == ["1", "2"]


def test_what_is_forgotten_is_gone_everywhere(place: Place) -> None:
    store = place.store()
    for before, digest in ((None, "1"), ("1", "2"), ("2", "1"), ("1", "3")):
        store.append("snapshot", "a", digest, after=before)
    store.forget("snapshot", "a", "1")
    store.forget("snapshot", "other", "1")
    assert [e.digest for e in store.history("snapshot", "a")] == ["2", "3"]
    for digest in ("2", "3"):
        store.forget("snapshot", "a", digest)
    assert store.names("snapshot") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "not a ledger"),
        ('{"format": 1}', "not a ledger: KeyError"),
        ('{"format": 2, "names": {}}', "format 2 is not 1"),
        ("[]", "not a ledger"),
    ],
)
def test_a_spoiled_ledger_is_told(place: Place, text: str, message: str) -> None:
    store = place.store()
    store.objects.put("ledger/snapshot.json", text.encode())
    with pytest.raises(DocumentError) as caught:
        store.history("snapshot", "a")
    assert caught.value.message.startswith(f"{store.objects.name}/ledger/snapshot.json: {message}")


def test_of_many_writers_each_is_first_once(place: Place) -> None:
    """Sixteen append to one history, each after what it saw last; nothing is lost."""
    conflicts = []

    def write(number: int) -> None:
        store = place.store()
        for _ in range(100):
            history = store.history("snapshot", "a")
            try:
                last = history[-1].digest if history else None
                store.append("snapshot", "a", f"sha256:{number}", after=last)
            except ConflictError as error:
                conflicts.append(error)
            else:
                return
        raise AssertionError(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [entry.digest for entry in place.store().history("snapshot", "a")]
    assert sorted(found) == sorted(f"sha256:{n}" for n in range(16))
    assert conflicts


@pytest.mark.parametrize("name", ["", "not-hex", "A" * 64, "a" * 63, "../" + "a" * 61])
def test_what_is_no_digest_is_no_path(place: Place, name: str) -> None:
    store = place.store()
    for ask in (store.package_path, store.meta_path, store.has_meta):
        with pytest.raises(ValueError, match="not a "):
            ask(name)
    with pytest.raises(DocumentError, match="not the digest of a document"):
        store.get_document("evidence", name)
    with pytest.raises(ValueError, match="not a fingerprint"):
        store.key(name.lower())


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/.hidden", "libstdc++.xml", "a b", "a/"])
def test_names_that_mean_something_else_elsewhere_are_no_keys(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="not a key of the store"):
        place.store().put_view(name, b"")


def test_a_failed_write_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    path = tmp_path / "document"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_cut_off_package_is_not_there(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    sha256 = kept(store, b"whole")
    store.package_path(sha256).write_bytes(b"who")
    assert not store.has_package(sha256, 5)


def test_a_cut_off_document_is_written_again(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    digest = store.put_document("evidence", {"a": 1})
    store.document_path("evidence", digest).write_bytes(b"")
    assert store.put_document("evidence", {"a": 1}) == digest
    assert store.get_document("evidence", digest) == {"a": 1}
