from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from rpms import Rpms, distribution, make_repository
from upstream import Upstream, dripping, serving, status, truncated, wrong

from goldpress.digest import sha256_bytes
from goldpress.errors import GoldpressError, MissingError, TrustError
from goldpress.mirror import sync
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.mirror.sync import MAX_FAILURES, Kept, Wanted, keep_packages
from goldpress.mirror.transfer.fetch import Fetcher
from goldpress.mirror.transfer.partial import claimed, incoming_path, partial_path
from goldpress.mirror.transfer.source import Source
from goldpress.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture
def repository(rpms: Rpms, tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", rpms.good, rpms.needed)


@pytest.fixture
def snapshot(store: Store, repository: Path) -> Snapshot:
    return take_snapshot(store, distribution("base"), "x86_64", {"base": repository})


@pytest.fixture
def wanted(store: Store, snapshot: Snapshot) -> list[Wanted]:
    (base,) = snapshot.repositories
    return [Wanted(p.sha256, p.href, p.size, "base") for p in base.read_packages(store)]


@pytest.fixture
def web(repository: Path) -> Iterator[Upstream]:
    with serving(repository) as upstream:
        yield upstream


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(sleep=lambda _: None)
    yield made
    made.close()


def test_packages_are_kept_by_their_sha256(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    total = sum(row.size for row in wanted)
    kept = keep_packages(store, snapshot, {"base": repository}, wanted)
    assert kept == Kept(fetched=2, bytes=total, present=0)
    for row in wanted:
        assert store.package_path(row.sha256).read_bytes() == (repository / row.href).read_bytes()


def test_what_is_to_be_judged_waits_beside_the_pool(
    store: Store, repository: Path, snapshot: Snapshot, wanted: list[Wanted]
) -> None:
    kept = keep_packages(store, snapshot, {"base": repository}, wanted, share=False)
    assert kept.fetched == len(wanted)
    assert not any(store.has_package(row.sha256, row.size) for row in wanted)
    for row in wanted:
        data = incoming_path(store.root, row.sha256).read_bytes()
        assert sha256_bytes(data) == row.sha256
    # Waiting or kept: neither is brought again; half of one is.
    first, second = wanted
    store.package_path(first.sha256).parent.mkdir(parents=True)
    incoming_path(store.root, first.sha256).rename(store.package_path(first.sha256))
    assert keep_packages(store, snapshot, {"base": repository}, wanted, share=False).fetched == 0
    incoming_path(store.root, second.sha256).write_bytes(b"half")
    assert keep_packages(store, snapshot, {"base": repository}, wanted, share=False).fetched == 1
    assert incoming_path(store.root, second.sha256).stat().st_size == second.size


def test_what_is_there_is_not_brought_again(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    keep_packages(store, snapshot, {"base": repository}, wanted[:1])
    (repository / wanted[0].href).unlink()
    kept = keep_packages(store, snapshot, {"base": repository}, [*wanted, *wanted])
    assert (kept.fetched, kept.present) == (1, 1)


def test_they_come_from_the_web_too(
    store: Store, snapshot: Snapshot, web: Upstream, wanted: list[Wanted]
) -> None:
    assert keep_packages(store, snapshot, {"base": web.url}, wanted).fetched == 2
    assert all(store.package_path(row.sha256).is_file() for row in wanted)


def test_a_package_of_the_wrong_size_is_replaced(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    keep_packages(store, snapshot, {"base": repository}, wanted)
    path = store.package_path(wanted[0].sha256)
    path.write_bytes(b"half")
    assert keep_packages(store, snapshot, {"base": repository}, wanted).fetched == 1
    assert path.stat().st_size == wanted[0].size


def test_other_bytes_are_refused_and_not_kept(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    row = wanted[0]
    path = repository / row.href
    path.write_bytes(bytes(row.size))
    with pytest.raises(TrustError, match=rf"{path.name}: sha256 is \w+, expected {row.sha256}"):
        keep_packages(store, snapshot, {"base": repository}, wanted)
    assert not store.package_path(row.sha256).exists()


def test_what_upstream_dropped_is_missing(
    store: Store, snapshot: Snapshot, web: Upstream, repository: Path, wanted: list[Wanted]
) -> None:
    (repository / wanted[0].href).unlink()
    with pytest.raises(MissingError, match=rf"{Path(wanted[0].href).name}: status 404"):
        keep_packages(store, snapshot, {"base": web.url}, wanted)


def test_a_package_without_a_repository_is_missing(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    row = wanted[0]._replace(repository="extra")
    with pytest.raises(MissingError) as caught:
        keep_packages(store, snapshot, {"base": repository}, [row])
    assert str(caught.value) == (
        f"{row.href}: the snapshot of test-9 has no repository 'extra' to bring it from"
    )


def test_a_href_cannot_leave_the_repository(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    row = wanted[0]._replace(href="../../etc/shadow")
    with pytest.raises(TrustError, match=r"the href '\.\./\.\./etc/shadow' leaves its repository"):
        keep_packages(store, snapshot, {"base": repository}, [row])


def many(root: Path, count: int) -> list[Wanted]:
    """Files of growing size that upstream has, whatever is in them."""
    rows = []
    (root / "Packages").mkdir(exist_ok=True)
    for number in range(count):
        data = bytes([number]) * (1000 + number)
        href = f"Packages/{number}.rpm"
        (root / href).write_bytes(data)
        rows.append(Wanted(sha256_bytes(data), href, len(data), "base"))
    return rows


def test_the_largest_begins_first(
    store: Store,
    snapshot: Snapshot,
    web: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = many(web.root, 12)
    monkeypatch.setattr(sync, "THREADS", 1)
    keep_packages(store, snapshot, {"base": web.url}, rows)
    assert web.paths == [f"/Packages/{number}.rpm" for number in reversed(range(12))]


def test_a_package_of_two_repositories_comes_once(
    store: Store, snapshot: Snapshot, web: Upstream, wanted: list[Wanted]
) -> None:
    twice = [*wanted, *(row._replace(href=f"Packages/../{row.href}") for row in wanted)]
    with pytest.raises(TrustError, match="leaves its repository"):
        keep_packages(store, snapshot, {"base": web.url}, twice[2:])
    copies = [*wanted, *(row._replace(href=row.href.replace("Pack", "Qack")) for row in wanted)]
    assert keep_packages(store, snapshot, {"base": web.url}, copies).fetched == 2
    assert len(web.asked) == 2


def test_one_bad_package_does_not_keep_the_others_away(
    store: Store, snapshot: Snapshot, web: Upstream
) -> None:
    rows = many(web.root, 30)
    web.on("/Packages/2[89].rpm", status(404))
    with pytest.raises(MissingError) as caught:
        keep_packages(store, snapshot, {"base": web.url}, rows)
    assert ".rpm: status 404 (and 1 more that could not be brought)\n" in str(caught.value)
    assert [store.has_package(row.sha256, row.size) for row in rows] == [True] * 28 + [False] * 2


def test_a_bad_mirror_is_given_up_soon(store: Store, snapshot: Snapshot, web: Upstream) -> None:
    rows = many(web.root, 100)
    web.on("*", status(404))
    with pytest.raises(MissingError, match=r"and \d+ more that could not be brought"):
        keep_packages(store, snapshot, {"base": web.url}, rows)
    assert MAX_FAILURES <= len(web.asked) < 30


def test_a_second_place_steps_in(
    store: Store, snapshot: Snapshot, web: Upstream, fetcher: Fetcher, repository: Path
) -> None:
    rows = many(web.root, 40)
    with serving(repository) as other:
        web.on("*", wrong)
        source = Source(places=(web.url, other.url))
        assert keep_packages(store, snapshot, {"base": source}, rows, fetcher=fetcher).fetched == 40
        # After the first wrong bytes nobody asks there first.
        assert len(web.asked) <= 8
        assert len(other.asked) == 40


def test_the_next_sync_goes_on_where_one_ended(
    store: Store, snapshot: Snapshot, web: Upstream, fetcher: Fetcher, wanted: list[Wanted]
) -> None:
    row = wanted[0]
    web.on("*", truncated(1000), times=1)
    web.on("*", status(503), times=3)
    with pytest.raises(MissingError, match="status 503"):
        keep_packages(store, snapshot, {"base": web.url}, [row], fetcher=fetcher)
    assert partial_path(store.root, row.sha256).stat().st_size == 1000
    keep_packages(store, snapshot, {"base": web.url}, [row], fetcher=fetcher)
    assert web.asked[-1][1]["range"] == "bytes=1000-"
    assert list((store.root / "tmp").iterdir()) == []


def test_two_at_once_bring_each_package_once(
    store: Store, snapshot: Snapshot, web: Upstream
) -> None:
    rows = many(web.root, 40)
    brought: list[Kept] = []
    failed: list[GoldpressError] = []

    def run() -> None:
        try:
            # A store of its own, as another process has.
            own = Store(root=store.root)
            brought.append(keep_packages(own, snapshot, {"base": web.url}, rows))
        except GoldpressError as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(brought) == 3
    assert len(web.asked) == 40
    assert all(store.package_path(row.sha256).stat().st_size == row.size for row in rows)
    assert list((store.root / "tmp").iterdir()) == []


def test_who_waits_for_another_can_be_stopped(
    store: Store, snapshot: Snapshot, web: Upstream, wanted: list[Wanted]
) -> None:
    """The other one is a process that hangs; a second failure ends the waiting."""
    held = partial_path(store.root, wanted[0].sha256)
    rows = [wanted[0], *many(web.root, 9)]
    web.on("/Packages/[0-9].rpm", status(404))
    began = time.monotonic()
    with (
        claimed(held, threading.Event()),
        pytest.raises(MissingError, match="more that could not be brought"),
    ):
        keep_packages(store, snapshot, {"base": web.url}, rows)
    assert time.monotonic() - began < 10


def test_an_interruption_ends_what_runs(
    store: Store,
    snapshot: Snapshot,
    web: Upstream,
    wanted: list[Wanted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web.on("*", dripping(0.01))

    def interrupted(*_: object) -> None:
        time.sleep(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(sync, "as_completed", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        keep_packages(store, snapshot, {"base": web.url}, wanted)
    assert time.monotonic() - began < 5
    assert not any(store.has_package(row.sha256, row.size) for row in wanted)


def test_there_has_to_be_room(
    store: Store,
    snapshot: Snapshot,
    repository: Path,
    wanted: list[Wanted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=1_000_000))
    large = wanted[0]._replace(size=2_500_000)
    with pytest.raises(MissingError) as caught:
        keep_packages(store, snapshot, {"base": repository}, [large])
    assert str(caught.value) == (
        f"{store.root}: 1.0 MB are free, the packages need 2.5 MB\n"
        "  make room, or put the build directory elsewhere with GOLDPRESS_BUILD"
    )


def test_progress_is_told(
    store: Store,
    snapshot: Snapshot,
    web: Upstream,
    wanted: list[Wanted],
    capsys: pytest.CaptureFixture[str],
) -> None:
    total = sum(row.size for row in wanted) / 1e6
    keep_packages(store, snapshot, {"base": web.url}, wanted)
    first, last = capsys.readouterr().err.splitlines()[-2:]
    assert first == f"  …  packages  (2 to bring, {total:.1f} MB)"
    assert f"2 files, {total:.1f} MB, " in last
    keep_packages(store, snapshot, {"base": web.url}, wanted)
    assert capsys.readouterr().err == ""
