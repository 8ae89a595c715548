"""Owns failures on demand: what a cloud answers on a bad day, asked for over HTTP.

    POST /_goldpress/faults   [{"method": "PUT", "path": "ledger/", "status": 503,
                                "code": "SlowDown", "times": 2, "way": "instead"}]

Each fault answers the next `times` requests of this method whose path contains `path`. `way` is
"instead" of the request, "after" it (it is carried out, only its answer is lost), or "cut" (the
answer ends in its middle). The list replaces the one before. GET tells how often each was used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/_goldpress/faults"
BODY = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code} on demand</Message></Error>'


@dataclass(kw_only=True)
class Fault:
    """One kind of failure, and how often it is still to come."""

    method: str
    path: str
    status: int = 500
    code: str = "InternalError"
    times: int = 1
    way: str = "instead"
    used: int = 0

    def meets(self, environ: WSGIEnvironment) -> bool:
        """Whether this request is to fail."""
        there = self.path in environ["PATH_INFO"]
        return self.used < self.times and environ["REQUEST_METHOD"] == self.method and there


@dataclass(kw_only=True)
class Faults:
    """An application that fails on demand, and else does what `application` does."""

    application: WSGIApplication
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == PATH:
            return self._control(environ, start)
        with self.lock:
            fault = next((f for f in self.faults if f.meets(environ)), None)
            if fault is not None:
                fault.used += 1
        if fault is None:
            return self.application(environ, start)
        if fault.way == "cut":
            return self._cut(environ, start)
        if fault.way == "after":
            list(self.application(environ, _unheard))
        else:
            # What the client sends is read; unread, it would be taken for its next request.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = BODY.format(code=fault.code).encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start(f"{fault.status} {HTTPStatus(fault.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _cut(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """The answer's whole length, half of its bytes, and the end of the connection."""

        def closing(
            status: str, headers: list[tuple[str, str]], *_: object
        ) -> Callable[[bytes], object]:
            return start(status, [*headers, ("Connection", "close")])

        body = b"".join(self.application(environ, closing))
        return [body[: len(body) // 2]]

    def _control(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        with self.lock:
            if environ["REQUEST_METHOD"] == "POST":
                data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                self.faults = [Fault(**row) for row in json.loads(data)]
            answer: list[dict[str, Any]] = [vars(fault) for fault in self.faults]
        body = json.dumps(answer).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _unheard(*_: object) -> Callable[[bytes], object]:
    return lambda _: None
