from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rpms import Rpms, distribution, make_repository
from stores import Place

from goldpress.digest import sha256_file
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.mirror.snapshot import (
    KIND,
    Metadata,
    RepositorySnapshot,
    Snapshot,
    newest_snapshot,
    stale,
    take_snapshot,
)
from goldpress.mirror.transfer.source import Source
from goldpress.store import Store

NAME = "test-9.x86_64"
TIMESTAMP = 1_700_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(scope="module")
def repository(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    options = ("--revision=1", "--set-timestamp-to-revision")
    base = make_repository(folder, rpms.good, rpms.needed, options=options)
    return changed(folder, base, timestamp=TIMESTAMP)


def taken(store: Store, *places: Path, accept: bool = False) -> Snapshot:
    sources = {"base": Source(places=places)}
    return take_snapshot(store, distribution("base"), "x86_64", sources, accept=accept)


def changed(tmp_path: Path, repository: Path, *, timestamp: int = 0, name: str = "changed") -> Path:
    base = shutil.copytree(repository, tmp_path / name)
    if timestamp:
        path = base / "repodata" / "repomd.xml"
        text = re.sub(r"<timestamp>\d+<", f"<timestamp>{timestamp}<", path.read_text())
        path.write_text(text)
    return base


@dataclass(frozen=True, kw_only=True)
class Meddled(Store):
    """A store in which something happens just before this process publishes."""

    meddle: Callable[[Store], None]

    def append(self, kind: str, name: str, digest: str, *, after: str | None) -> None:
        if not (self.root / "meddled").exists():
            (self.root / "meddled").touch()
            self.meddle(Store(root=self.root))
        super().append(kind, name, digest, after=after)


def test_a_snapshot_says_what_there_was(store: Store, repository: Path) -> None:
    snapshot = taken(store, repository)
    (base,) = snapshot.repositories
    assert (snapshot.distribution, snapshot.arch, snapshot.platform) == ("test-9", "x86_64", "el9")
    assert (base.id, base.priority, base.packages) == ("base", 99, 2)
    assert base.repomd_sha256 == sha256_file(repository / "repodata" / "repomd.xml")
    assert sorted(base.metadata) == ["filelists", "other", "primary"]
    (primary,) = (repository / "repodata").glob("*-primary.xml.gz")
    assert base.metadata["primary"] == Metadata(
        sha256=sha256_file(primary),
        size=primary.stat().st_size,
        open_size=len(gzip.decompress(primary.read_bytes())),
    )
    assert base.timestamp == TIMESTAMP
    assert store.meta_path(sha256_file(primary)).read_bytes() == primary.read_bytes()
    assert b"<metadata " in b"".join(base.open(store, "primary"))


def test_it_is_found_again(store: Store, repository: Path) -> None:
    snapshot = taken(store, repository)
    assert newest_snapshot(store, "test-9", "x86_64") == snapshot
    assert Snapshot.read(store, snapshot.digest) == snapshot
    assert Snapshot.from_document(snapshot.document()) == snapshot
    assert list((store.root / "tmp").iterdir()) == []


def test_the_same_repositories_are_the_same_snapshot(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    moved = changed(tmp_path, repository)
    assert taken(store, moved).digest == taken(store, repository).digest


def test_a_repository_of_the_web_is_the_same(store: Store, repository: Path) -> None:
    there = take_snapshot(store, distribution("base"), "x86_64", {"base": f"file://{repository}/"})
    assert there == taken(store, repository)


def test_packages_of_a_lock_are_found_by_sha256(store: Store, repository: Path, rpms: Rpms) -> None:
    snapshot = taken(store, repository)
    wanted = [sha256_file(rpms.good), "0" * 64]
    (good,) = snapshot.packages(store, wanted)
    assert good.nevra == "good-2:1.0-1.el9.noarch"
    assert good.href == "Packages/good-1.0-1.el9.noarch.rpm"
    assert good.source_rpm == "good-1.0-1.el9.src.rpm"


def test_no_snapshot_yet(store: Store) -> None:
    with pytest.raises(MissingError) as caught:
        newest_snapshot(store, "test-9", "x86_64")
    assert str(caught.value) == ("no snapshot of test-9 for x86_64 yet\n  run `./inv mirror.sync`")


def test_a_place_without_a_repository_is_missing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"repodata/repomd\.xml: No such file or directory"):
        taken(store, tmp_path)


def test_every_repository_needs_a_source(store: Store, repository: Path) -> None:
    with pytest.raises(MissingError, match=r"test-9: no repository and source for \['extra'\]"):
        take_snapshot(store, distribution("base", "extra"), "x86_64", {"base": repository})


def test_a_login_page_is_refused(store: Store, tmp_path: Path, repository: Path) -> None:
    base = changed(tmp_path, repository)
    (base / "repodata" / "repomd.xml").write_text("<!doctype html><p>Please log in<p>")
    with pytest.raises(TrustError, match=r"repomd\.xml: is an HTML page"):
        taken(store, base)


def test_an_empty_repository_is_refused(store: Store, tmp_path: Path) -> None:
    base = make_repository(tmp_path / "empty")
    with pytest.raises(TrustError, match=r"^base: the repository is empty\n  a mirror that lags"):
        taken(store, base)
    assert store.history(KIND, NAME) == ()
    assert taken(store, base, accept=True).repositories[0].packages == 0


def test_a_repository_without_primary_is_refused(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    base = changed(tmp_path, repository)
    path = base / "repodata" / "repomd.xml"
    path.write_text(path.read_text().replace('type="primary"', 'type="other_db"'))
    with pytest.raises(TrustError, match=r"repomd\.xml: names no primary metadata"):
        taken(store, base)


def test_other_bytes_than_repomd_promises_are_refused(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    base = changed(tmp_path, repository)
    (primary,) = (base / "repodata").glob("*-primary.xml.gz")
    data = bytearray(primary.read_bytes())
    data[100] ^= 1
    primary.write_bytes(data)
    with pytest.raises(TrustError, match=r"-primary\.xml\.gz: sha256 is \w+, expected \w+"):
        taken(store, base)
    primary.write_bytes(data[:-1])
    with pytest.raises(TrustError, match=r"-primary\.xml\.gz: \d+ bytes, expected \d+"):
        taken(store, base)
    with pytest.raises(MissingError, match="no snapshot of test-9"):
        newest_snapshot(store, "test-9", "x86_64")


def test_unusable_metadata_never_becomes_the_newest(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    before = taken(store, repository)
    base = changed(tmp_path, repository)
    (base / "repodata" / "repomd.xml").write_text("<repomd/>")
    with pytest.raises(TrustError, match="the document is <repomd>, expected <repomd>"):
        taken(store, base)
    assert newest_snapshot(store, "test-9", "x86_64") == before


def test_a_change_in_the_store_is_noticed(store: Store, repository: Path) -> None:
    snapshot = taken(store, repository)
    (base,) = snapshot.repositories
    path = store.meta_path(base.metadata["primary"].sha256)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(TrustError, match="its bytes do not match its name; the file was changed"):
        list(base.open(store, "primary"))
    # Taking it again repairs the store.
    assert taken(store, repository) == snapshot
    assert list(base.open(store, "primary"))
    path.unlink()
    with pytest.raises(MissingError, match=r"the store has no base/primary\n  run `./inv mirror"):
        list(base.open(store, "primary"))


def test_metadata_that_is_not_there_is_missing(store: Store) -> None:
    bare = RepositorySnapshot(
        id="base", priority=99, repomd_sha256="0" * 64, metadata={}, packages=1
    )
    with pytest.raises(MissingError, match="repository base has no modules metadata"):
        list(bare.open(store, "modules"))


@pytest.mark.parametrize("change", [{"arch": None}, {"repositories": [{"id": "a"}]}])
def test_another_document_is_no_snapshot(
    store: Store, repository: Path, change: dict[str, object]
) -> None:
    value = {**taken(store, repository).document(), **change}
    if value["arch"] is None:
        del value["arch"]
    with pytest.raises(DocumentError, match="not a snapshot of packages: "):
        Snapshot.from_document(value)


def test_older_metadata_is_refused_unless_it_is_accepted(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    before = taken(store, repository)
    older = changed(tmp_path, repository, timestamp=TIMESTAMP - 60)
    with pytest.raises(TrustError) as caught:
        taken(store, older)
    assert caught.value.message == (
        "base: its metadata is of 2023-11-14 22:12, older than that of the newest snapshot, of "
        "2023-11-14 22:13"
    )
    assert caught.value.hint.endswith("if you know why, say `--accept`")
    assert [entry.digest for entry in store.history(KIND, NAME)] == [before.digest]
    accepted = taken(store, older, accept=True)
    assert newest_snapshot(store, "test-9", "x86_64") == accepted
    assert [entry.digest for entry in store.history(KIND, NAME)] == [before.digest, accepted.digest]


def test_a_place_that_lags_is_no_reason_to_stop_when_another_does_not(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    taken(store, repository)
    older = changed(tmp_path, repository, timestamp=TIMESTAMP - 60, name="older")
    newer = changed(tmp_path, repository, timestamp=TIMESTAMP + 60, name="newer")
    snapshot = taken(store, older, newer)
    assert snapshot.repositories[0].timestamp == TIMESTAMP + 60


def test_a_repository_that_lost_many_packages_is_refused(
    store: Store, tmp_path: Path, repository: Path, rpms: Rpms
) -> None:
    before = taken(store, repository)
    smaller = make_repository(tmp_path / "smaller", rpms.good)
    with pytest.raises(TrustError, match=r"^base: has 1 packages, the newest snapshot has 2\n"):
        taken(store, smaller)
    assert newest_snapshot(store, "test-9", "x86_64") == before
    assert taken(store, smaller, accept=True).repositories[0].packages == 1


def test_what_is_made_here_may_be_older_and_smaller(
    store: Store, tmp_path: Path, repository: Path, rpms: Rpms
) -> None:
    made = distribution("base", made=True, stand_in_for="centos", keys=[])
    take_snapshot(store, made, "x86_64", {"base": repository})
    smaller = make_repository(tmp_path / "smaller", rpms.good)
    older = changed(tmp_path, smaller, timestamp=TIMESTAMP - 60)
    snapshot = take_snapshot(store, made, "x86_64", {"base": older})
    assert newest_snapshot(store, "test-9", "x86_64") == snapshot


def test_metadata_that_nobody_renews_is_told(
    store: Store, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = taken(store, repository)
    (line,) = stale(snapshot, days=14, now=TIMESTAMP + 15 * 86400)
    assert line == (
        "  !!  base: its metadata is 15 days old; a mirror that is no longer fed looks so"
    )
    assert stale(snapshot, days=14, now=TIMESTAMP + 15 * 86400 - 1) == ()
    assert "base: its metadata is" in capsys.readouterr().err


def test_a_sync_that_saw_newer_wins_whichever_ends_first(
    store: Store, tmp_path: Path, repository: Path
) -> None:
    taken(store, repository)
    middle = changed(tmp_path, repository, timestamp=TIMESTAMP + 60, name="middle")
    newer = changed(tmp_path, repository, timestamp=TIMESTAMP + 120, name="newer")
    ours = taken(Meddled(root=store.root, meddle=lambda other: _taken(other, newer)), middle)
    assert ours.repositories[0].timestamp == TIMESTAMP + 120
    assert newest_snapshot(store, "test-9", "x86_64") == ours
    (store.root / "meddled").unlink()
    newest = changed(tmp_path, repository, timestamp=TIMESTAMP + 180, name="newest")
    ours = taken(Meddled(root=store.root, meddle=lambda other: _taken(other, newer)), newest)
    assert newest_snapshot(store, "test-9", "x86_64") == ours
    assert len(store.history(KIND, NAME)) == 3


def test_what_another_sync_published_is_looked_at_too(
    store: Store, tmp_path: Path, repository: Path, rpms: Rpms
) -> None:
    larger = changed(
        tmp_path,
        make_repository(tmp_path / "larger", rpms.good, rpms.needed, rpms.other),
        timestamp=TIMESTAMP,
    )
    meddled = Meddled(root=store.root, meddle=lambda other: _taken(other, larger))
    with pytest.raises(TrustError, match=r"^base: has 2 packages, the newest snapshot has 3\n"):
        taken(meddled, repository)


def test_two_that_saw_the_same_are_one(store: Store, repository: Path) -> None:
    meddled = Meddled(root=store.root, meddle=lambda other: _taken(other, repository))
    ours = taken(meddled, repository)
    assert [entry.digest for entry in store.history(KIND, NAME)] == [ours.digest]


def _taken(store: Store, *places: Path) -> None:
    taken(store, *places)


def test_an_older_form_of_snapshot_is_no_reason_to_stop(store: Store, repository: Path) -> None:
    store.append(KIND, NAME, store.put_document(KIND, {"old": True}), after=None)
    assert newest_snapshot_is(store, taken(store, repository))


def newest_snapshot_is(store: Store, snapshot: Snapshot) -> bool:
    return newest_snapshot(store, "test-9", "x86_64") == snapshot


def test_a_shared_store_gives_another_machine_the_same(place: Place, repository: Path) -> None:
    snapshot = taken(place.store(), repository)
    elsewhere = place.store()
    assert newest_snapshot_is(elsewhere, snapshot)
    assert [p.name for p in snapshot.repositories[0].read_packages(elsewhere)] == ["good", "needed"]
    assert taken(place.store(), repository) == snapshot


@pytest.mark.metadata
def test_real_metadata_is_taken(store: Store, real_metadata: Path) -> None:
    snapshot = take_snapshot(
        store,
        distribution("baseos", "appstream"),
        "x86_64",
        {
            "baseos": real_metadata / "BaseOS-2022-02-07",
            "appstream": real_metadata / "AppStream-2025-01-13",
        },
    )
    assert [(r.id, r.packages) for r in snapshot.repositories] == [
        ("appstream", 17649),
        ("baseos", 1125),
    ]
