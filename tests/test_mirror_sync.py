from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rpms import Rpms, distribution, make_repository

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.mirror.sync import Kept, Wanted, keep_packages
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
def web(repository: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(repository))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_packages_are_kept_by_their_sha256(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    total = sum(row.size for row in wanted)
    kept = keep_packages(store, snapshot, {"base": repository}, wanted)
    assert kept == Kept(fetched=2, bytes=total, present=0)
    for row in wanted:
        assert store.package_path(row.sha256).read_bytes() == (repository / row.href).read_bytes()


def test_what_is_there_is_not_brought_again(
    store: Store, snapshot: Snapshot, repository: Path, wanted: list[Wanted]
) -> None:
    keep_packages(store, snapshot, {"base": repository}, wanted[:1])
    (repository / wanted[0].href).unlink()
    kept = keep_packages(store, snapshot, {"base": repository}, [*wanted, *wanted])
    assert (kept.fetched, kept.present) == (1, 1)


def test_they_come_from_the_web_too(
    store: Store, snapshot: Snapshot, web: str, wanted: list[Wanted]
) -> None:
    assert keep_packages(store, snapshot, {"base": web}, wanted).fetched == 2
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
    store: Store, snapshot: Snapshot, web: str, repository: Path, wanted: list[Wanted]
) -> None:
    (repository / wanted[0].href).unlink()
    with pytest.raises(MissingError, match=rf"{Path(wanted[0].href).name}: status 404"):
        keep_packages(store, snapshot, {"base": web}, wanted)


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
