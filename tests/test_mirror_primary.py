from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.metadata.opened import opened
from goldpress.mirror.metadata.primary import AvailablePackage, read_primary

SHA256 = "d906a4edec477483b2c11176dabfe62a73031b88ae1be5862ff5f8ed15c62ec2"
PACKAGE = f"""<package type="rpm">
  <name>nginx</name><arch>x86_64</arch><version epoch="2" ver="1.20.1" rel="20.el9"/>
  <checksum type="sha256" pkgid="YES">{SHA256}</checksum>
  <summary>A server &amp; proxy</summary>
  <time file="1716330110" build="1715287144"/><size package="39914" installed="1" archive="1"/>
  <location href="Packages/nginx-1.20.1-20.el9.x86_64.rpm"/>
  <format><rpm:sourcerpm>nginx-1.20.1-20.el9.src.rpm</rpm:sourcerpm>
    <rpm:provides><rpm:entry name="nginx"/></rpm:provides><file>/usr/sbin/nginx</file></format>
</package>"""
HEAD = (
    '<?xml version="1.0"?><metadata xmlns="http://linux.duke.edu/metadata/common" '
    'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{}">'
)


def document(*packages: str, announced: int | None = None) -> str:
    count = len(packages) if announced is None else announced
    return HEAD.format(count) + "".join(packages) + "</metadata>"


def read(text: str, chunk: int = 1 << 20) -> list[AvailablePackage]:
    data = text.encode()
    chunks: Iterator[bytes] = (data[i : i + chunk] for i in range(0, len(data), chunk))
    return list(read_primary(chunks, repository="base", name="base/primary"))


NGINX = AvailablePackage(
    name="nginx",
    epoch=2,
    version="1.20.1",
    release="20.el9",
    arch="x86_64",
    sha256=SHA256,
    size=39914,
    href="Packages/nginx-1.20.1-20.el9.x86_64.rpm",
    build_time=1715287144,
    source_rpm="nginx-1.20.1-20.el9.src.rpm",
    repository="base",
)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_package_is_read_whatever_the_chunks(chunk: int) -> None:
    assert read(document(PACKAGE), chunk) == [NGINX]
    assert NGINX.nevra == "nginx-2:1.20.1-20.el9.x86_64"


def test_an_empty_repository_has_no_packages() -> None:
    assert read(document()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('type="sha256"', 'type="sha"', "the checksum is of type 'sha', not sha256"),
        ('pkgid="YES"', 'pkgid="NO"', "the checksum is of type 'sha256', not sha256"),
        (SHA256, SHA256.upper(), f"'{SHA256.upper()}' is not a sha256"),
        (SHA256, SHA256[1:], "is not a sha256"),
        ('href="Packages/', 'href="../', "the href '../nginx-1.20.1-20.el9.x86_64.rpm' leaves"),
        ('href="Packages/', 'href="https://evil.org/', "leaves its repository"),
        (".x86_64.rpm", ".x86_64.deb", "is not that of an .rpm"),
        ("<location ", '<location xml:base="https://evil.org/" ', "has a base of its own"),
        ("<name>nginx</name>", "", "<package> has 0 <name>, expected one"),
        ("<name>nginx</name>", "<name>a</name><name>b</name>", "<package> has 2 <name>, expected"),
        ("<name>nginx</name>", "<name>../nginx</name>", "'../nginx' is not a name"),
        ("<name>nginx</name>", "<name>nginx<b/></name>", "<name> has elements in it"),
        ("<name>nginx</name>", f"<name>{'n' * 300}</name>", "nnn' is not a name"),
        ("<format>", "<formats>", "mismatched tag"),
        ("</format>", "</format><name>b</name>", "<format> is not the last of its elements"),
        ("src.rpm<", "src.rpm\t<", "\\t' is not a source package"),
        (
            "nginx-1.20.1-20.el9.x86_64.rpm",
            "a&#47;b.rpm",
            "has entities or quotes: 'Packages/a&#47",
        ),
        ('ver="1.20.1"', 'ver="1-2"', "'1-2' is not a version"),
        ('ver="1.20.1" ', "", "<version> has no attribute 'ver'"),
        ('package="39914"', 'package="-1"', "'-1' is not a size"),
        ('build="1715287144"', 'build="now"', "'now' is not a build time"),
        ('<package type="rpm">', '<package type="deb">', "is of type 'deb' where rpm was expected"),
    ],
)
def test_a_faulty_package_is_named(old: str, new: str, message: str) -> None:
    assert old in PACKAGE
    with pytest.raises(TrustError) as caught:
        read(document(PACKAGE, PACKAGE.replace(old, new)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not well-formed XML: no element found"),
        (document(PACKAGE)[:-30], "not well-formed XML"),
        ("<html><body>Please log in</body></html>", "is an HTML page (a login page of the"),
        ("<!DOCTYPE html><html></html>", "is an HTML page (a login page of the"),
        ("<metadata/>", "the document is <metadata>, expected <metadata>"),
        ("<repomd/>", "the document is <repomd>, expected <metadata>"),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]>'
            + document(PACKAGE).removeprefix('<?xml version="1.0"?>'),
            "has a document type declaration",
        ),
        (document(PACKAGE, announced=2), "announces 2 packages and has 1"),
        (document(PACKAGE, PACKAGE, announced=1), "announces 1 packages and has more"),
        (document(announced=10**9), "announces 1000000000 packages; refused"),
        (document(PACKAGE).replace('packages="1"', 'packages=""'), "announces '' packages"),
        (document("<a></a>", announced=0), "after package 0 there is b'<a></a></metadata>'"),
        (document("<a></a>", PACKAGE), "package 1: there is b'<a></a><package type="),
        (
            document(PACKAGE, "<package type='rpm'><package></package></package>"),
            "expected one <pa",
        ),
        (document(PACKAGE.replace("<format>", "<format><!-- -->")), "has a comment; repository"),
        (document(PACKAGE.replace("server", "<![CDATA[<name>a</name>]]>")), "has a CDATA section"),
        (document(PACKAGE.replace("server", "<?a b?>")), "has a processing instruction"),
        (
            document(PACKAGE).replace("?>", " encoding='UTF-16'?>", 1),
            "is encoded in 'UTF-16'; repository metadata is in UTF-8",
        ),
        (document(PACKAGE).replace(">", " a='&amp;'>", 1), "not well-formed XML"),
        (
            document(PACKAGE).replace("packages=", "a='&amp;' packages=", 1),
            "has entities or quotes",
        ),
        ("<metadata>" + " " * 5000 + "</metadata>", "the document is <metadata>, expected"),
        (
            "<metadata" + " " * 5000 + "/>",
            "the document is <metadata>, expected <metadata> of http",
        ),
    ],
)
def test_what_is_not_primary_metadata_is_refused(text: str, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("base/primary: ")


@pytest.mark.metadata
def test_real_metadata_is_read(real_metadata: Path) -> None:
    (path,) = real_metadata.glob("AppStream-*/repodata/*-primary.xml.gz")
    packages = list(read_primary(opened(path), repository="appstream"))
    assert len(packages) == 17649
    assert len({p.sha256 for p in packages}) == 17649
    assert sum(p.size for p in packages) == 37_489_258_754
