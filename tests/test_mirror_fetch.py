from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from goldpress.digest import sha256_bytes
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.fetch import (
    ATTEMPTS,
    Fetched,
    Fetcher,
    checked_href,
    local_base,
    location,
    redirected,
)

BODY = b"a package" * 1000


@dataclass(kw_only=True)
class Server:
    """A web server whose next answers are queued: (status, headers, body, bytes really sent)."""

    port: int = 0
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str = "/file") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            status, headers, body = state.answers.pop(0)
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = web.server_address[1]
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    yield state
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(sleep=lambda _: None)
    yield made
    made.pool.clear()


def left_in(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def test_a_file_of_the_web_is_written_whole(
    tmp_path: Path, server: Server, fetcher: Fetcher
) -> None:
    server.answers = [(200, {}, BODY)]
    target = tmp_path / "deep" / "file"
    sha256 = sha256_bytes(BODY)
    found = fetcher.fetch(server.url(), target, limit=1 << 20, sha256=sha256, size=len(BODY))
    assert found == Fetched(sha256=sha256, size=len(BODY))
    assert target.read_bytes() == BODY
    assert left_in(target.parent) == ["file"]


def test_a_local_file_needs_no_web(tmp_path: Path, fetcher: Fetcher) -> None:
    source = tmp_path / "a file"
    source.write_bytes(BODY)
    addresses: list[str | Path] = [source, f"file://{tmp_path}/a%20file"]
    for number, address in enumerate(addresses):
        target = tmp_path / f"copy{number}"
        assert fetcher.fetch(address, target, limit=len(BODY)).size == len(BODY)
        assert target.read_bytes() == BODY


def test_what_may_pass_is_tried_again(tmp_path: Path, server: Server) -> None:
    waits: list[float] = []
    fetcher = Fetcher(sleep=waits.append)
    server.answers = [(503, {}, b""), (200, {"Content-Length": "99999"}, BODY), (200, {}, BODY)]
    fetcher.fetch(server.url(), tmp_path / "file", limit=1 << 20)
    fetcher.pool.clear()
    assert (tmp_path / "file").read_bytes() == BODY
    assert waits == [1.0, 2.0]


def test_it_is_given_up_in_the_end(tmp_path: Path, server: Server, fetcher: Fetcher) -> None:
    server.answers = [(502, {}, b"")] * ATTEMPTS
    with pytest.raises(MissingError, match=r"/file: status 502\n  check the address"):
        fetcher.fetch(server.url(), tmp_path / "file", limit=1 << 20)
    assert len(server.asked) == ATTEMPTS
    assert left_in(tmp_path) == []


def test_what_is_not_there_is_asked_for_once(
    tmp_path: Path, server: Server, fetcher: Fetcher
) -> None:
    server.answers = [(404, {}, b"")]
    with pytest.raises(MissingError, match="/file: status 404"):
        fetcher.fetch(server.url(), tmp_path / "file", limit=1 << 20)
    assert len(server.asked) == 1


def test_nobody_listens(tmp_path: Path, fetcher: Fetcher) -> None:
    address = "http://127.0.0.1:1/file"
    with pytest.raises(MissingError, match=r"^http://127\.0\.0\.1:1/file: .*refused"):
        fetcher.fetch(address, tmp_path / "file", limit=1 << 20)


def test_a_missing_local_file_is_missing(tmp_path: Path, fetcher: Fetcher) -> None:
    with pytest.raises(MissingError, match=r"nowhere: No such file or directory"):
        fetcher.fetch(tmp_path / "nowhere", tmp_path / "file", limit=1)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"limit": 100}, "/file: more than 100 bytes; refused"),
        ({"limit": 1 << 20, "size": 100}, "/file: more than 100 bytes; refused"),
        ({"limit": 1 << 20, "size": 10000}, "/file: 9000 bytes, expected 10000"),
        ({"limit": 1 << 20, "sha256": "0" * 64}, "/file: sha256 is .*, expected 0000"),
    ],
)
def test_other_bytes_are_refused_and_not_kept(
    tmp_path: Path, server: Server, fetcher: Fetcher, expected: dict[str, object], message: str
) -> None:
    server.answers = [(200, {}, BODY)]
    with pytest.raises(TrustError, match=message):
        fetcher.fetch(server.url(), tmp_path / "file", **expected)  # type: ignore[arg-type]
    assert left_in(tmp_path) == []


def test_a_redirect_is_followed(tmp_path: Path, server: Server, fetcher: Fetcher) -> None:
    server.answers = [(302, {"Location": "/there?a=1"}, b""), (200, {}, BODY)]
    fetcher.fetch(server.url("/deep/here"), tmp_path / "file", limit=1 << 20)
    assert server.asked == ["/deep/here", "/there?a=1"]


def test_redirects_have_an_end(tmp_path: Path, server: Server, fetcher: Fetcher) -> None:
    server.answers = [(302, {"Location": "/again"}, b"")] * 6
    with pytest.raises(MissingError, match="more than 5 redirects"):
        fetcher.fetch(server.url(), tmp_path / "file", limit=1 << 20)


@pytest.mark.parametrize("target", ["ftp://example.org/x", "file:///etc/passwd"])
def test_a_redirect_out_of_the_web_is_refused(
    tmp_path: Path, server: Server, fetcher: Fetcher, target: str
) -> None:
    server.answers = [(302, {"Location": target}, b"")]
    with pytest.raises(TrustError, match=f"/file: redirects to {target}; refused"):
        fetcher.fetch(server.url(), tmp_path / "file", limit=1 << 20)


def test_a_redirect_may_be_safer_never_less_safe() -> None:
    assert redirected("http://a.org/x", "https://b.org/y") == "https://b.org/y"
    assert redirected("https://a.org/x", "//b.org/y") == "https://b.org/y"
    with pytest.raises(TrustError, match=r"^https://a.org/x: redirects to http://b.org/y; refused"):
        redirected("https://a.org/x", "http://b.org/y")


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("Packages/bash-5.1.rpm", "https://a.org/os/Packages/bash-5.1.rpm"),
        ("P/libstdc++-1~rc^2.rpm", "https://a.org/os/P/libstdc%2B%2B-1~rc%5E2.rpm"),
        ("P/a%2Bb.rpm", "https://a.org/os/P/a%2Bb.rpm"),
    ],
)
def test_an_address_is_encoded_once(href: str, expected: str) -> None:
    assert location("https://a.org/os/", href) == expected
    assert location(Path("/srv"), href) == Path("/srv") / href


@pytest.mark.parametrize(
    "href",
    [
        *("", "/etc/passwd", "//evil.org/x", "../x", "a/../../x", "a/./x", "a//x", "a/"),
        *("http://evil.org/x", "file:///x", "c:/x", "a\\..\\x", "a/%2e%2e/x", "%2fetc", "a\nb"),
        *("a\0b", "a%00b", "a%5cb", "a?b", "a#b"),
    ],
)
def test_a_href_stays_in_its_repository(href: str) -> None:
    with pytest.raises(ValueError, match="leaves its repository; the metadata is not usable"):
        checked_href(href)
    with pytest.raises(TrustError) as caught:
        location("https://a.org", href)
    assert str(caught.value).startswith(f"https://a.org: the href {href!r} leaves its repository")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (Path("/srv"), Path("/srv")),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("/srv", Path("/srv")),
        ("https://a.org/", None),
        ("http://a.org/", None),
    ],
)
def test_what_is_local(base: str | Path, expected: Path | None) -> None:
    assert local_base(base) == expected
