from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from upstream import (
    PORTAL,
    Behaviour,
    Upstream,
    becomes,
    body,
    dripping,
    elsewhere,
    good,
    make_certificate,
    no_range,
    other_range,
    portal,
    redirect,
    serving,
    status,
    truncated,
    wrong,
)

from goldpress.digest import sha256_bytes
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.download import Fetched, StoppedError
from goldpress.mirror.transfer.fetch import ALL_ATTEMPTS, ATTEMPTS, Fetcher
from goldpress.mirror.transfer.metalink import Promise
from goldpress.mirror.transfer.pace import Pace
from goldpress.mirror.transfer.source import Source
from goldpress.mirror.transfer.web import Web

BODY = bytes(range(256)) * 2000
SHA256 = sha256_bytes(BODY)
SIZE = len(BODY)
WHOLE = Fetched(sha256=SHA256, size=SIZE)
LIMIT = 1 << 20


@pytest.fixture
def files(tmp_path: Path) -> Path:
    root = tmp_path / "upstream"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "file").write_bytes(BODY)
    (root / "file").write_bytes(BODY)
    return root


@pytest.fixture
def server(files: Path) -> Iterator[Upstream]:
    with serving(files) as upstream:
        yield upstream


@pytest.fixture
def other(files: Path) -> Iterator[Upstream]:
    with serving(files) as upstream:
        yield upstream


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def fetcher(waits: list[float]) -> Iterator[Fetcher]:
    made = Fetcher(sleep=waits.append)
    yield made
    made.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "here" / "target"


def left_in(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def test_a_file_of_the_web_is_written_whole(
    target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    url = f"{server.url}file"
    assert fetcher.fetch(url, target, limit=LIMIT, sha256=SHA256, size=SIZE) == WHOLE
    assert target.read_bytes() == BODY
    assert left_in(target.parent) == ["target"]


def test_a_local_file_needs_no_web(files: Path, target: Path, fetcher: Fetcher) -> None:
    (files / "a file").write_bytes(BODY)
    addresses: list[str | Path] = [files / "a file", f"file://{files}/a%20file"]
    for address in addresses:
        assert fetcher.fetch(address, target, limit=SIZE) == WHOLE
        assert target.read_bytes() == BODY


def test_what_may_pass_is_tried_again(
    target: Path, server: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    server.on("/file", status(503), times=1)
    server.on("/file", truncated(1000), times=1)
    fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    assert target.read_bytes() == BODY
    assert waits == [1.0, 2.0]
    # Nothing says what the file has to be: then its two halves may be of two files.
    assert all("range" not in headers for _, headers in server.asked)


def test_it_is_given_up_in_the_end(
    target: Path, server: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    server.on("/file", status(502))
    with pytest.raises(MissingError, match=r"/file: status 502\n  check the address in `rpm-mirr"):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    assert len(server.asked) == ATTEMPTS
    assert waits == [1.0, 2.0, 4.0]
    assert left_in(target.parent) == []


def test_what_is_not_there_is_asked_for_once(
    target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    with pytest.raises(MissingError, match="/nothing: status 404"):
        fetcher.fetch(f"{server.url}nothing", target, limit=LIMIT)
    assert server.paths == ["/nothing"]


def test_nobody_listens(target: Path, fetcher: Fetcher) -> None:
    with pytest.raises(MissingError) as caught:
        fetcher.fetch("http://127.0.0.1:1/file", target, limit=LIMIT)
    assert caught.value.message == "http://127.0.0.1:1/file: no connection: Connection refused"


def test_a_name_that_nobody_has(target: Path, fetcher: Fetcher) -> None:
    with pytest.raises(MissingError) as caught:
        fetcher.fetch("http://nobody.invalid/file", target, limit=LIMIT)
    assert caught.value.message == (
        "http://nobody.invalid/file: the name of the host cannot be resolved"
    )


def test_a_missing_local_file_is_missing(files: Path, target: Path, fetcher: Fetcher) -> None:
    with pytest.raises(MissingError, match=r"nowhere: No such file or directory"):
        fetcher.fetch(files / "nowhere", target, limit=1)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"limit": 100}, "/file: more than 100 bytes; refused"),
        ({"limit": LIMIT, "size": 100}, "/file: more than 100 bytes; refused"),
        ({"limit": LIMIT, "size": SIZE + 1}, f"/file: {SIZE} bytes, expected {SIZE + 1}"),
        ({"limit": LIMIT, "sha256": "0" * 64}, f"/file: sha256 is {SHA256}, expected 0000"),
    ],
)
def test_other_bytes_are_refused_and_not_kept(
    target: Path,
    server: Upstream,
    fetcher: Fetcher,
    expected: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(TrustError, match=message):
        fetcher.fetch(f"{server.url}file", target, **expected)  # type: ignore[arg-type]
    assert len(server.asked) == 1
    assert left_in(target.parent) == []


def test_a_connection_is_used_again(
    target: Path, server: Upstream, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handshake for each of two hundred packages would take as long as the packages."""
    made: list[object] = []
    connect = urllib3.util.connection.create_connection

    def counting(*arguments: object, **more: object) -> socket.socket:
        made.append(arguments)
        return connect(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", counting)
    for _ in range(5):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    assert len(made) == 1


def test_more_than_allowed_is_not_even_read(
    target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    """The length is told first; without one, reading ends where the limit is."""

    def endless(request: object) -> None:
        request.head(200, {"Connection": "close"})  # type: ignore[attr-defined]
        for _ in range(1000):
            request.send(bytes(1 << 16))  # type: ignore[attr-defined]
        request.end()  # type: ignore[attr-defined]

    server.on("/file", endless)
    with pytest.raises(TrustError, match=f"/file: more than {LIMIT} bytes; refused"):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    assert left_in(target.parent) == []


def test_a_login_page_is_called_one(target: Path, server: Upstream, fetcher: Fetcher) -> None:
    server.on("/file", portal)
    message = r"/file: is an HTML page \(a login page of the network, or a wrong address\)$"
    with pytest.raises(TrustError, match=message):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    with pytest.raises(TrustError, match=message):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT, sha256=SHA256, size=len(PORTAL))
    assert left_in(target.parent) == []


def test_an_encoding_is_not_undone(target: Path, server: Upstream, fetcher: Fetcher) -> None:
    """Some servers call a .gz file a plain one in an encoding; a checksum is of the file."""
    server.on("/file", body(BODY, Content_Encoding="gzip"))
    assert fetcher.fetch(f"{server.url}file", target, limit=LIMIT, sha256=SHA256) == WHOLE


# Redirects


def test_a_redirect_is_followed_to_another_host(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/deep/*", elsewhere(f"http://localhost:{other.port}/"))
    fetcher.fetch(f"{server.url}deep/file", target, limit=LIMIT, sha256=SHA256)
    assert (server.paths, other.paths) == (["/deep/file"], ["/deep/file"])


def test_redirects_have_an_end(target: Path, server: Upstream, fetcher: Fetcher) -> None:
    server.on("*", redirect("/again"))
    with pytest.raises(MissingError, match="/file: more than 5 redirects"):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)
    assert len(server.asked) == 6


@pytest.mark.parametrize("to", ["ftp://example.org/x", "file:///etc/passwd"])
def test_a_redirect_out_of_the_web_is_refused(
    target: Path, server: Upstream, fetcher: Fetcher, to: str
) -> None:
    server.on("/file", redirect(to))
    with pytest.raises(TrustError, match=f"/file: redirects to {to}; refused"):
        fetcher.fetch(f"{server.url}file", target, limit=LIMIT)


def test_a_redirect_from_https_to_http_is_refused(
    tmp_path: Path, files: Path, target: Path, server: Upstream
) -> None:
    certificate = make_certificate(tmp_path / "tls")
    fetcher = Fetcher(web=Web(environment={"SSL_CERT_FILE": str(certificate)}))
    with serving(files, certificate) as secure:
        assert fetcher.fetch(f"{secure.url}file", target, limit=LIMIT) == WHOLE
        secure.on("/file", elsewhere(server.url))
        with pytest.raises(TrustError) as caught:
            fetcher.fetch(f"{secure.url}file", target, limit=LIMIT)
        fetcher.close()
    assert str(caught.value) == f"{secure.url}file: redirects to {server.url}file; refused"
    assert server.asked == []


def test_an_unknown_certificate_is_refused_at_once(
    tmp_path: Path, files: Path, target: Path, fetcher: Fetcher
) -> None:
    with serving(files, make_certificate(tmp_path / "tls")) as secure:
        with pytest.raises(MissingError) as caught:
            fetcher.fetch(f"{secure.url}file", target, limit=LIMIT)
        assert secure.asked == []
    assert caught.value.message == (
        f"{secure.url}file: the certificate cannot be verified (self-signed certificate); "
        "SSL_CERT_FILE names the authorities of a network that has its own"
    )


def test_a_login_stays_with_its_host_and_out_of_messages(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    url = server.url.replace("//", "//me:sec%40ret@")
    server.on("/file", elsewhere(other.url))
    other.on("/file", status(403))
    with pytest.raises(MissingError) as caught:
        fetcher.fetch(f"{url}file", target, limit=LIMIT)
    assert caught.value.message == f"{server.url}file: status 403"
    assert server.asked[0][1]["authorization"] == "Basic bWU6c2VjQHJldA=="
    assert "authorization" not in other.asked[0][1]


# Resuming


def test_a_broken_transfer_is_gone_on_with(
    target: Path, server: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    server.on("/file", truncated(100_000), times=2)
    fetcher.fetch(f"{server.url}file", target, limit=LIMIT, sha256=SHA256, size=SIZE)
    assert target.read_bytes() == BODY
    ranges = [headers.get("range") for _, headers in server.asked]
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert waits == [1.0, 2.0]


def test_a_cut_without_a_length_is_seen(target: Path, server: Upstream, fetcher: Fetcher) -> None:
    server.on("/file", truncated(100_000, told=False), times=1)
    fetcher.fetch(f"{server.url}file", target, limit=LIMIT, sha256=SHA256, size=SIZE)
    assert [headers.get("range") for _, headers in server.asked] == [None, "bytes=100000-"]


@pytest.mark.parametrize("behaviour", [no_range, other_range, status(416)])
def test_a_server_that_cannot_go_on_gives_it_all(
    target: Path, server: Upstream, fetcher: Fetcher, behaviour: Behaviour
) -> None:
    server.on("/file", truncated(100_000), times=1)
    server.on("/file", behaviour, times=1)
    fetcher.fetch(f"{server.url}file", target, limit=LIMIT, sha256=SHA256, size=SIZE)
    assert target.read_bytes() == BODY


def from_source(fetcher: Fetcher, target: Path, *servers: Upstream, **more: object) -> Fetched:
    source = Source(places=tuple(server.url for server in servers))
    options: dict[str, object] = {"sha256": SHA256, "size": SIZE, "limit": LIMIT, **more}
    return fetcher.fetch_from(source, "file", target, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, 100_000, SIZE - 1, SIZE])
def test_what_was_left_is_gone_on_with(
    tmp_path: Path, target: Path, server: Upstream, fetcher: Fetcher, length: int
) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(BODY[:length])
    told: list[int] = []
    assert from_source(fetcher, target, server, partial=partial, on_bytes=told.append) == WHOLE
    assert target.read_bytes() == BODY
    assert not partial.exists()
    assert sum(told) == SIZE
    ranges = [headers.get("range") for _, headers in server.asked]
    assert ranges == ([] if length == SIZE else [f"bytes={length}-"])


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * SIZE, BODY + b"x", BODY[1:]])
def test_what_was_left_of_something_else_is_dropped(
    tmp_path: Path, target: Path, server: Upstream, fetcher: Fetcher, left: bytes
) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(left)
    told: list[int] = []
    assert from_source(fetcher, target, server, partial=partial, on_bytes=told.append) == WHOLE
    assert target.read_bytes() == BODY
    assert sum(told) == SIZE
    assert "range" not in server.asked[-1][1]


def test_what_came_is_left_for_the_next_time(
    tmp_path: Path, target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    partial = tmp_path / "partial"
    server.on("/file", truncated(100_000), times=1)
    server.on("/file", status(503), times=ATTEMPTS - 1)
    with pytest.raises(MissingError, match="/file: status 503"):
        from_source(fetcher, target, server, partial=partial)
    assert partial.read_bytes() == BODY[:100_000]
    assert from_source(fetcher, target, server, partial=partial) == WHOLE
    assert server.asked[-1][1]["range"] == "bytes=100000-"


def test_wrong_bytes_are_not_left(
    tmp_path: Path, target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    partial = tmp_path / "partial"
    server.on("/file", wrong)
    with pytest.raises(TrustError, match=rf"^{server.url}file: sha256 is \w+, expected {SHA256}$"):
        from_source(fetcher, target, server, partial=partial)
    assert not partial.exists()
    assert not target.exists()


# Pace


@pytest.mark.parametrize(
    "behaviour", [dripping(), dripping(in_headers=True), dripping(chunked=True)]
)
def test_a_drip_is_cut(
    target: Path, server: Upstream, behaviour: Behaviour, waits: list[float]
) -> None:
    fetcher = Fetcher(sleep=waits.append, pace=Pace(rate=10_000, window=0.3))
    server.on("/file", behaviour)
    began = time.monotonic()
    with pytest.raises(MissingError) as caught:
        from_source(fetcher, target, server)
    fetcher.close()
    assert time.monotonic() - began < 10
    assert caught.value.message == (f"{server.url}file: slower than 10000 bytes a second for 0.3 s")
    assert len(server.asked) == ATTEMPTS


def test_a_slow_line_is_no_drip(target: Path, server: Upstream) -> None:
    def slow(request: object) -> None:
        request.head(200, {"Content-Length": str(SIZE)})  # type: ignore[attr-defined]
        for start in range(0, SIZE, SIZE // 10):
            request.send(BODY[start : start + SIZE // 10])  # type: ignore[attr-defined]
            time.sleep(0.1)

    fetcher = Fetcher(pace=Pace(rate=10_000, window=0.3))
    server.on("/file", slow)
    assert from_source(fetcher, target, server) == WHOLE
    fetcher.close()
    assert len(server.asked) == 1


def test_a_transfer_can_be_stopped(tmp_path: Path, target: Path, server: Upstream) -> None:
    fetcher, stop = Fetcher(), threading.Event()
    server.on("/file", dripping(0.01))
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        from_source(fetcher, target, server, stop=stop, partial=tmp_path / "partial")
    assert time.monotonic() - began < 5
    assert BODY.startswith((tmp_path / "partial").read_bytes())
    fetcher.close()


def test_waiting_can_be_stopped(target: Path, server: Upstream) -> None:
    fetcher, stop = Fetcher(), threading.Event()
    server.on("/file", status(503, Retry_After="60"))
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        from_source(fetcher, target, server, stop=stop)
    assert time.monotonic() - began < 5
    fetcher.close()


# Several places


def test_another_place_is_asked_at_once(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    for behaviour in (status(404), status(503), truncated(1000), wrong, portal, good):
        server.rules[:] = []
        server.on("/file", behaviour)
        assert from_source(fetcher, target, server, other) == WHOLE
    assert waits == []


def test_a_place_goes_on_where_another_broke_off(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/file", truncated(100_000))
    assert from_source(fetcher, target, server, other) == WHOLE
    assert other.asked[0][1]["range"] == "bytes=100000-"


def test_a_bad_place_comes_last_from_then_on(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/file", status(500), times=1)
    for _ in range(3):
        from_source(fetcher, target, server, other)
    assert (len(server.asked), len(other.asked)) == (1, 3)


def test_a_place_that_asks_for_rest_gets_it(
    target: Path, server: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    server.on("/file", status(503, Retry_After="7"), times=1)
    server.on("/file", status(429, Retry_After="86400"), times=1)
    assert from_source(fetcher, target, server) == WHOLE
    # The second wish is too much; it is cut to a minute.
    assert [round(seconds) for seconds in waits] == [7, 60]


def test_meanwhile_another_place_is_asked(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher, waits: list[float]
) -> None:
    server.on("/file", status(503, Retry_After="30"))
    for _ in range(2):
        assert from_source(fetcher, target, server, other) == WHOLE
    assert len(server.asked) == 1
    assert waits == []


def test_no_place_has_it(target: Path, server: Upstream, other: Upstream, fetcher: Fetcher) -> None:
    server.on("/file", status(404))
    other.on("/file", wrong)
    with pytest.raises(TrustError) as caught:
        from_source(fetcher, target, server, other)
    assert str(caught.value).startswith(
        f"file: none of 2 places has it: {server.url}file: status 404; {other.url}file: sha256 is "
    )
    other.rules[:] = []
    other.on("/file", status(410))
    with pytest.raises(MissingError, match=r"status 404; .*status 410\n  check the address in `rp"):
        from_source(fetcher, target, server, other)


def test_many_bad_places_are_not_asked_for_ever(
    target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    server.on("*", status(500))
    places = tuple(f"{server.url}{number}/" for number in range(20))
    with pytest.raises(MissingError, match=r"^file: none of 12 places has it: .*; and 9 more"):
        fetcher.fetch_from(Source(places=places), "file", target, limit=LIMIT)
    assert len(server.asked) == ALL_ATTEMPTS


def test_a_place_may_be_a_directory(
    files: Path, target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    source = Source(places=(server.url, files))
    server.on("/file", status(404))
    assert fetcher.fetch_from(source, "file", target, limit=LIMIT) == WHOLE


def test_a_href_cannot_leave_its_places(target: Path, server: Upstream, fetcher: Fetcher) -> None:
    with pytest.raises(TrustError, match=r"the href '\.\./file' leaves its repository"):
        fetcher.fetch_from(Source(places=(server.url,)), "../file", target, limit=LIMIT)
    assert server.asked == []


def test_a_host_gets_four_connections_at_most(
    tmp_path: Path, server: Upstream, fetcher: Fetcher
) -> None:
    running, most, lock = [0], [0], threading.Lock()

    def counting(request: object) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        good(request)  # type: ignore[arg-type]

    server.on("*", counting)
    threads = [
        threading.Thread(target=from_source, args=(fetcher, tmp_path / "here" / str(n), server))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [4]
    assert len(left_in(tmp_path / "here")) == 12


# What a metalink vouches for


def promised(*bodies: bytes) -> tuple[Promise, ...]:
    return tuple(Promise(sha256=sha256_bytes(b), size=len(b)) for b in bodies)


def expecting(fetcher: Fetcher, target: Path, *servers: Upstream, bodies: list[bytes]) -> Fetched:
    options: dict[str, object] = {"sha256": None, "size": None, "expected": promised(*bodies)}
    return from_source(fetcher, target, *servers, **options)


def test_a_place_that_lags_behind_is_passed_over(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/file", body(b"older"))
    assert expecting(fetcher, target, server, other, bodies=[BODY, b"older"]) == WHOLE
    assert target.read_bytes() == BODY
    assert left_in(target.parent) == ["target"]
    # And for the next file it comes last.
    from_source(fetcher, target, server, other)
    assert len(server.asked) == 1


def test_when_all_lag_behind_the_newest_counts(
    tmp_path: Path, target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/file", body(b"oldest"))
    other.on("/file", body(b"older"))
    with serving(tmp_path) as third:
        third.on("/file", body(b"oldest"))
        bodies = [BODY, b"older", b"oldest"]
        found = expecting(fetcher, target, server, other, third, bodies=bodies)
    assert (found.size, target.read_bytes()) == (5, b"older")
    assert left_in(target.parent) == ["target"]


def test_what_nobody_vouches_for_is_refused(
    target: Path, server: Upstream, other: Upstream, fetcher: Fetcher
) -> None:
    server.on("/file", body(b"forged"))
    assert expecting(fetcher, target, server, other, bodies=[BODY]) == WHOLE
    other.on("/file", body(b"forged"))
    with pytest.raises(TrustError) as caught:
        expecting(fetcher, target, server, other, bodies=[BODY, b"older"])
    assert f"sha256 is {sha256_bytes(b'forged')}, expected {SHA256} as its metalink says" in str(
        caught.value
    )
    assert str(caught.value).startswith("file: none of 2 places has it: ")
    assert left_in(target.parent) == ["target"]


def test_a_place_that_changed_in_between(
    tmp_path: Path, target: Path, server: Upstream, fetcher: Fetcher
) -> None:
    """The rest of another file is no rest: the whole of it is not the promised one."""
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "file").write_bytes(BODY[::-1])
    server.on("/file", truncated(100_000), times=1)
    server.on("/file", becomes(newer))
    with pytest.raises(TrustError, match=rf"/file: sha256 is \w+, expected {SHA256}"):
        from_source(fetcher, target, server)
    assert [headers.get("range") for _, headers in server.asked] == [None, "bytes=100000-", None]
