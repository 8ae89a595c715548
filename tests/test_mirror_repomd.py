from __future__ import annotations

import re
from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.metadata.repomd import MetadataFile, newest, read_repomd

A, B = "a" * 64, "b" * 64
PRIMARY = f"""<data type="primary"><checksum type="sha256">{A}</checksum>
<open-checksum type="sha256">{B}</open-checksum><location href="repodata/{A}-primary.xml.gz"/>
<timestamp>1736761560</timestamp><size>3597627</size><open-size>51840420</open-size></data>"""
DATABASE = '<data type="primary_db"><location href="../../etc/passwd"/></data>'


def document(*rows: str) -> bytes:
    head = '<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">'
    return f"{head}<revision>9-stream</revision>{''.join(rows)}</repomd>".encode()


def read(data: bytes) -> dict[str, MetadataFile]:
    return read_repomd([data], name="base/repomd.xml")


def test_only_the_wanted_files_are_read() -> None:
    assert read(document(DATABASE, PRIMARY)) == {
        "primary": MetadataFile(
            type="primary",
            href=f"repodata/{A}-primary.xml.gz",
            sha256=A,
            size=3597627,
            timestamp=1736761560,
            open_size=51840420,
            open_sha256=B,
        )
    }


def other(type_: str, **parts: str) -> str:
    """The same file as one of another type; `parts` replace texts."""
    text = PRIMARY.replace('"primary"', f'"{type_}"')
    for old, new in parts.items():
        text = re.sub(f"<{old}>[^<]*<", f"<{old}>{new}<", text)
    return text


def test_of_several_compressions_one_that_is_read_is_chosen() -> None:
    rows = [other("group_zck"), other("group_xz", size="2"), other("filelists_zck")]
    files = read(document(PRIMARY, *rows))
    assert sorted(files) == ["group", "primary"]
    assert (files["group"].type, files["group"].size) == ("group", 2)
    assert read(document(PRIMARY, other("group", size="3"), *rows))["group"].size == 3


def test_a_repository_is_as_old_as_its_newest_file() -> None:
    rows = [other("other", timestamp="1736761563.25"), other("modules", timestamp="5")]
    assert newest(read(document(*rows, PRIMARY))) == 1736761563
    bare = re.sub("<(timestamp|open-size)>.*?</.*?>|<open-checksum.*?</.*?>", "", PRIMARY)
    (file,) = read(document(bare)).values()
    assert (file.timestamp, file.open_size, file.open_sha256) == (0, 0, "")
    assert newest({}) == 0


def test_without_primary_there_are_no_packages() -> None:
    with pytest.raises(TrustError, match=r"base/repomd\.xml: names no primary metadata"):
        read(document(other("primary_zck")))


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
        ("<timestamp>1", "<timestamp>-1", "the timestamp '-1736761560' is not a number"),
        ("<open-size>5", "<open-size>x", "the open-size 'x1840420' is not a number"),
        (f'sha256">{B}', 'sha256">b', "the open-checksum 'b' is not a sha256"),
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
    assert sorted(files) == ["filelists", "group", "modules", "primary"]
    assert newest(files) == 1736761560
    assert files["primary"].size == 3597627
