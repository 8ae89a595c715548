from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from upstream import Upstream, make_certificate, serving

from goldpress.errors import MissingError
from goldpress.mirror.transfer.fetch import Fetcher
from goldpress.mirror.transfer.web import Web, authorities, proxy_of, without_login

BODY = b"a file"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    root = tmp_path / "upstream"
    root.mkdir()
    (root / "file").write_bytes(BODY)
    return root


@dataclass(kw_only=True)
class Proxy:
    """A proxy that leads every request to one server, and remembers what it was asked."""

    port: int = 0
    upstream: int = 0
    refuses: bytes = b""
    asked: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client: socket.socket) -> None:
        with client:
            client.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(4096)):
                    return
                head += more
            self.asked.append(head)
            if self.refuses:
                client.sendall(self.refuses)
                return
            with socket.create_connection(("127.0.0.1", self.upstream), timeout=10) as server:
                if head.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    back = threading.Thread(target=pump, args=(server, client), daemon=True)
                    back.start()
                    pump(client, server)
                    back.join(10)
                else:
                    server.sendall(head.replace(b"Connection: keep-alive", b"Connection: close"))
                    pump(server, client)


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = Proxy(port=listener.getsockname()[1])
        thread = threading.Thread(target=state.serve, args=(listener,), daemon=True)
        thread.start()
        yield state
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def brought(url: str, target: Path, environment: dict[str, str]) -> bytes:
    fetcher = Fetcher(web=Web(environment=environment), sleep=lambda _: None)
    try:
        fetcher.fetch(url, target, limit=1000)
    finally:
        fetcher.close()
    return target.read_bytes()


def test_a_plain_file_comes_through_the_proxy(tmp_path: Path, files: Path, proxy: Proxy) -> None:
    environment = {"http_proxy": f"http://me:p%40ss@127.0.0.1:{proxy.port}"}
    with serving(files) as upstream:
        proxy.upstream = upstream.port
        assert brought("http://mirror.invalid/file", tmp_path / "t", environment) == BODY
    (head,) = proxy.asked
    assert head.startswith(b"GET http://mirror.invalid/file HTTP/1.1\r\n")
    assert b"proxy-authorization: basic bwu6cebzcw==" in head.lower()


def test_a_secure_file_comes_through_a_tunnel(tmp_path: Path, files: Path, proxy: Proxy) -> None:
    certificate = make_certificate(tmp_path / "tls", name="mirror.invalid")
    environment = {
        "HTTPS_PROXY": f"127.0.0.1:{proxy.port}",
        "REQUESTS_CA_BUNDLE": str(certificate),
    }
    with serving(files, certificate) as upstream:
        proxy.upstream = upstream.port
        assert brought("https://mirror.invalid/file", tmp_path / "t", environment) == BODY
    (head,) = proxy.asked
    assert head.startswith(b"CONNECT mirror.invalid:443 HTTP/1.")


def test_what_the_proxy_says_is_said_without_its_login(tmp_path: Path, proxy: Proxy) -> None:
    proxy.refuses = b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"
    environment = {"https_proxy": f"http://me:secret@127.0.0.1:{proxy.port}"}
    with pytest.raises(MissingError) as caught:
        brought("https://mirror.invalid/file", tmp_path / "t", environment)
    assert caught.value.message.startswith("https://mirror.invalid/file: the proxy: ")
    assert "407" in caught.value.message
    assert "secret" not in str(caught.value)
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    environment = {"https_proxy": "http://me:secret@127.0.0.1:1"}
    with pytest.raises(MissingError) as caught:
        brought("https://mirror.invalid/file", tmp_path / "t", environment)
    assert caught.value.message == (
        "https://mirror.invalid/file: the proxy: no connection: Connection refused"
    )


def test_this_machine_is_never_asked_through_one(tmp_path: Path, files: Path) -> None:
    environment = {"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}
    upstream: Upstream
    with serving(files) as upstream:
        assert brought(f"{upstream.url}file", tmp_path / "t", environment) == BODY


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://a.org/x", {}, ""),
        ("https://a.org/x", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.org/x", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://a.org/x", {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q"}, "http://p:1"),
        ("https://a.org/x", {"http_proxy": "http://p:1"}, ""),
        ("https://a.org/x", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.org/x", {"http_proxy": "http://p:1"}, "http://p:1"),
    ],
)
def test_which_proxy_is_asked(url: str, environment: dict[str, str], expected: str) -> None:
    assert proxy_of(url, environment) == expected


@pytest.mark.parametrize(
    ("url", "rules", "excepted"),
    [
        ("https://a.org/x", "a.org", True),
        ("https://a.org/x", ".org", True),
        ("https://a.org/x", "*.org", True),
        ("https://a.org/x", "x.org, A.ORG", True),
        ("https://a.org/x", "*", True),
        ("https://ba.org/x", "a.org", False),
        ("https://a.org:8443/x", "a.org:8443", True),
        ("https://a.org/x", "a.org:8443", False),
        ("http://10.1.2.3/x", "10.0.0.0/8", True),
        ("http://11.1.2.3/x", "10.0.0.0/8", False),
        ("http://10.1.2.3/x", "10.1.2.3", True),
        ("http://[fd00::1]/x", "fd00::/8", True),
        ("https://a.org/x", "", False),
        ("https://a.org/x", " , ", False),
    ],
)
def test_who_is_not_asked_through_a_proxy(url: str, rules: str, *, excepted: bool) -> None:
    environment = {"ALL_PROXY": "http://p:1", "NO_PROXY": rules}
    assert proxy_of(url, environment) == ("" if excepted else "http://p:1")


def test_other_proxies_are_not_for_us() -> None:
    with pytest.raises(MissingError) as caught:
        proxy_of("https://a.org/", {"all_proxy": "socks5://me:secret@p:1"})
    assert str(caught.value) == "ALL_PROXY: only http and https proxies can be used, not socks5"


def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    environment = {"SSL_CERT_FILE": str(tmp_path / "none")}
    with pytest.raises(MissingError) as caught:
        brought("https://a.invalid/x", tmp_path / "t", environment)
    assert str(caught.value).startswith(f"SSL_CERT_FILE names {tmp_path}/none, which is not there")
    both = {"REQUESTS_CA_BUNDLE": str(tmp_path), "SSL_CERT_FILE": "/none"}
    assert authorities(both) == str(tmp_path)
    assert authorities({}) == ""


def test_a_login_is_taken_out_of_an_address() -> None:
    assert without_login("https://me:p%40ss@a.org:1/x?y") == ("https://a.org:1/x?y", "me:p@ss")
    assert without_login("https://a.org/x@y") == ("https://a.org/x@y", "")
