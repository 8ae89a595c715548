from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from upstream import make_certificate, metalink, serving, status

from goldpress.digest import sha256_bytes
from goldpress.distribution import Repository
from goldpress.document import parse
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.fetch import Fetcher
from goldpress.mirror.transfer.metalink import MAX_METALINK_BYTES, Promise
from goldpress.mirror.transfer.source import Source, as_source, refreshed, source_of
from goldpress.mirror.transfer.web import Web


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(sleep=lambda _: None)
    yield made
    made.close()


def repository(**where: object) -> Repository:
    return parse(Repository, {"id": "base", **where}, name="test")


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return written(tmp_path, b"new")


def written(directory: Path, *repomds: bytes) -> Path:
    files = []
    for number, data in enumerate(repomds):
        files.append(directory / f"repomd{number}")
        files[-1].write_bytes(data)
    path = directory / "metalink"
    path.write_text(metalink(files, ["https://a.org/os", "https://b.org/os"]))
    return path


def test_base_urls_are_places_that_nothing_vouches_for(fetcher: Fetcher) -> None:
    one = source_of(repository(baseurl="https://a.org/os/"), fetcher)
    assert one == Source(places=("https://a.org/os/",)) == as_source("https://a.org/os/")
    assert as_source(one) is one
    two = source_of(repository(baseurl=["https://u:p@a.org/os/", "https://b.org/os/"]), fetcher)
    assert two.places == ("https://u:p@a.org/os/", "https://b.org/os/")
    assert (one.name, two.name) == ("https://a.org/os/", "https://a.org/os/ (and 1 more)")


def test_a_metalink_names_places_and_vouches(fetcher: Fetcher, link: Path) -> None:
    source = source_of(repository(metalink=f"file://{link}"), fetcher)
    assert source == Source(
        places=("https://a.org/os", "https://b.org/os"),
        repomd=(Promise(sha256=sha256_bytes(b"new"), size=3),),
        metalink=f"file://{link}",
    )


def test_a_metalink_is_read_anew(tmp_path: Path, fetcher: Fetcher, link: Path) -> None:
    source = source_of(repository(metalink=f"file://{link}"), fetcher)
    written(tmp_path, b"newer", b"new")
    assert [p.size for p in refreshed(source, fetcher).repomd] == [5, 3]
    assert refreshed(as_source("https://a.org"), fetcher) == as_source("https://a.org")


def test_a_metalink_comes_over_https(tmp_path: Path, link: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    fetcher = Fetcher(
        web=Web(environment={"SSL_CERT_FILE": str(certificate)}), sleep=lambda _: None
    )
    with serving(link.parent, certificate) as secure, serving(link.parent) as plain:
        assert len(source_of(repository(metalink=f"{secure.url}metalink"), fetcher).places) == 2
        with pytest.raises(TrustError) as caught:
            refreshed(Source(places=(), metalink=f"{plain.url}metalink?repo=x"), fetcher)
        assert plain.asked == []
        secure.on("/metalink", status(503))
        with pytest.raises(MissingError, match="/metalink: status 503"):
            source_of(repository(metalink=f"{secure.url}metalink"), fetcher)
        fetcher.close()
    assert str(caught.value) == (
        f"{plain.url}metalink?...: a metalink vouches for a repository, "
        "so it has to come over https"
    )


def test_a_metalink_has_a_size(fetcher: Fetcher, link: Path) -> None:
    link.write_bytes(link.read_bytes() + b" " * MAX_METALINK_BYTES)
    with pytest.raises(TrustError, match=f"more than {MAX_METALINK_BYTES} bytes; refused"):
        source_of(repository(metalink=f"file://{link}"), fetcher)


def test_a_repository_that_is_made_here_is_nowhere(fetcher: Fetcher) -> None:
    with pytest.raises(MissingError) as caught:
        source_of(repository(), fetcher)
    assert str(caught.value) == "repository base has neither `baseurl` nor `metalink`"
