from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import Shelf, findings, ids, kinds, log, one, source, taken
from rpms import Rpms, make_repository, make_rpm, make_rpms

from goldpress.errors import DocumentError
from goldpress.host.run import run
from goldpress.lock import Lock, LockedPackage
from goldpress.mirror.difference.change import Difference
from goldpress.mirror.difference.compare import diff_locks, diff_snapshots
from goldpress.mirror.difference.markdown import markdown
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

REBUILD = "Rebuilt for another compiler"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def built(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An older and a newer repository of signed packages."""
    root = tmp_path_factory.mktemp("built")
    texts = [f"build {n} {{CVE-2024-{1000 + n}}}" for n in range(1, 31)]

    def kernel(build: int) -> list[Path]:
        return [
            make_rpm(
                root / f"kernel{build}",
                "kernel",
                version="5.14.0",
                release=f"{build}.el9",
                changelog=log(*texts[:build]),
            )
        ]

    def web(version: str, *entries: str) -> list[Path]:
        packages: dict[str, dict[str, str]] = {"web": {}, "web-data": {}, "web-tools": {}}
        return make_rpms(root / f"web{version}", packages, version=version, changelog=log(*entries))

    def single(name: str, version: str, *entries: str, release: str = "1.el9") -> list[Path]:
        where = root / f"{name}{version}{release}{len(entries)}"
        text = log(*entries) if entries else ""
        return [make_rpm(where, name, version=version, release=release, changelog=text)]

    older = [
        *kernel(8),
        *web("1.0", "first", "second, CVE-2019-0001"),
        *single("lib", "1.0", "first"),
        *single("back", "2.0", "first", "fix CVE-2024-7777", "third"),
        *single("bare", "1.0"),
        *single("gone", "1.0", "first"),
        *single("same", "1.0", "first"),
        *single("respun", "1.0", "first"),
        *single("ancient", "1.0", "first"),
        *single("ancient", "1.1", "first", "second"),
    ]
    newer = [
        *kernel(30),
        *web("1.1", "first", "second, CVE-2019-0001", "Resolves: cve-2024-0002", "CVE-2024-0003"),
        *single("lib", "1.0", "first", REBUILD, release="2.el9"),
        *single("back", "1.0", "first"),
        *single("bare", "2.0"),
        *single("same", "1.0", "first"),
        *single("respun", "1.0", "first", "second"),
        *single("fresh", "1.0", "fix CVE-2024-8888"),
        *single("ancient", "1.1", "first", "second"),
    ]
    for path in {*older, *newer}:
        rpms.key.sign(path)
    return make_repository(root / "older", *older), make_repository(root / "newer", *newer)


@pytest.fixture(scope="module")
def whole(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Difference:
    store = Store(root=tmp_path_factory.mktemp("whole") / "store")
    older, newer = (one(store, base) for base in built)
    return diff_snapshots(store, older, newer)


def test_what_changed_is_told_by_source_package(whole: Difference) -> None:
    assert kinds(whole) == [
        ("down", "back"),
        ("up", "bare"),
        ("added", "fresh"),
        ("removed", "gone"),
        ("up", "kernel"),
        ("rebuilt", "lib"),
        ("rebuilt", "respun"),
        ("up", "web"),
        ("up", "web-data"),
        ("up", "web-tools"),
    ]
    assert [change.name for change in source(whole, "web").changes] == [
        *("web", "web-data", "web-tools"),
    ]
    assert (whole.before.packages, whole.after.packages) == (11, 11)
    assert whole.before.name.startswith("test-9.x86_64 ")
    assert whole.new_bytes == sum(c.after.size for c in whole.changes if c.after)
    assert source(whole, "gone").size < 0 < source(whole, "fresh").size


def test_new_changelog_entries_name_what_they_fix(whole: Difference) -> None:
    web = source(whole, "web")
    assert ids(web) == ["CVE-2024-0002", "CVE-2024-0003"]
    assert findings(web).consulted == ("changelog",)
    assert findings(web).complete
    assert findings(web).fixed[0].by == ("changelog",)


def test_a_changelog_that_does_not_reach_back_may_leave_some_out(whole: Difference) -> None:
    kernel = source(whole, "kernel")
    # createrepo keeps ten entries: 21 to 30, while 9 to 30 are new.
    assert ids(kernel) == [f"CVE-2024-{1000 + n}" for n in range(21, 31)]
    assert not findings(kernel).complete


def test_what_goes_down_loses_fixes(whole: Difference) -> None:
    back = source(whole, "back")
    assert (ids(back), [cve.id for cve in findings(back).reopened]) == ([], ["CVE-2024-7777"])
    assert whole.reopened == ("CVE-2024-7777",)


def test_no_changelog_is_no_data(whole: Difference) -> None:
    assert source(whole, "bare").without_data
    assert source(whole, "bare").document()["cves"]["data"] == "none"
    assert not source(whole, "fresh").without_data
    assert "CVE-2024-8888" not in whole.fixed


def test_other_bytes_under_the_same_name_are_said_aloud(whole: Difference) -> None:
    (change,) = source(whole, "respun").changes
    assert change.same_name_other_bytes
    assert whole.remarks == (
        "the same name and version, but other bytes than before: respun-1.0-1.el9.noarch",
    )


def test_the_same_is_no_difference(store: Store, built: tuple[Path, Path]) -> None:
    snapshot = one(store, built[0])
    found = diff_snapshots(store, snapshot, snapshot)
    assert (found.sources, found.remarks) == ((), ())


def test_every_version_may_be_compared(store: Store, built: tuple[Path, Path]) -> None:
    older, newer = (one(store, base) for base in built)
    found = diff_snapshots(store, older, newer, every=True)
    assert ("removed", "ancient") in kinds(found)
    assert {kind for kind, name in kinds(found) if name == "web"} == {"added", "removed"}
    # What that says about CVEs is the same: it is about the newest of each.
    assert ids(source(found, "web")) == ["CVE-2024-0002", "CVE-2024-0003"]
    assert "CVE-2024-0002, CVE-2024-0003 |" in markdown(found)
    assert source(found, "fresh").findings is None
    assert found.before.packages == 12


def test_the_first_repository_wins(store: Store, shelf: Shelf) -> None:
    bases = {"first": shelf.repository("1.0"), "second": shelf.repository("2.0")}
    rows = [
        {"id": id_, "baseurl": f"https://example.org/{id_}/", "priority": priority}
        for id_, priority in (("first", 10), ("second", 99))
    ]
    arches = {"x86_64": {"repositories": rows}}
    both = taken(store, bases, arches=arches)
    alone = one(store, bases["first"])
    assert diff_snapshots(store, alone, both).sources == ()
    alone = one(store, bases["second"])
    assert kinds(diff_snapshots(store, alone, both)) == [("down", "tool")]


def test_two_architectures_are_not_compared(store: Store, shelf: Shelf) -> None:
    snapshot = one(store, shelf.repository("1.0"))
    with pytest.raises(DocumentError) as caught:
        diff_snapshots(store, snapshot, replace(snapshot, arch="aarch64"))
    assert str(caught.value) == (
        "a snapshot for x86_64 and one for aarch64 have no packages in common\n"
        "  name two snapshots of one architecture"
    )


def locked(store: Store, snapshot: Snapshot) -> Lock:
    rows = [p for repository in snapshot.repositories for p in repository.read_packages(store)]
    packages = tuple(
        LockedPackage(
            **{
                key: getattr(row, key) for key in row.__slots__ if key not in {"href", "build_time"}
            },
            signer="A" * 40,
            why=("asked for",),
        )
        for row in rows
    )
    return Lock(
        distribution=snapshot.distribution,
        stand_in=False,
        arch="x86_64",
        platform="el9",
        snapshots={snapshot.distribution: snapshot.digest},
        request={"packages": ["tool"], "modules": {}},
        resolver="libsolv 1",
        source_date_epoch=1,
        modules={},
        packages=packages,
    )


def locks(store: Store, shelf: Shelf) -> tuple[Lock, Lock]:
    older, newer = shelf.repository("1.0", "a"), shelf.repository("1.1", "a", "CVE-2024-0001")
    one_, two = (locked(store, one(store, base)) for base in (older, newer))
    return one_, two


def test_locks_are_compared_with_what_their_snapshots_know(store: Store, shelf: Shelf) -> None:
    before, after = locks(store, shelf)
    found = diff_locks(store, before, after)
    assert kinds(found) == [("up", "tool")]
    assert found.fixed == ("CVE-2024-0001",)
    assert found.remarks == ()
    assert found.before.name == f"test-9.x86_64 lock {before.digest[7:19]}"
    assert diff_locks(store, after, after).sources == ()


def test_a_snapshot_that_is_not_here_means_no_data(store: Store, shelf: Shelf) -> None:
    before, after = locks(store, shelf)
    before = replace(before, snapshots={"test-9": f"sha256:{'0' * 64}"})
    found = diff_locks(store, before, after)
    assert kinds(found) == [("up", "tool")]
    assert source(found, "tool").without_data
    assert " ".join(found.remarks) == (
        f"the store has no snapshot 000000000000 of test-9, which lock {before.digest[7:19]} was "
        "made from: no CVE data for what it brought"
    )


def test_what_else_two_locks_differ_in_is_said(store: Store, shelf: Shelf) -> None:
    before, after = locks(store, shelf)
    after = replace(
        after,
        distribution="test-10",
        modules={"php": "8.2"},
        request={"packages": ["tool", "php"], "modules": {"php": "8.2"}},
        packages=tuple(replace(row, signer="B" * 40) for row in after.packages),
    )
    assert diff_locks(store, before, after).remarks == (
        "distribution: test-9 -> test-10",
        "module php: none -> 8.2",
        "the request changed: packages",
        f"signed by {'B' * 40} instead of {'A' * 40}: tool",
    )


def test_locks_of_two_architectures_are_not_compared(store: Store, shelf: Shelf) -> None:
    before, after = locks(store, shelf)
    with pytest.raises(DocumentError, match="a lock for x86_64 and one for aarch64 have no pack"):
        diff_locks(store, before, replace(after, arch="aarch64"))


@pytest.mark.metadata
def test_real_repositories(store: Store, real_metadata: Path, tmp_path: Path) -> None:
    (real,) = real_metadata.glob("AppStream-*")
    base = shutil.copytree(real, tmp_path / "base")
    for path in (base, *base.rglob("*")):
        path.chmod(0o755)
    run(["modifyrepo_c", "--remove", "other", str(base / "repodata")], timeout=60)
    snapshot = one(store, base)
    found = diff_snapshots(store, snapshot, snapshot)
    assert found.changes == ()
    assert found.before.packages > 5000
    empty = replace(snapshot, repositories=())
    found = diff_snapshots(store, empty, snapshot)
    assert found.count("added") == found.after.packages
    assert {"php:8.1", "php:8.2", "nginx:1.24"} <= {s.stream for s in found.sources}
    assert {s.name for s in found.sources if s.stream == "php:8.2"} >= {"php", "php-pecl-zip"}
