from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rpms import Rpms, distribution, make_repository

from goldpress.digest import sha256_file
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.mirror.snapshot import (
    Metadata,
    RepositorySnapshot,
    Snapshot,
    newest_snapshot,
    take_snapshot,
)
from goldpress.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(scope="module")
def repository(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repository"), rpms.good, rpms.needed)


def taken(store: Store, base: Path) -> Snapshot:
    return take_snapshot(store, distribution("base"), "x86_64", {"base": base})


def changed(tmp_path: Path, repository: Path) -> Path:
    return shutil.copytree(repository, tmp_path / "changed")


def test_a_snapshot_says_what_there_was(store: Store, repository: Path) -> None:
    snapshot = taken(store, repository)
    (base,) = snapshot.repositories
    assert (snapshot.distribution, snapshot.arch, snapshot.platform) == ("test-9", "x86_64", "el9")
    assert (base.id, base.priority, base.packages) == ("base", 99, 2)
    assert base.repomd_sha256 == sha256_file(repository / "repodata" / "repomd.xml")
    assert sorted(base.metadata) == ["filelists", "primary"]
    (primary,) = (repository / "repodata").glob("*-primary.xml.gz")
    assert base.metadata["primary"] == Metadata(
        sha256=sha256_file(primary), size=primary.stat().st_size
    )
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
    with pytest.raises(TrustError, match=r"repomd\.xml: the repository is empty"):
        taken(store, base)


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
