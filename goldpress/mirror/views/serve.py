"""Owns serving a store to dnf: its pool and its views, over HTTP, read-only.

Whatever has a static file server can do the same; this one is for a laptop and for tests.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, ClassVar

from goldpress.errors import GoldpressError, MissingError
from goldpress.store import Store

#: A client that says nothing for this long is gone.
IDLE_SECONDS = 30
#: How long the end of serving waits for the server's own thread.
_END_SECONDS = 10

#: Nothing is decoded: an address that needs that is none of ours.
_PACKAGE = re.compile(r"/pool/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})\.rpm")
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_VIEW = re.compile(rf"/(views/[0-9a-f]{{64}}/{_PART}/{_PART}(?:/{_PART})?)")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_BY_DIGEST = re.compile(r"[0-9a-f]{64}[.-]")
_TYPES = {".rpm": "application/x-rpm", ".xml": "text/xml", ".asc": "text/plain"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a file: its first byte and how many; `whole` when all of it was asked for."""

    start: int
    length: int
    whole: bool


def asked_span(header: str | None, size: int) -> Span | None:
    """What a Range header asks for of a file of `size` bytes; None when it has no such part.

    A header that is none, or asks for several parts, asks for the whole file (RFC 9110).
    """
    whole = Span(start=0, length=size, whole=True)
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return whole
    if match[1] == "":
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2] or size) + 1, size)
        if match[2] and int(match[2]) < start:
            return whole
    return Span(start=start, length=end - start, whole=False) if start < end else None


def served_file(store: Store, path: str) -> Path | None:
    """The file that an address stands for; None for one that is not served.

    Raises GoldpressError when the shared store fails, or has other bytes.
    """
    package = _PACKAGE.fullmatch(path)
    if package:
        try:
            return store.package(package[2])
        except MissingError:
            return None
    view = _VIEW.fullmatch(path)
    file = store.root / view[1] if view else None
    return file if file is not None and file.is_file() and not file.is_symlink() else None


@contextmanager
def serving(store: Store, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve the store and give the URL of it; the system chooses port 0. Ends with the context.

    Raises OSError when the address cannot be listened at.
    """

    class Handler(_Handler):
        served: ClassVar[Store] = store

    with ThreadingHTTPServer((address, port), Handler) as server:
        # A download that nobody ends would keep the server for ever.
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        host, bound = server.server_address[:2]
        try:
            yield f"http://{host if isinstance(host, str) else host.decode()}:{bound}"
        finally:
            server.shutdown()
            thread.join(_END_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; any other method is refused by the base class."""

    served: ClassVar[Store]
    protocol_version = "HTTP/1.1"
    server_version = "goldpress"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Send a file, or a part of it."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send what GET would, without the file."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: people read what the task prints."""

    def _answer(self, *, body: bool) -> None:
        try:
            path = served_file(self.served, self.path)
        except (GoldpressError, OSError):
            self._refuse(HTTPStatus.BAD_GATEWAY)
            return
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            with path.open("rb") as stream:
                self._send(path, stream, body=body)
        except FileNotFoundError:
            self._refuse(HTTPStatus.NOT_FOUND)
        except (ConnectionError, TimeoutError):
            # The client went away.
            self.close_connection = True

    def _send(self, path: Path, stream: BinaryIO, *, body: bool) -> None:
        size = stream.seek(0, 2)
        tag = f'"{path.stem[:64]}-{size}-{path.stat().st_mtime_ns}"'
        condition = self.headers.get("If-Range")
        header = self.headers.get("Range") if condition in (None, tag) else None
        span = asked_span(header, size)
        if span is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{size}")
            return
        self.send_response(HTTPStatus.OK if span.whole else HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(span.length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        # What has its digest in its name never changes.
        fixed = _BY_DIGEST.match(path.name)
        self.send_header("Cache-Control", "max-age=31536000, immutable" if fixed else "no-cache")
        if not span.whole:
            last = span.start + span.length - 1
            self.send_header("Content-Range", f"bytes {span.start}-{last}/{size}")
        self.end_headers()
        if body and span.length:
            self.connection.sendfile(stream, span.start, span.length)

    def _refuse(self, status: HTTPStatus, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
