"""Owns the hostile upstream: a web server on this machine that serves files, badly when told to."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from goldpress.digest import sha256_file
from goldpress.host.run import run

#: No answer of it lasts longer, whatever it was told.
LONGEST_SECONDS = 20.0
PORTAL = b"<!DOCTYPE html><html><body>Please log in to the network</body></html>"


@dataclass(kw_only=True)
class Request:
    """One request, and how to answer it."""

    upstream: Upstream
    handler: BaseHTTPRequestHandler
    path: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {key.lower(): value for key, value in self.handler.headers.items()}

    @property
    def file(self) -> Path:
        return self.upstream.root / unquote(urlsplit(self.path).path).lstrip("/")

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.handler.send_response(status)
        for key, value in headers.items():
            self.handler.send_header(key, value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.head(status, {"Content-Length": str(len(body)), **named})
        self.send(body)

    def end(self) -> None:
        """Break the connection off."""
        self.handler.close_connection = True
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)


Behaviour = Callable[[Request], None]


@dataclass(kw_only=True)
class Rule:
    """Paths that match `pattern` are answered by `behaviour`, `times` times (None: always)."""

    pattern: str
    behaviour: Behaviour
    times: int | None = None


@dataclass(kw_only=True)
class Upstream:
    """A running server of the files below `root`; the first rule that matches answers."""

    root: Path
    url: str = ""
    port: int = 0
    rules: list[Rule] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, pattern: str, behaviour: Behaviour, *, times: int | None = None) -> None:
        self.rules.append(Rule(pattern=pattern, behaviour=behaviour, times=times))

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def chosen(self, path: str) -> Behaviour:
        with self.lock:
            for rule in self.rules:
                if fnmatch.fnmatch(path, rule.pattern) and rule.times != 0:
                    if rule.times is not None:
                        rule.times -= 1
                    return rule.behaviour
        return good


@contextmanager
def serving(root: Path, certificate: Path | None = None) -> Iterator[Upstream]:
    """Serve `root` over http, or over https with a file that holds certificate and key."""
    upstream = Upstream(root=root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = LONGEST_SECONDS

        def do_GET(self) -> None:
            request = Request(upstream=upstream, handler=self, path=self.path)
            with upstream.lock:
                upstream.asked.append((self.path, request.headers))
            try:
                upstream.chosen(self.path)(request)
            except OSError:
                # The other side had enough.
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that leaves is no error of a test."""

    web = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        web.socket = context.wrap_socket(
            web.socket, server_side=True, do_handshake_on_connect=False
        )
        scheme = "https"
    upstream.port = web.server_address[1]
    upstream.url = f"{scheme}://127.0.0.1:{upstream.port}/"
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield upstream
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def make_certificate(directory: Path, name: str = "127.0.0.1") -> Path:
    """A file with a key and a certificate for `name`, signed by itself."""
    path = directory / "certificate.pem"
    directory.mkdir(parents=True, exist_ok=True)
    kind = "IP" if name[0].isdigit() else "DNS"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}"]
    out = ["-keyout", str(directory / "key"), "-out", str(directory / "certificate")]
    run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *out],
        timeout=60,
    )
    path.write_bytes((directory / "key").read_bytes() + (directory / "certificate").read_bytes())
    return path


def good(request: Request) -> None:
    """The file, or the part of it that was asked for."""
    if not request.file.is_file():
        request.answer(404)
        return
    data = request.file.read_bytes()
    match = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", ""))
    if match is None:
        request.answer(200, data)
        return
    start = int(match[1])
    if start >= len(data):
        request.answer(416, Content_Range=f"bytes */{len(data)}")
    else:
        where = f"bytes {start}-{len(data) - 1}/{len(data)}"
        request.answer(206, data[start:], Content_Range=where)


def status(code: int, **headers: str) -> Behaviour:
    return lambda request: request.answer(code, b"", **headers)


def body(data: bytes, **headers: str) -> Behaviour:
    """Other bytes, whatever was asked for."""
    return lambda request: request.answer(200, data, **headers)


def portal(request: Request) -> None:
    """The page of a network that wants a login first."""
    request.answer(200, PORTAL, Content_Type="text/html")


def wrong(request: Request) -> None:
    """The file with a byte changed."""
    data = bytearray(request.file.read_bytes())
    data[len(data) // 2] ^= 1
    request.answer(200, bytes(data))


def truncated(sent: int, *, told: bool = True) -> Behaviour:
    """So many bytes of what was asked for, then nothing; `told`: with the length of all of it."""

    def answer(request: Request) -> None:
        data = request.file.read_bytes()
        match = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", ""))
        start = int(match[1]) if match else 0
        headers = {"Content-Length": str(len(data) - start)} if told else {"Connection": "close"}
        if match:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        request.head(206 if match else 200, headers)
        request.send(data[start : start + sent])
        request.end()

    return answer


def dripping(
    seconds: float = 0.02, *, in_headers: bool = False, chunked: bool = False
) -> Behaviour:
    """A byte now and then, so that no read ever waits for long."""

    def answer(request: Request) -> None:
        data = request.file.read_bytes()
        if in_headers:
            request.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            data = b"a" * len(data)
        elif chunked:
            # The length of a chunk, which may have many zeros in front.
            request.head(200, {"Transfer-Encoding": "chunked"})
            data = b"0" * len(data)
        else:
            request.head(200, {"Content-Length": str(len(data))})
        end = time.monotonic() + LONGEST_SECONDS
        for byte in data:
            if time.monotonic() > end:
                break
            request.send(bytes([byte]))
            time.sleep(seconds)
        request.end()

    return answer


def redirect(target: str, code: int = 302) -> Behaviour:
    return lambda request: request.answer(code, Location=target)


def elsewhere(base: str, code: int = 302) -> Behaviour:
    """A redirect to the same path at another place."""
    return lambda request: request.answer(code, Location=f"{base.rstrip('/')}{request.path}")


def no_range(request: Request) -> None:
    """A server that does not know of ranges."""
    request.answer(200, request.file.read_bytes())


def other_range(request: Request) -> None:
    """A server that gives another part than the one asked for."""
    data = request.file.read_bytes()
    request.answer(206, data, Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")


def becomes(other: Path, then: Behaviour = good) -> Behaviour:
    """From this request on, the server has the files of `other`."""

    def answer(request: Request) -> None:
        request.upstream.root = other
        then(request)

    return answer


def copied(root: Path, target: Path) -> Path:
    """A copy to change."""
    return shutil.copytree(root, target)


def metalink(
    repomds: list[Path], places: list[str], *, preferences: list[int] | None = None
) -> str:
    """A metalink for repomd.xml: the first of `repomds` is current, others are its alternates."""
    ranks = preferences or list(range(100, 100 - len(places), -1))

    def promise(path: Path, time_: int) -> str:
        return (
            f"<mm0:timestamp>{time_}</mm0:timestamp><size>{path.stat().st_size}</size>"
            '<verification><hash type="md5">0</hash>'
            f'<hash type="sha256">{sha256_file(path)}</hash></verification>'
        )

    older = "".join(
        f"<mm0:alternate>{promise(path, 1000 - n)}</mm0:alternate>"
        for n, path in enumerate(repomds[1:])
    )
    urls = "".join(
        f'<url protocol="{place.split(":")[0]}" preference="{rank}">'
        f"{place.rstrip('/')}/repodata/repomd.xml</url>"
        for place, rank in zip(places, ranks, strict=True)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" '
        'xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml">'
        f"{promise(repomds[0], 1000)}<mm0:alternates>{older}</mm0:alternates>"
        f'<resources maxconnections="1">{urls}</resources></file></files></metalink>'
    )
