"""Owns a small server that plays GitHub's API, and fails on demand; see `answers`.

Beside that API, below `/_rehearsal/`, is what people do in a browser; see `desk`.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from goldpress.github.api import API_VERSION
from goldpress.rehearsal import desk
from goldpress.rehearsal.answers import GitHubServer
from goldpress.rehearsal.asked import Asked, Fault, Refused
from goldpress.rehearsal.site import Hub

#: Nobody else's machine may ask.
ADDRESS = "127.0.0.1"
#: As a process of its own: its repository, where it is and which process it is, what it prints.
BARE, SITE, LOG = "images.git", "site.json", "site.log"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    github: GitHubServer

    def log_message(self, *_: object) -> None:
        """Nothing: tests look at `asked`."""

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size) or b"{}")
        parts = urlsplit(self.path)
        if parts.path.startswith(desk.PREFIX):
            self._act(parts.path.removeprefix(desk.PREFIX), body)
            return
        path = parts.path.removeprefix(f"/repos/{self.github.hub.name}").removeprefix("/")
        query = dict(parse_qsl(parts.query))
        asked = Asked(method=self.command, path=path, query=query, body=body, by="")
        self.github.asked.append(asked)
        fault = next((f for f in self.github.faults if f.meets(self.command, path)), None)
        if fault is not None:
            fault.used += 1
        if fault is None or fault.way == "after":
            try:
                answer = self._answer(asked)
            except Refused as refused:
                self._send(refused.status, refused.body)
                return
        if fault is not None:
            self._fail(fault)
            return
        headers: dict[str, str] = {}
        if isinstance(answer, list):
            answer, headers = self._page(answer, parts.path, query)
        self._send(201 if self.command == "POST" else 200, answer, headers)

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - http.server's names

    def _act(self, name: str, body: Any) -> None:
        try:
            with self.github.hub.lock:
                answer = desk.act(self.github.hub, self.command, name, body)
        except Refused as refused:
            self._send(refused.status, refused.body)
            return
        self._send(200, answer)

    def _answer(self, asked: Asked) -> Any:
        if self.headers["X-GitHub-Api-Version"] != API_VERSION:
            raise Refused(400, "That is not a supported version of GitHub's API")
        asked.by = self.github.caller(self.headers.get("Authorization", ""), asked.path)
        with self.github.hub.lock:
            return self.github.answer(asked)

    def _page(
        self, rows: list[Any], path: str, query: dict[str, str]
    ) -> tuple[list[Any], dict[str, str]]:
        size = min(int(query.get("per_page", 30)), self.github.page)
        number = int(query.get("page", 1))
        rest = rows[number * size :]
        following = urlencode({**query, "page": number + 1})
        link = {"Link": f'<{self.github.url}{path}?{following}>; rel="next"'} if rest else {}
        return rows[(number - 1) * size : number * size], link

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(fault.status, fault.body, fault.headers)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def listening(hub: Hub) -> tuple[GitHubServer, ThreadingHTTPServer]:
    """The server of a hub, at a free port of this machine's loopback; nothing is served yet."""
    server = GitHubServer(hub=hub)
    http = ThreadingHTTPServer((ADDRESS, 0), type("Bound", (Handler,), {"github": server}))
    http.daemon_threads = True
    server.url = f"http://{ADDRESS}:{http.server_port}"
    return server, http


@contextmanager
def serving(hub: Hub) -> Iterator[GitHubServer]:
    """The server of a hub, until the end of the block."""
    server, http = listening(hub)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
