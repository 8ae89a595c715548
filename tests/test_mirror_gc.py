"""gc deletes what nothing needs, after a while, and nothing else; on both stores."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gits import ELSEWHERE, lock_text
from rpms import Rpms, distribution, make_repository
from stores import Place, kept, kept_meta

from goldpress.errors import DocumentError, GoldpressError, MissingError
from goldpress.manifest import ImageManifest
from goldpress.mirror import gc
from goldpress.mirror.gc import Collected, collect
from goldpress.mirror.gitlocks import LockRoot, parse_root
from goldpress.mirror.roots import find_needed
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.store import Listed, Store
from goldpress.store.store import document_key, meta_key, package_key

NOW = datetime.now(UTC)
LATER = NOW + gc.GRACE + timedelta(minutes=1)
NAME = "test-9.x86_64"


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A store with two snapshots; `old` and `new` are packages of one of them, `both` of both.

    `stray` is a package of neither. The old snapshot is a view, too.
    """

    place: Place
    store: Store
    first: Snapshot
    second: Snapshot
    old: str
    both: str
    new: str
    stray: str

    def there(self) -> set[str]:
        """What of the packages is in the store."""
        named = {name: getattr(self, name) for name in ("old", "both", "new", "stray")}
        sizes = self.place.store().objects
        return {n for n, sha256 in named.items() if sizes.size(package_key(sha256)) is not None}

    def everything(self) -> dict[str, int]:
        objects = self.place.store().objects
        tops = ("pool/", "meta/", "documents/", "views/", "ledger/", "gc/", "keys/")
        return {row.key: row.size for top in tops for row in objects.listed(top)}

    def collect(self, *locks: LockRoot, now: datetime = NOW, newest: int = 1) -> Collected:
        """As a process of its own does."""
        return collect(self.place.store(), locks, delete=True, now=now, newest=newest)

    def collect_twice(self, *locks: LockRoot, newest: int = 1) -> tuple[str, ...]:
        assert self.collect(*locks, newest=newest).deleted == ()
        return self.collect(*locks, now=LATER, newest=newest).deleted

    @property
    def digests(self) -> list[str]:
        return [entry.digest for entry in self.place.store().history("snapshot", NAME)]


@pytest.fixture(scope="module")
def repositories(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    top = tmp_path_factory.mktemp("repositories")
    first = make_repository(top / "first", rpms.good, rpms.needed)
    return first, make_repository(top / "second", rpms.needed, rpms.other)


@pytest.fixture(scope="module")
def derived(repositories: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is derived from the metadata of both."""
    store = Store(root=tmp_path_factory.mktemp("derived"))
    for top in repositories:
        take_snapshot(store, distribution("base"), "x86_64", {"base": top}, accept=True)
    return store.root / "derived"


@pytest.fixture
def filled(
    place: Place,
    repositories: tuple[Path, Path],
    rpms: Rpms,
    derived: Path,
    tmp_path: Path,
) -> Filled:
    shutil.copytree(derived, tmp_path / "derived")
    place = dataclasses.replace(place, derived=tmp_path / "derived")
    store = place.store()
    first, second = (
        take_snapshot(store, distribution("base"), "x86_64", {"base": top}, accept=True)
        for top in repositories
    )
    old, both, new = (kept(store, p.read_bytes()) for p in (rpms.good, rpms.needed, rpms.other))
    store.put_view(f"{first.digest.removeprefix('sha256:')}/base/repodata/repomd.xml", b"<x/>")
    return Filled(
        place=place,
        store=store,
        first=first,
        second=second,
        old=old,
        both=both,
        new=new,
        stray=kept(store, b"stray"),
    )


def locked(*packages: str, snapshot: str = ELSEWHERE) -> LockRoot:
    return parse_root(lock_text(packages, snapshot).encode(), where="a lock")


def own(snapshot: Snapshot) -> set[str]:
    """The keys of a snapshot's document and metadata."""
    (row,) = snapshot.repositories
    sha256s = {row.repomd_sha256, *(entry.sha256 for entry in row.metadata.values())}
    return {document_key("snapshot", snapshot.digest), *(meta_key(s) for s in sha256s)}


def test_what_is_not_needed_goes_in_the_second_run(filled: Filled) -> None:
    first = filled.collect()
    assert first.deleted == ()
    assert filled.there() == {"old", "both", "new", "stray"}
    assert package_key(filled.stray) in first.plan.marked
    assert str(first.plan.amount([package_key(filled.stray)])) == "1 files, 0.0 MB"
    soon = filled.collect(now=NOW + gc.GRACE - timedelta(minutes=1))
    assert soon.deleted == ()
    assert soon.plan.waiting == first.plan.marked
    last = filled.collect(now=LATER)
    view = f"views/{filled.first.digest.removeprefix('sha256:')}/base/repodata/repomd.xml"
    gone = own(filled.first) - own(filled.second)
    assert set(last.deleted) == {package_key(filled.old), package_key(filled.stray), view} | gone
    assert filled.there() == {"both", "new"}
    assert own(filled.second) <= set(filled.everything())
    told = last.document()
    assert told["deleted"] == told["due"]
    assert told["due"]["files"] == len(last.deleted)
    assert told["due"]["bytes"] > 1000
    assert told["to_mark"] == {"files": 0, "bytes": 0}
    assert (told["snapshots"], told["locks"], told["images"]) == (1, 0, 0)


def test_the_last_snapshot_can_be_used_and_the_old_has_no_name(filled: Filled) -> None:
    assert filled.digests == [filled.first.digest, filled.second.digest]
    filled.collect_twice()
    assert filled.digests == [filled.second.digest]
    store = filled.place.store()
    snapshot = Snapshot.read(store, filled.second.digest)
    assert {p.sha256 for p in snapshot.packages(store, [filled.both, filled.new])} == {
        filled.both,
        filled.new,
    }
    with pytest.raises(MissingError, match=f"the store has no snapshot {filled.first.digest}"):
        Snapshot.read(filled.place.store(), filled.first.digest)


def test_a_third_run_has_nothing_to_do(filled: Filled) -> None:
    filled.collect_twice()
    before = filled.everything()
    third = filled.collect(now=LATER + gc.GRACE)
    assert (third.deleted, third.plan.marked, third.plan.due) == ((), (), ())
    assert filled.everything() == before


def test_without_delete_it_only_tells(filled: Filled) -> None:
    filled.collect()
    before = filled.everything()
    told = collect(filled.place.store(), [], now=LATER, newest=1)
    assert package_key(filled.stray) in told.plan.due
    assert told.deleted == ()
    assert filled.everything() == before


def test_as_many_snapshots_are_in_use_as_was_said(filled: Filled) -> None:
    assert filled.collect_twice(newest=2) == (package_key(filled.stray),)
    assert filled.there() == {"old", "both", "new"}


def test_what_a_lock_names_stays(filled: Filled) -> None:
    filled.collect_twice(locked(filled.stray))
    assert filled.there() == {"both", "new", "stray"}


def test_the_snapshot_of_a_lock_is_in_use(filled: Filled) -> None:
    deleted = filled.collect_twice(locked(filled.both, snapshot=filled.first.digest))
    assert deleted == (package_key(filled.stray),)
    assert filled.digests == [filled.first.digest, filled.second.digest]


def image(store: Store, packages: object) -> str:
    """An image that was not removed, with this list of packages."""
    assert isinstance(packages, (list, dict))
    manifest = ImageManifest(
        name="web",
        distribution="test-9",
        stand_in=True,
        arch="x86_64",
        packages=store.put_document("packages", packages),
        definition="sha256:1",
        command_line="",
        root_hash="",
        disk_sha256="1",
        disk_bytes=1,
        block_root="1",
    )
    digest = store.put_document("manifest", manifest.to_document())
    store.append("image", "web", digest, after=None)
    return digest


def test_the_packages_of_an_image_stay_until_it_is_removed(filled: Filled) -> None:
    digest = image(filled.store, [["stray-0:1-1.noarch", filled.stray]])
    filled.collect_twice()
    assert filled.there() == {"both", "new", "stray"}
    filled.store.forget("image", "web", digest)
    filled.collect_twice()
    assert filled.there() == {"both", "new"}


def test_what_is_needed_again_is_no_longer_marked(filled: Filled) -> None:
    filled.collect()
    filled.collect(locked(filled.stray), now=NOW + timedelta(days=1))
    assert package_key(filled.stray) not in filled.collect(now=LATER).deleted
    assert "stray" in filled.there()


def test_evidence_keys_and_foreign_views_are_not_its_business(filled: Filled) -> None:
    store = filled.store
    digest = store.put_document("evidence", {"passed": True})
    store.put_view("index.html", b"<html/>")
    filled.collect_twice()
    assert store.get_document("evidence", digest) == {"passed": True}
    assert store.objects.size("views/index.html") == 7
    assert store.objects.size(document_key("evidence", digest)) is not None


UNREADABLE = {
    "snapshot": "snapshot sha256:.* is in use and cannot be read, so nothing is deleted",
    "metadata": "snapshot sha256:.* is in use and cannot be read, so nothing is deleted",
    "primary": "snapshot sha256:.* is in use and cannot be read, so nothing is deleted",
    "ledger": "image.json: not a ledger",
    "graves": "graves.json: not a list of graves",
    "manifest": "image sha256:.* is in use and cannot be read, so nothing is deleted",
    "packages": "image sha256:.* is in use and cannot be read, so nothing is deleted",
    "rows": "image sha256:.*: its list of packages cannot be read, so nothing is deleted",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_root_that_cannot_be_read_stops(filled: Filled, what: str) -> None:
    rows = {"a": "b"} if what == "rows" else [["stray-0:1-1.noarch", filled.stray]]
    digest = image(filled.store, rows)
    if what != "rows":
        filled.collect()
    spoil(filled, what, digest)
    before = filled.everything()
    with pytest.raises(GoldpressError, match=UNREADABLE[what]):
        filled.collect(now=LATER)
    assert filled.everything() == before
    assert filled.there() == {"old", "both", "new", "stray"}


def spoil(filled: Filled, what: str, image_digest: str) -> None:
    """Make one root unreadable."""
    objects = filled.store.objects
    (row,) = filled.second.repositories
    primary = meta_key(row.metadata["primary"].sha256)
    packages = filled.store.get_document("manifest", image_digest)["packages"]
    # What was derived from the metadata would do as well.
    assert filled.place.derived is not None
    for folder in (filled.store.root / "derived", filled.place.derived):
        shutil.rmtree(folder)
    match what:
        case "snapshot":
            objects.delete([document_key("snapshot", filled.second.digest)])
        case "metadata":
            objects.delete([primary])
        case "primary":
            objects.put(primary, b"<html/>")
        case "ledger":
            objects.put("ledger/image.json", b"{}")
        case "graves":
            objects.put("gc/graves.json", b"{}")
        case "manifest":
            objects.delete([document_key("manifest", image_digest)])
        case "packages":
            objects.delete([document_key("packages", packages)])


@pytest.mark.parametrize(
    ("grace", "newest"), [(timedelta(hours=23), 10), (timedelta(0), 10), (gc.GRACE, 0)]
)
def test_too_little_care_is_refused(filled: Filled, grace: timedelta, newest: int) -> None:
    with pytest.raises(DocumentError, match="are too little") as caught:
        collect(filled.store, [], delete=True, grace=grace, newest=newest)
    assert caught.value.hint == "at least 1 day and 1: a sync may rely on what it saw"


def test_a_listing_that_hides_decides_nothing(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a listing leaves out is neither deleted nor taken for gone."""
    filled.collect()

    def nothing(_self: object, _prefix: str) -> Iterator[Listed]:
        return iter(())

    with monkeypatch.context() as patch:
        patch.setattr(type(filled.store.objects), "listed", nothing)
        assert filled.collect(now=LATER).deleted == ()
    assert filled.there() == {"old", "both", "new", "stray"}


def test_who_relies_on_a_file_while_gc_runs_keeps_it(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that begins after gc has read the roots takes what it needs out of gc's hands."""
    filled.collect()

    def slowly(store: Store, locks: Iterable[LockRoot], *, newest: int) -> object:
        found = find_needed(store, locks, newest=newest)
        sync = filled.place.store()
        assert sync.has_package(filled.old, sync.objects.size(package_key(filled.old)) or 0)
        return found

    monkeypatch.setattr(gc, "find_needed", slowly)
    deleted = filled.collect(now=LATER).deleted
    assert package_key(filled.stray) in deleted
    assert filled.there() == {"old", "both", "new"}


def test_a_snapshot_that_is_taken_again_while_gc_runs_stays(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, repositories: tuple[Path, Path]
) -> None:
    """Upstream went back: the old snapshot is the newest again, whole."""
    filled.collect()

    def slowly(store: Store, locks: Iterable[LockRoot], *, newest: int) -> object:
        found = find_needed(store, locks, newest=newest)
        again = take_snapshot(
            filled.place.store(),
            distribution("base"),
            "x86_64",
            {"base": repositories[0]},
            accept=True,
        )
        assert again == filled.first
        return found

    monkeypatch.setattr(gc, "find_needed", slowly)
    filled.collect(now=LATER)
    assert filled.digests[-1] == filled.first.digest
    assert own(filled.first) <= set(filled.everything())
    store = filled.place.store()
    assert Snapshot.read(store, filled.first.digest).packages(store, [filled.old])


def test_recent_files_of_a_cache_stay(filled: Filled) -> None:
    """On the machine that ran gc, too, what can be brought again goes only after a while."""
    store = filled.store
    before = (NOW - timedelta(days=30)).timestamp()
    derived = store.root / "derived" / "index-0"
    derived.mkdir(parents=True)
    (row,) = filled.second.repositories
    for name in ("gone", "recent", row.metadata["primary"].sha256):
        (derived / name).write_text("")
        if name != "recent":
            os.utime(derived / name, (before, before))
    os.utime(store.package_path(filled.stray), (before, before))
    os.utime(store.package_path(filled.new), (before, before))
    collect(store, [], delete=True, now=NOW, newest=1)
    assert {path.name for path in derived.iterdir()} == {
        "recent",
        row.metadata["primary"].sha256,
    }
    assert store.package_path(filled.new).is_file()
    assert store.package_path(filled.old).is_file()
    # In a directory it is no cache: there it is marked only.
    assert store.package_path(filled.stray).is_file() is not filled.place.in_cloud
    assert filled.there() == {"old", "both", "new", "stray"}


def test_leftovers_are_swept(place: Place) -> None:
    store = place.store()
    sha256 = kept_meta(store, b"x")
    left = store.meta_path(sha256).with_name(".left.0123")
    left.write_bytes(b"half")
    before = (NOW - timedelta(days=30)).timestamp()
    os.utime(left, (before, before))
    collect(store, [], delete=True, now=NOW)
    assert not left.exists()
