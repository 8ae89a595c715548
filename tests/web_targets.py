"""Owns small web servers that stand for a load balancer's targets, each at an address of its own.

What one answers can be changed while it runs: `status`, `hang` (nothing for so many seconds),
`cut` (half an answer, then the end), and `/slow?0.5` takes its time.
"""

from __future__ import annotations

import contextlib
import http.server
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Web:
    """One server. `seen` are the paths that were asked, `hosts` the Host headers.

    `checks` are the Host and agent of health checks, `open` how many slow requests there are.
    """

    address: str
    port: int
    status: int = 200
    health: int = 200
    hang: float = 0.0
    cut: bool = False
    seen: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    checks: list[tuple[str, str]] = field(default_factory=list)
    open: int = 0
    server: _Server | None = None

    def end(self) -> None:
        """End as a machine without power does: nothing listens, and every connection is cut."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            for connection in list(self.server.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.server = None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


def _handler(web: Web) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two packets, and nobody waits for the first to be acknowledged.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            status = web.status
            if path == "/healthz":
                web.checks.append((self.headers["Host"], self.headers["User-Agent"]))
                status = web.health
            else:
                web.seen.append(path)
                web.hosts.add(self.headers["Host"])
            if web.hang:
                time.sleep(web.hang)
            if path == "/slow":
                web.open += 1
                time.sleep(float(query or "0.5"))
                web.open -= 1
            body = f"{web.address} {path}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if web.cut else body)
            self.close_connection = web.cut

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def webs(count: int) -> Iterator[list[Web]]:
    """So many servers, on one port each at 127.48.0.0/12; they end with the block."""
    made: list[Web] = []
    try:
        while len(made) < count:
            address = f"127.{48 + secrets.randbelow(16)}.{secrets.randbelow(256)}.{2 + len(made)}"
            web = Web(address=address, port=8000)
            web.server = _Server((address, web.port), _handler(web))
            threading.Thread(target=web.server.serve_forever, args=(0.05,), daemon=True).start()
            made.append(web)
        yield made
    finally:
        for web in made:
            web.end()
