from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from stores import Place, kept

from goldpress.mirror.views.serve import Span, asked_span, served_file, serving
from goldpress.store import Store

DATA = bytes(range(256)) * 40
VIEW = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(root=tmp_path / "store")
    repodata = store.root / "views" / VIEW / "base" / "repodata"
    repodata.mkdir(parents=True)
    (repodata / "repomd.xml").write_text("<repomd/>")
    (repodata / f"{'b' * 64}-primary.xml.gz").write_bytes(DATA)
    (repodata / ".hidden").write_text("secret")
    (repodata / "link").symlink_to("/etc/passwd")
    keys = store.root / "views" / VIEW / "keys"
    keys.mkdir()
    (keys / "ABC.asc").write_text("key")
    (store.root / "ledger").mkdir()
    (store.root / "ledger" / "snapshot.json").write_text("{}")
    return store


@pytest.fixture
def connection(store: Store) -> Iterator[http.client.HTTPConnection]:
    with serving(store) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        yield connection
        connection.close()


Answer = tuple[int, dict[str, str], bytes]


def ask(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> Answer:
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_the_pool_is_served(store: Store, connection: http.client.HTTPConnection) -> None:
    sha256 = kept(store, DATA)
    path = f"/pool/sha256/{sha256[:2]}/{sha256}.rpm"
    status, headers, body = ask(connection, path)
    assert (status, body) == (200, DATA)
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["Content-Type"] == "application/x-rpm"
    assert headers["Cache-Control"] == "max-age=31536000, immutable"
    # The same connection goes on.
    status, headers, body = ask(connection, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(DATA)), b"")


def test_views_are_served(connection: http.client.HTTPConnection) -> None:
    base = f"/views/{VIEW}"
    status, headers, body = ask(connection, f"{base}/base/repodata/repomd.xml")
    assert (status, body) == (200, b"<repomd/>")
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/xml", "no-cache")
    status, headers, body = ask(connection, f"{base}/base/repodata/{'b' * 64}-primary.xml.gz")
    assert (status, body) == (200, DATA)
    assert headers["Cache-Control"] == "max-age=31536000, immutable"
    assert ask(connection, f"{base}/keys/ABC.asc")[2] == b"key"


def test_a_part_is_served(store: Store, connection: http.client.HTTPConnection) -> None:
    sha256 = kept(store, DATA)
    path = f"/pool/sha256/{sha256[:2]}/{sha256}.rpm"
    status, headers, body = ask(connection, path, Range="bytes=10-19")
    assert (status, headers["Content-Range"]) == (206, f"bytes 10-19/{len(DATA)}")
    assert body == DATA[10:20]
    status, headers, body = ask(connection, path, Range=f"bytes={len(DATA)}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(DATA)}", b"")
    tag = ask(connection, path, "HEAD")[1]["ETag"]
    assert ask(connection, path, Range="bytes=-5", If_Range=tag)[::2] == (206, DATA[-5:])
    assert ask(connection, path, Range="bytes=-5", If_Range='"other"')[::2] == (200, DATA)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Span(start=0, length=100, whole=True)),
        ("bytes=0-", Span(start=0, length=100, whole=False)),
        ("bytes=10-19", Span(start=10, length=10, whole=False)),
        ("bytes=90-200", Span(start=90, length=10, whole=False)),
        ("bytes=-5", Span(start=95, length=5, whole=False)),
        ("bytes=-500", Span(start=0, length=100, whole=False)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=5-4", Span(start=0, length=100, whole=True)),
        ("bytes=-", Span(start=0, length=100, whole=True)),
        ("bytes=0-1,5-6", Span(start=0, length=100, whole=True)),
        ("lines=0-1", Span(start=0, length=100, whole=True)),
    ],
)
def test_what_a_range_asks_for(header: str | None, expected: Span | None) -> None:
    assert asked_span(header, 100) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ledger/snapshot.json",
        "/views/../ledger/snapshot.json",
        f"/views/{VIEW}/../../ledger/snapshot.json",
        f"/views/{VIEW}/%2e%2e/%2e%2e/ledger/snapshot.json",
        f"/views/{VIEW}/base/repodata/.hidden",
        f"/views/{VIEW}/base/repodata/link",
        f"/views/{VIEW}/base/repodata",
        f"/views/{VIEW}/base/repodata/repomd.xml?a",
        f"/views/{VIEW}/base/repodata/repomd.xml/",
        f"/views/{VIEW}/base/repodata/absent",
        f"/pool/sha256/aa/{'a' * 64}.rpm",
        f"/pool/sha256/ab/{'a' * 64}.rpm",
        f"/pool/sha256/aa/{'a' * 63}/.rpm",
    ],
)
def test_nothing_else_is_served(connection: http.client.HTTPConnection, path: str) -> None:
    status, _, body = ask(connection, path)
    assert (status, body) == (404, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(connection: http.client.HTTPConnection, method: str) -> None:
    path = f"/views/{VIEW}/base/repodata/repomd.xml"
    assert ask(connection, path, method)[0] == 501
    assert ask(connection, path)[::2] == (200, b"<repomd/>")


def test_a_package_that_only_the_shared_store_has_is_served(place: Place) -> None:
    sha256 = kept(place.store(), DATA)
    path = f"/pool/sha256/{sha256[:2]}/{sha256}.rpm"
    file = served_file(place.store(), path)
    assert file is not None
    assert file.read_bytes() == DATA


def test_an_address_in_use_is_an_error_of_the_system(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use"), serving(store, port=port):
            pass
