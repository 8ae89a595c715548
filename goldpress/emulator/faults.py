"""Owns failures on demand: what a cloud answers on a bad day, asked for over HTTP.

    POST /_goldpress/faults   [{"service": "ec2", "action": "RunInstances", "status": 500,
                                "code": "InsufficientInstanceCapacity", "times": 2}]

Each fault answers the next `times` requests (0: all) that it meets, or the share `rate` of them.
It meets by `method`, a part of the `path`, `service` and `action`; what is empty meets all.
`way` is "instead" of the request, "after" it (it is carried out, only its answer is lost), "cut"
(the answer ends in its middle), "drop" (the connection ends without an answer) or "slow" (carried
out after `seconds`). The list replaces the one before. GET tells how often each was used.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from goldpress.emulator.asked import Asked, asked, error_answer

PATH = "/_goldpress/faults"
OWN = "/_goldpress/"
WAYS = ("instead", "after", "cut", "drop", "slow")


@dataclass(kw_only=True)
class Fault:
    """One kind of failure, and how often it is still to come."""

    method: str = ""
    path: str = ""
    service: str = ""
    action: str = ""
    status: int = 500
    code: str = "InternalError"
    message: str = ""
    times: int = 1
    rate: float = 1.0
    way: str = "instead"
    seconds: float = 0.0
    used: int = 0

    def meets(self, environ: WSGIEnvironment, request: Asked) -> bool:
        """Whether this request may fail by it."""
        return (
            (not self.times or self.used < self.times)
            and self.path in environ["PATH_INFO"]
            and self.method in {"", environ["REQUEST_METHOD"]}
            and self.service in {"", request.service}
            and self.action in {"", request.action}
        )


@dataclass(kw_only=True)
class Faults:
    """An application that fails on demand, and else does what `application` does."""

    application: WSGIApplication
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - tests

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == PATH:
            return self._control(environ, start)
        request = asked(environ)
        fault = self._chosen(environ, request)
        if fault is None:
            return self.application(environ, start)
        if fault.way == "slow":
            time.sleep(fault.seconds)
            return self.application(environ, start)
        if fault.way == "cut":
            return self._cut(environ, start)
        if fault.way == "after":
            list(self.application(environ, _unheard))
        else:
            # What the client sends is read; unread, it would be taken for its next request.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if fault.way == "drop":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("dropped on demand")
        message = fault.message or f"{fault.code} on demand"
        headers, body = error_answer(request.service, fault.code, message)
        headers.append(("Content-Length", str(len(body))))
        start(f"{fault.status} {HTTPStatus(fault.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _chosen(self, environ: WSGIEnvironment, request: Asked) -> Fault | None:
        if environ["PATH_INFO"].startswith(OWN):
            return None
        with self.lock:
            for fault in self.faults:
                if fault.meets(environ, request) and self.chance.random() < fault.rate:
                    fault.used += 1
                    return fault
        return None

    def _cut(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """The answer's whole length, half of its bytes, and the end of the connection."""

        def closing(
            status: str, headers: list[tuple[str, str]], *_: object
        ) -> Callable[[bytes], object]:
            return start(status, [*headers, ("Connection", "close")])

        body = b"".join(self.application(environ, closing))
        return [body[: len(body) // 2]]

    def _control(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status = "200 OK"
        answer: Any
        with self.lock:
            try:
                if environ["REQUEST_METHOD"] == "POST":
                    data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                    self.faults = [_parsed(row) for row in json.loads(data)]
                    self.chance.seed(0)
                answer = [vars(fault) for fault in self.faults]
            except (ValueError, TypeError) as error:
                status, answer = "400 Bad Request", {"error": str(error)}
        body = json.dumps(answer).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _parsed(row: dict[str, Any]) -> Fault:
    fault = Fault(**row)
    if fault.way not in WAYS:
        raise ValueError(f"way {fault.way!r} is none of {WAYS}")
    return fault


def _unheard(*_: object) -> Callable[[bytes], object]:
    return lambda _: None
