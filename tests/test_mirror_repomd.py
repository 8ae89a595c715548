from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.repomd import MetadataFile, read_repomd
from goldpress.mirror.snapshot import TYPES

A, B = "a" * 64, "b" * 64
PRIMARY = f"""<data type="primary"><checksum type="sha256">{A}</checksum>
<open-checksum type="sha256">{B}</open-checksum><location href="repodata/{A}-primary.xml.gz"/>
<timestamp>1736761560</timestamp><size>3597627</size><open-size>51840420</open-size></data>"""
DATABASE = '<data type="primary_db"><location href="../../etc/passwd"/></data>'


def document(*rows: str) -> bytes:
    head = '<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">'
    return f"{head}<revision>9-stream</revision>{''.join(rows)}</repomd>".encode()


def read(data: bytes) -> dict[str, MetadataFile]:
    return read_repomd([data], types=TYPES, name="base/repomd.xml")


def test_only_the_wanted_files_are_read() -> None:
    assert read(document(DATABASE, PRIMARY)) == {
        "primary": MetadataFile(
            type="primary", href=f"repodata/{A}-primary.xml.gz", sha256=A, size=3597627
        )
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('href="repodata/', 'href="/', "base/repomd.xml: primary: the href"),
        ('href="repodata/', 'href="../', "leaves its repository"),
        (
            "<location ",
            '<location xml:base="https://evil.org" ',
            "primary: the location has a base",
        ),
        (f'<checksum type="sha256">{A}', f'<checksum type="sha">{A}', f"the checksum '{A}' is not"),
        (
            f'<checksum type="sha256">{A}',
            '<checksum type="sha256">',
            "the checksum '' is not a sha",
        ),
        ("<size>3597627</size>", "", "<data> has 0 <size>, expected one"),
        ("<size>3597627", "<size>big", "the size 'big' is not a number"),
    ],
)
def test_a_faulty_file_is_named(old: str, new: str, message: str) -> None:
    assert old in PRIMARY
    with pytest.raises(TrustError) as caught:
        read(document(PRIMARY.replace(old, new)))
    assert message in str(caught.value)


def test_a_type_is_there_once() -> None:
    with pytest.raises(TrustError, match=r"base/repomd\.xml: primary is there twice"):
        read(document(PRIMARY, PRIMARY))


def test_a_login_page_is_no_repository() -> None:
    with pytest.raises(TrustError, match=r"base/repomd\.xml: is an HTML page"):
        read(b"<!doctype html><html><body>Welcome</body></html>")


@pytest.mark.metadata
def test_real_metadata_is_read(real_metadata: Path) -> None:
    (path,) = real_metadata.glob("AppStream-*/repodata/repomd.xml")
    files = read(path.read_bytes())
    assert sorted(files) == ["filelists", "modules", "primary"]
    assert files["primary"].size == 3597627
