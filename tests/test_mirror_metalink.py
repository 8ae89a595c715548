from __future__ import annotations

from pathlib import Path

import pytest
from upstream import metalink

from goldpress.digest import sha256_bytes
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.metalink import MAX_PLACES, Metalink, Promise, read_metalink

#: As the real ones are, shortened.
REAL = """<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic"
 pubdate="Thu, 20 Nov 2025 10:00:00 GMT" generator="mirrormanager"
 xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1763600000</mm0:timestamp>
   <size>4462</size>
   <verification>
    <hash type="md5">d41d8cd98f00b204e9800998ecf8427e</hash>
    <hash type="sha1">da39a3ee5e6b4b0d3255bfef95601890afd80709</hash>
    <hash type="sha256">{new}</hash>
    <hash type="sha512">00</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1763400000</mm0:timestamp>
     <size>4460</size>
     <verification><hash type="sha256">{oldest}</hash></verification>
    </mm0:alternate>
    <mm0:alternate>
     <mm0:timestamp>1763500000</mm0:timestamp>
     <size>4461</size>
     <verification><hash type="sha256">{old}</hash></verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="DE" preference="100">rsync://a.org/os/repodata/repomd.xml</url>
    <url protocol="http" type="http" location="DE" preference="100">http://a.org/os/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="SE" preference="98">https://b.org/os/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="DE" preference="99">https://a.org/os/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="DE" preference="97">https://a.org/os/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="XX" preference="96">https://me:secret@c.org/os/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="XX" preference="96">https://d.org/elsewhere.xml</url>
   </resources>
  </file>
 </files>
</metalink>
""".format(new="a" * 64, old="b" * 64, oldest="c" * 64)


def read(text: str) -> Metalink:
    return read_metalink([text.encode()], name="the metalink")


def test_it_names_places_and_vouches_for_repomd() -> None:
    assert read(REAL) == Metalink(
        places=("https://a.org/os", "https://b.org/os"),
        repomd=(
            Promise(sha256="a" * 64, size=4462),
            Promise(sha256="b" * 64, size=4461),
            Promise(sha256="c" * 64, size=4460),
        ),
    )


def test_plain_http_will_do_where_there_is_nothing_else() -> None:
    found = read(REAL.replace(">https:", ">ftp:"))
    assert found.places == ("http://a.org/os",)


def test_our_own_is_read_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"older")
    text = metalink([tmp_path / "new", tmp_path / "old"], ["http://a.org/", "http://b.org"])
    assert read(text) == Metalink(
        places=("http://a.org", "http://b.org"),
        repomd=(
            Promise(sha256=sha256_bytes(b"new"), size=3),
            Promise(sha256=sha256_bytes(b"older"), size=5),
        ),
    )


def test_not_all_of_a_hundred_mirrors_are_kept(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    places = [f"https://m{number}.org" for number in range(99)]
    text = metalink([tmp_path / "new"], places, preferences=list(range(1, 100)))
    found = read(text).places
    assert len(found) == MAX_PLACES
    assert found[0] == "https://m98.org"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name="repomd.xml"', 'name="x"', "speaks of 0 files repomd.xml, expected one"),
        ('type="sha256"', 'type="sha384"', "has no sha256 for repomd.xml; weaker checksums prove"),
        ("a" * 64, "a" * 63, f"the hash '{'a' * 63}' is not a sha256"),
        ("<size>4462</size>", "", "<file> has 0 <size>, expected one"),
        ("<size>4462</size>", "<size>-1</size>", "the size '-1' is not a number"),
        (">1763400000<", ">soon<", "the timestamp 'soon' is not a number"),
        ("http://www.metalinker.org/", "urn:x", "the document is <metalink>, expected <metalink>"),
        ("</files>", "", "not well-formed XML: mismatched tag"),
        ('<?xml version="1.0" encoding="utf-8"?>', '<!DOCTYPE x [<!ENTITY a "b">]>', "has a docum"),
        (REAL, "<!doctype html><p>Please log in", "is an HTML page"),
        (REAL, "", "not well-formed XML: no element found"),
    ],
)
def test_what_is_no_metalink_is_refused(old: str, new: str, message: str) -> None:
    assert old in REAL
    with pytest.raises(TrustError) as caught:
        read(REAL.replace(old, new))
    assert str(caught.value).startswith("the metalink: ")
    assert message in str(caught.value)


def test_it_has_to_name_a_mirror() -> None:
    with pytest.raises(MissingError) as caught:
        read(REAL.replace("/repodata/repomd.xml", ""))
    assert str(caught.value) == (
        "the metalink: names no http(s) mirror of repomd.xml\n"
        "  check `repo` and `arch` in the address, or name a `baseurl`"
    )
