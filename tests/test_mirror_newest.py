"""Which packages of a snapshot are brought beyond those that locks name."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparing import MODULES, add, taken
from rpms import Rpms, make_repository, make_rpm

from goldpress.errors import MissingError
from goldpress.mirror.newest import newest_packages
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store


@pytest.fixture(scope="module")
def repository(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of `tool`; php plain, and of two module streams; a source package."""
    top = tmp_path_factory.mktemp("newest")
    made = [make_rpm(top / "tool", "tool", version=version) for version in ("1.9", "1.10")]
    php = [make_rpm(top / "php", "php", version=v) for v in ("8.0", "8.1.1", "8.1.2", "8.2.1")]
    base = make_repository(top / "repository", *made, *php, rpms.source, rpms.needed)
    streams = [
        MODULES.format(artifacts="php-0:8.2.1-1.el9.noarch"),
        MODULES.format(artifacts="php-0:8.1.1-1.el9.noarch, php-0:8.1.2-1.el9.noarch").replace(
            "stream: 8.2", "stream: 8.1"
        ),
    ]
    add(base, "modules", "".join(streams))
    return base


def shown(snapshot: Snapshot, store: Store, *, every: bool = False) -> list[str]:
    found = newest_packages(store, snapshot, every=every)
    return sorted(f"{p.name}-{p.version}.{p.arch}" for p in found)


def test_the_newest_of_each_with_module_streams_side_by_side(
    repository: Path, tmp_path: Path
) -> None:
    store = Store(root=tmp_path / "store")
    snapshot = taken(store, {"base": repository})
    assert shown(snapshot, store) == [
        "needed-1.5.noarch",
        "php-8.0.noarch",
        "php-8.1.2.noarch",
        "php-8.2.1.noarch",
        "tool-1.10.noarch",
    ]


def test_every_one_but_no_source_package(repository: Path, tmp_path: Path) -> None:
    store = Store(root=tmp_path / "store")
    snapshot = taken(store, {"base": repository})
    assert [p for p in snapshot.repositories[0].read_packages(store) if p.arch == "src"]
    assert shown(snapshot, store, every=True) == [
        "needed-1.5.noarch",
        "php-8.0.noarch",
        "php-8.1.1.noarch",
        "php-8.1.2.noarch",
        "php-8.2.1.noarch",
        "tool-1.10.noarch",
        "tool-1.9.noarch",
    ]


def test_each_repository_has_its_own_newest(rpms: Rpms, repository: Path, tmp_path: Path) -> None:
    """Which one a machine takes is decided by priorities, not here."""
    store = Store(root=tmp_path / "store")
    later = make_rpm(tmp_path / "later", "needed", version="2.0")
    other = make_repository(tmp_path / "other", later, rpms.good)
    snapshot = taken(store, {"base": repository, "other": other})
    found = shown(snapshot, store)
    assert {"needed-1.5.noarch", "needed-2.0.noarch", "good-1.0.noarch"} <= set(found)


def test_metadata_that_is_not_there_is_told(repository: Path, tmp_path: Path) -> None:
    store = Store(root=tmp_path / "store")
    snapshot = taken(store, {"base": repository})
    store.meta_path(snapshot.repositories[0].metadata["modules"].sha256).unlink()
    with pytest.raises(MissingError, match="the store has no base/modules"):
        newest_packages(store, snapshot)


@pytest.mark.metadata
def test_the_newest_of_a_real_repository(real_metadata: Path, tmp_path: Path) -> None:
    """AppStream of January 2025: a quarter of the bytes, four streams of php."""
    store = Store(root=tmp_path / "store")
    snapshot = taken(store, {"appstream": real_metadata / "AppStream-2025-01-13"})
    newest, every = (newest_packages(store, snapshot, every=every) for every in (False, True))
    assert (len(newest), len(every)) == (6124, 17649)
    assert round(sum(p.size for p in newest) / 1e9, 1) == 9.6
    assert round(sum(p.size for p in every) / 1e9, 1) == 37.5
    assert {p.version for p in newest if p.name == "nginx"} == {"1.20.1", "1.22.1", "1.24.0"}
    php = {p.version.rpartition(".")[0] for p in newest if p.name == "php-fpm"}
    assert php == {"8.0", "8.1", "8.2", "8.3"}
