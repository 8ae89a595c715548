from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from test_mirror_index import A, B, packed

from goldpress.digest import sha256_bytes, sha256_file
from goldpress.errors import TrustError
from goldpress.mirror.metadata.index import index_path
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.slice import Slice, make_slice, sliced_lists, sliced_primary
from goldpress.store import Store

LISTS = (
    '<?xml version="1.0"?><filelists xmlns="http://linux.duke.edu/metadata/filelists" '
    f'packages="2"><package pkgid="{B}" name="nginx"><file>/a</file></package>\n'
    f'<package pkgid="{A}" name="a"><file>/b</file></package></filelists>'
)


def lists(folder: Path, text: str) -> Packed:
    path = folder / "filelists"
    path.write_text(text)
    return Packed(path=str(path), sha256=sha256_file(path), name="base/filelists")


def sliced(folder: Path, type_: str, file: Packed, *wanted: str) -> Slice:
    index = index_path(Store(root=folder / "store"), packed(folder))
    (folder / "wanted").write_text("\n".join(wanted))
    return make_slice(file, type_, index, folder / "wanted", folder)


def test_a_slice_of_primary_points_into_the_pool(tmp_path: Path) -> None:
    made = sliced(tmp_path, "primary", packed(tmp_path), A)
    assert made.path.name == f"{made.sha256}-primary.xml.gz"
    assert (sha256_file(made.path), made.path.stat().st_size) == (made.sha256, made.size)
    data = gzip.decompress(made.path.read_bytes())
    assert (sha256_bytes(data), len(data)) == (made.open_sha256, made.open_size)
    assert b'packages="1"' in data
    assert data.count(b"<package ") == 1
    assert f'<location href="../../../pool/sha256/aa/{A}.rpm"/>'.encode() in data
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [made.path.name, "primary", "store", "wanted"]
    )


def test_a_slice_of_lists_has_its_packages(tmp_path: Path) -> None:
    made = sliced(tmp_path, "filelists", lists(tmp_path, LISTS), B, "c" * 64)
    text = gzip.decompress(made.path.read_bytes()).decode()
    assert 'packages="1"' in text
    assert "<file>/a</file>" in text
    assert "<file>/b</file>" not in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f'pkgid="{A}"', "", "without a pkgid"),
        ('packages="2"', 'packages="3"', "announces 3 packages and has 2"),
        ("<file>/a", "<!-- --><file>/a", "expected one <package>"),
    ],
)
def test_faulty_lists_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LISTS
    with pytest.raises(TrustError) as caught:
        sliced(tmp_path, "filelists", lists(tmp_path, LISTS.replace(old, new)), A)
    assert str(caught.value).startswith("base/filelists: ")
    assert message in str(caught.value)


ONE = f'<package><checksum>{A}</checksum><location href="a.rpm" x="y"></location></package>'


def test_a_tag_keeps_its_end() -> None:
    (block,) = sliced_primary([ONE.encode()], [A], frozenset([A]))
    assert b"/aa/" + A.encode() + b'.rpm"></location></package>' in block
    assert b"x=" not in block


@pytest.mark.parametrize(
    "block",
    [
        ONE.replace(A, B),
        ONE.replace("</package>", "<location/></package>"),
        ONE.replace("location", "place"),
        ONE.replace('href="a.rpm"', "href=a.rpm"),
    ],
)
def test_a_block_that_is_not_what_the_index_says_is_refused(block: str) -> None:
    with pytest.raises(ValueError, match=f"the package {A} is not as it was when the index"):
        list(sliced_primary([block.encode()], [A], frozenset([A])))


def test_a_package_more_or_less_than_the_index_has_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(sliced_primary([ONE.encode()], [A, B], frozenset([A])))
    with pytest.raises(ValueError, match="without a pkgid"):
        list(sliced_lists([b"<package><file>/a</file></package>"], frozenset([A])))
