from __future__ import annotations

import gzip
import time
from dataclasses import replace
from pathlib import Path

import pytest
from multiplied import multiplied
from rpms import distribution

from goldpress.digest import sha256_file
from goldpress.errors import TrustError
from goldpress.mirror.metadata import index as module
from goldpress.mirror.metadata.index import checked_lines, count_packages, index_path, read_index
from goldpress.mirror.metadata.opened import opened
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.primary import read_primary
from goldpress.mirror.snapshot import take_snapshot
from goldpress.mirror.views.view import make_view
from goldpress.store import Store

HEAD = (
    '<?xml version="1.0"?><metadata xmlns="http://linux.duke.edu/metadata/common" '
    'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">'
)
ONE = """<package type="rpm"><name>{name}</name><arch>x86_64</arch>
<version epoch="2" ver="1.0" rel="1.el9"/><checksum type="sha256" pkgid="YES">{sha256}</checksum>
<time file="1" build="1715287144"/><size package="399"/><location href="Packages/{name}.rpm"/>
<format><rpm:sourcerpm>{name}.src.rpm</rpm:sourcerpm></format></package>"""
B, A = "b" * 64, "a" * 64
DOCUMENT = f"{HEAD}{ONE.format(name='nginx', sha256=B)}{ONE.format(name='a', sha256=A)}</metadata>"


def packed(folder: Path, text: str = DOCUMENT) -> Packed:
    path = folder / "primary"
    path.write_bytes(gzip.compress(text.encode()))
    return Packed(path=str(path), sha256=sha256_file(path), name="base/primary")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


def test_an_index_has_what_primary_has_in_its_order(tmp_path: Path, store: Store) -> None:
    primary = packed(tmp_path)
    expected = list(read_primary(opened(tmp_path / "primary"), repository="base"))
    assert [p.name for p in expected] == ["nginx", "a"]
    assert list(read_index(store, primary, repository="base")) == expected
    assert list(read_index(store, primary, repository="base", wanted={A})) == expected[1:]
    assert list(read_index(store, primary, repository="base", wanted=set())) == []
    assert count_packages(store, primary) == 2


def test_the_xml_is_read_once(tmp_path: Path, store: Store) -> None:
    primary = packed(tmp_path)
    path = index_path(store, primary)
    Path(primary.path).unlink()
    assert count_packages(store, primary) == 2
    assert index_path(store, primary) == path


@pytest.mark.parametrize("change", [b"", b"rest", b"goldpress index 1: 0 packages, \n"])
def test_a_damaged_index_is_made_again(tmp_path: Path, store: Store, change: bytes) -> None:
    primary = packed(tmp_path)
    path = index_path(store, primary)
    good = path.read_bytes()
    path.write_bytes(good[:-10] + change)
    assert checked_lines(path) is None
    assert count_packages(store, primary) == 2
    assert path.read_bytes() == good


def test_what_is_no_metadata_leaves_no_index(tmp_path: Path, store: Store) -> None:
    primary = packed(tmp_path, "<!doctype html><html>Please log in</html>")
    with pytest.raises(TrustError) as caught:
        count_packages(store, primary)
    assert str(caught.value) == (
        "base/primary: is an HTML page (a login page of the network, or a wrong address), not "
        "metadata"
    )
    assert not any(path.is_file() for path in store.root.rglob("*"))


def test_other_bytes_than_were_stored_are_refused(tmp_path: Path, store: Store) -> None:
    primary = replace(packed(tmp_path), sha256="0" * 64)
    with pytest.raises(TrustError, match="its bytes do not match its name; the file was changed"):
        count_packages(store, primary)


def test_a_reader_has_its_limits(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMITS", replace(module.LIMITS, output=20))
    with pytest.raises(TrustError) as caught:
        count_packages(store, packed(tmp_path))
    assert str(caught.value) == "base/primary: reading it gives more than 0 MiB; refused"


@pytest.mark.metadata
def test_twenty_thousand_packages(real_metadata: Path, tmp_path: Path, store: Store) -> None:
    repository = multiplied(real_metadata, tmp_path / "repository", 20_000)
    started = time.monotonic()
    snapshot = take_snapshot(store, distribution("base"), "x86_64", {"base": repository})
    made = make_view(store, snapshot)
    # The promise is 6 s on an idle machine; tests share theirs.
    assert time.monotonic() - started < 30
    assert [(row.packages, row.upstream) for row in made.repositories] == [(0, 20_000)]
    started = time.monotonic()
    assert take_snapshot(store, distribution("base"), "x86_64", {"base": repository}) == snapshot
    assert time.monotonic() - started < 2
