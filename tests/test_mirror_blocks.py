from __future__ import annotations

import re
from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.metadata import blocks as module
from goldpress.mirror.metadata.blocks import Head, attributes_of, package_blocks
from goldpress.mirror.metadata.opened import opened

ROOT = ("http://linux.duke.edu/metadata/filelists", "filelists")
HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<filelists xmlns="{ROOT[0]}" packages="{{}}">\n'
ONE = b'<package pkgid="1" name="a"><packager>x</packager><file>/a</file></package>'
TWO = b"<package\npkgid='2'/>".replace(b"/>", b"></package>")


def read(text: bytes, chunk: int = 1 << 20, *, parse: bool = True) -> tuple[Head, list[bytes]]:
    chunks = (text[i : i + chunk] for i in range(0, len(text), chunk))
    head, blocks = package_blocks(chunks, name="base/filelists", root=ROOT, parse=parse)
    return head, list(blocks)


def document(*blocks: bytes, packages: int | None = None) -> bytes:
    count = len(blocks) if packages is None else packages
    return HEAD.format(count).encode() + b"\n".join(blocks) + b"\n</filelists>\n"


@pytest.mark.parametrize("parse", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_blocks_are_as_they_were_whatever_the_chunks(chunk: int, parse: bool) -> None:
    head, blocks = read(document(ONE, TWO), chunk, parse=parse)
    assert blocks == [ONE, TWO]
    assert (head.name, head.packages) == ("filelists", 2)


def test_a_document_can_be_written_again() -> None:
    head, _ = read(document(ONE, TWO))
    assert head.opening(1) + ONE + b"\n" + head.closing() == document(ONE)
    assert read(head.opening(1) + TWO + head.closing())[1] == [TWO]


@pytest.mark.parametrize("parse", [True, False])
def test_a_document_may_be_empty(parse: bool) -> None:
    assert read(document(), parse=parse)[1] == []
    assert read(f'<filelists xmlns="{ROOT[0]}" packages="0"/>'.encode(), parse=parse)[1] == []


@pytest.mark.parametrize("parse", [True, False])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(ONE, packages=2), "announces 2 packages and has 1"),
        (document(ONE, TWO, packages=1), "announces 1 packages and has more"),
        (document(packages=1_000_001), "announces 1000001 packages; refused"),
        (document().replace(b'"0"', b'"-1"'), "announces '-1' packages"),
        (document(b"<evil/>" + ONE), "package 1: there is b'<evil/><package "),
        (document(b"text" + ONE), "package 1: there is b'text<package "),
        (document(b"<packages>" + ONE + b"</packages>"), "expected one <package>"),
        (document(b"<package>" + ONE + b"</package>", packages=1), "expected one <package>"),
        (document(ONE).replace(b"</filelists>", b"<a/></filelists>"), "after package 1 there is"),
        (
            document(ONE).replace(ROOT[0].encode(), b"other"),
            "the document is <filelists>, expected",
        ),
        (document(ONE).replace(b"UTF-8", b"UTF-7"), "is encoded in 'UTF-7'"),
        (b"<html><p>Please log in</p></html>", "is an HTML page"),
        (b"<!DOCTYPE html><p>Please log in</p>", "is an HTML page"),
    ],
)
def test_what_is_not_such_a_document_is_refused(text: bytes, message: str, parse: bool) -> None:
    with pytest.raises(TrustError) as caught:
        read(text, parse=parse)
    assert str(caught.value).startswith("base/filelists: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("trick", [b"<!-- </package> -->", b"<![CDATA[</package>]]>", b"<?a?>"])
@pytest.mark.parametrize("where", [b"<file>", b"<package pkgid", b"</filelists>", b"<filelists"])
@pytest.mark.parametrize("parse", [True, False])
def test_what_hides_a_tag_is_refused(trick: bytes, where: bytes, parse: bool) -> None:
    text = document(ONE).replace(where, trick + where)
    with pytest.raises(TrustError, match=r"^base/filelists: "):
        read(text, parse=parse)


def test_without_end_it_is_refused() -> None:
    whole = document(ONE, TWO)
    for length in range(0, len(whole) - 2, 13):
        for parse in (True, False):
            with pytest.raises(TrustError, match=r"^base/filelists: "):
                read(whole[:length], parse=parse)


def test_a_package_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BLOCK_BYTES", 1000)
    with pytest.raises(TrustError, match="package 1 is larger than 1000 bytes"):
        read(document(ONE.replace(b"/a", b"a" * 2000)), 100)


def test_attributes_are_as_written() -> None:
    assert attributes_of("""<a b="1" c:d = '2>' e=""") == {"b": "1", "c:d": "2>"}
    for text in ("<a b='&lt;'", "<a b='\"'"):
        with pytest.raises(ValueError, match="the attribute b has entities or quotes"):
            attributes_of(text)


@pytest.mark.metadata
def test_real_lists_of_files_are_cut(real_metadata: Path) -> None:
    (path,) = (real_metadata / "BaseOS-2025-filelists").rglob("*-filelists.xml.gz")
    _, blocks = package_blocks(opened(path), name="filelists", root=ROOT)
    ids = [re.findall(rb'^<package pkgid="([0-9a-f]{64})"', block) for block in blocks]
    assert (len(ids), {len(i) for i in ids}) == (4572, {1})
