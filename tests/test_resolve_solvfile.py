"""The resolver's own form of metadata: made once, in a child with limits, and made again."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from definitions import definition
from rpms import distribution, make_repository, make_rpm, make_rpms

from goldpress.digest import sha256_file
from goldpress.errors import MissingError, TrustError
from goldpress.host.limited import Limits
from goldpress.host.run import run
from goldpress.mirror.metadata import solvable
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.resolve import resolve, solvfile
from goldpress.store import Store

MODULES = """\
---
document: modulemd
version: 2
data:
  name: tool
  stream: "1"
  version: 1
  arch: x86_64
  artifacts: {rpms: [tool-0:1.0-1.el9.noarch]}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def snapshot(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    directory = tmp_path_factory.mktemp("solvfile")
    rpms = make_rpms(directory, {"tool": {"Requires": "/usr/share/deep"}, "deep": {}})
    base = make_repository(directory / "repository", *rpms)
    (directory / "modules.yaml").write_text(MODULES)
    argv = ["modifyrepo_c", "--mdtype=modules", str(directory / "modules.yaml")]
    run([*argv, str(base / "repodata")], timeout=60)
    return take_snapshot(store, distribution("base"), "x86_64", {"base": base})


def names(store: Store, snapshot: Snapshot, cache: Path) -> list[str]:
    wanted = definition("tool", modules={"tool": "1"})
    return [p.name for p in resolve(store, [snapshot], wanted, cache=cache).packages]


def test_it_is_made_once(store: Store, snapshot: Snapshot, tmp_path: Path) -> None:
    assert names(store, snapshot, tmp_path) == ["deep", "tool"]
    made = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    assert sorted(path.suffix for path in made) == [".json", ".solv"]
    assert names(store, snapshot, tmp_path) == ["deep", "tool"]
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == made


def test_the_metadata_is_not_asked_for_again(
    store: Store, snapshot: Snapshot, tmp_path: Path
) -> None:
    names(store, snapshot, tmp_path)
    empty = Store(root=tmp_path / "empty")
    assert names(empty, snapshot, tmp_path) == ["deep", "tool"]
    with pytest.raises(MissingError, match=r"the store has no base/(primary|modules)"):
        names(empty, snapshot, tmp_path / "cold")


@pytest.mark.parametrize("damage", [b"", b"SOLV", b"\0" * 4096, b"[{}]"])
@pytest.mark.parametrize("suffix", [".solv", ".json"])
def test_a_damaged_one_is_made_again(
    store: Store, snapshot: Snapshot, tmp_path: Path, suffix: str, damage: bytes
) -> None:
    names(store, snapshot, tmp_path)
    (path,) = tmp_path.glob(f"*{suffix}")
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert names(store, snapshot, tmp_path) == ["deep", "tool"]
    assert path.read_bytes() == whole


def test_a_cut_off_one_is_made_again(store: Store, snapshot: Snapshot, tmp_path: Path) -> None:
    names(store, snapshot, tmp_path)
    (path,) = tmp_path.glob("*.solv")
    whole = path.read_bytes()
    for length in range(1, len(whole), 211):
        path.write_bytes(whole[:length])
        assert names(store, snapshot, tmp_path) == ["deep", "tool"], length


def test_other_metadata_has_another_name(store: Store, snapshot: Snapshot, tmp_path: Path) -> None:
    names(store, snapshot, tmp_path / "cache")
    rpms = [make_rpm(tmp_path, "deep", version="2.0")]
    base = make_repository(tmp_path / "repository", *rpms)
    other = take_snapshot(store, distribution("base", id="other-9"), "x86_64", {"base": base})
    wanted = definition("deep", distribution="other-9")
    found = resolve(store, [other], wanted, cache=tmp_path / "cache")
    assert [p.version for p in found.packages] == ["2.0"]
    assert len(list((tmp_path / "cache").glob("*.solv"))) == 2


def test_what_nobody_used_for_a_month_goes(
    store: Store, snapshot: Snapshot, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.solv", tmp_path / "new.solv"
    for path, days in ((old, 31), (new, 29)):
        path.write_bytes(b"")
        os.utime(path, (0, time.time() - days * 86400))
    names(store, snapshot, tmp_path)
    assert (old.exists(), new.exists()) == (False, True)
    # What is used is not old, whenever it was made.
    (made,) = [path for path in tmp_path.glob("*.solv") if path != new]
    os.utime(made, (0, 0))
    names(store, snapshot, tmp_path)
    assert time.time() - made.stat().st_mtime < 3600


def test_one_that_goes_while_it_is_used_is_made_again(
    store: Store, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(store, snapshot, tmp_path)
    (path,) = tmp_path.glob("*.solv")
    real = solvable.load
    times: list[int] = []

    def gone_at_first(*arguments: Any) -> None:
        if not times:
            path.unlink()
        times.append(1)
        real(*arguments)

    monkeypatch.setattr(solvable, "load", gone_at_first)
    assert names(store, snapshot, tmp_path) == ["deep", "tool"]
    assert len(times) == 2


def test_changed_metadata_is_refused(store: Store, snapshot: Snapshot, tmp_path: Path) -> None:
    path = store.meta_path(snapshot.repositories[0].metadata["primary"].sha256)
    data = path.read_bytes()
    try:
        path.write_bytes(data[:-1] + b"x")
        with pytest.raises(TrustError, match="its bytes do not match its name"):
            names(store, snapshot, tmp_path)
    finally:
        path.write_bytes(data)
    assert not list(tmp_path.glob("*.solv"))


def test_a_parser_that_takes_too_much_is_ended(
    store: Store, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solvfile, "LIMITS", Limits(output=100))
    with pytest.raises(TrustError, match=r"base/\w+: reading it gives more than 0 MiB; refused"):
        names(store, snapshot, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_count_that_differs_is_refused(store: Store, snapshot: Snapshot, tmp_path: Path) -> None:
    """The strict reader and libsolv have to see the same packages."""
    (repository,) = snapshot.repositories
    other = replace(snapshot, repositories=(replace(repository, packages=3),))
    with pytest.raises(TrustError) as caught:
        names(store, other, tmp_path)
    assert str(caught.value) == "repository base: the resolver read 2 of 3 packages"


def test_what_libsolv_cannot_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "primary.xml"
    path.write_text("<metadata><package")
    packed = Packed(path=str(path), sha256=sha256_file(path), name="base/primary")
    with pytest.raises(TrustError, match=r"^base/primary: the resolver cannot read it$"):
        solvable.main([packed.argument(), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told(store: Store, snapshot: Snapshot) -> None:
    packed = snapshot.repositories[0].packed(store, "primary")
    with pytest.raises(OSError, match="No space left on device"):
        solvable.main([packed.argument(), "/dev/full"])
