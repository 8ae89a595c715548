"""Owns the metadata service of a local machine: IMDSv2 on stdin and stdout.

QEMU's user network starts this file once for each connection that the guest opens to
169.254.169.254:80. It is run by its path under ``python -I -S`` and imports only small parts of
the standard library, because its start is part of every request. It reads the machine's
``instance.json`` (see `goldpress.machine.instance`) anew each time, so values may change while
the machine runs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

MAX_HEAD_BYTES = 16 * 1024
MAX_TTL_SECONDS = 21600  # EC2's limit: six hours
IDLE_SECONDS = 60  # a guest that keeps a connection open without a word holds a process here
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
EXPIRY_BYTES = 8
NONCE_BYTES = 8

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
}


class Request(NamedTuple):
    """One request: method, path without query, headers with lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    keep_alive: bool


class Reply(NamedTuple):
    """One answer: status, body, and the headers beside the usual ones."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def new_token(secret: bytes, expires: int, nonce: bytes) -> str:
    """A token that any process with the same secret accepts until `expires` (unix seconds)."""
    head = expires.to_bytes(EXPIRY_BYTES, "big") + nonce
    tail = hmac.digest(secret, head, hashlib.sha256)
    return base64.urlsafe_b64encode(head + tail).decode().rstrip("=")


def token_is_valid(secret: bytes, token: str, now: float) -> bool:
    """True for a token made with this secret that has not expired."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return False
    head, tail = raw[: EXPIRY_BYTES + NONCE_BYTES], raw[EXPIRY_BYTES + NONCE_BYTES :]
    if not hmac.compare_digest(hmac.digest(secret, head, hashlib.sha256), tail):
        return False
    return now < int.from_bytes(head[:EXPIRY_BYTES], "big")


def lookup(tree: Mapping[str, Any], path: str) -> bytes | None:
    """The value at `path`, or a directory's listing as EC2 prints it; None when absent."""
    node: Any = tree
    names = [name for name in path.split("/") if name]
    for name in names:
        if not isinstance(node, dict) or name not in node:
            return None
        node = node[name]
    if isinstance(node, str):
        return None if path.endswith("/") else node.encode()
    if names[-1:] == ["public-keys"]:
        # EC2 lists keys as `0=name`, unlike every other directory.
        return "\n".join(f"{index}={key['name']}" for index, key in sorted(node.items())).encode()
    hidden = {"name"} if names[-2:-1] == ["public-keys"] else set()
    rows = [
        name + ("/" if isinstance(value, dict) else "")
        for name, value in sorted(node.items())
        if name not in hidden
    ]
    return "\n".join(rows).encode()


def answer(request: Request, config: Mapping[str, Any], now: float) -> Reply:
    """What EC2's metadata service, in the mode that requires tokens, says to `request`."""
    secret = bytes.fromhex(config["secret"])
    if request.path == "/latest/api/token":
        return grant(request, secret, now)
    if request.method not in {"GET", "HEAD"}:
        return Reply(405)
    token = request.headers.get(TOKEN_HEADER)
    if token is None or not token_is_valid(secret, token, now):
        return Reply(401)
    if request.path.rstrip("/") == "/latest/user-data":
        data = config["user_data"]
        return Reply(404) if data is None else Reply(200, base64.b64decode(data))
    body = lookup(config["tree"], request.path)
    return Reply(404) if body is None else Reply(200, body)


def grant(request: Request, secret: bytes, now: float) -> Reply:
    """Give a token, as EC2 does: by PUT only, and never through a proxy."""
    if request.method != "PUT":
        return Reply(405)
    if "x-forwarded-for" in request.headers:
        return Reply(403)
    text = request.headers.get(TTL_HEADER, "")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_TTL_SECONDS:
        return Reply(400)
    token = new_token(secret, int(now) + int(text), os.urandom(NONCE_BYTES))
    return Reply(200, token.encode(), ((TTL_HEADER, text),))


def read_request(stream: BinaryIO) -> Request | None:
    """The next request, or None at the end of the connection. Raises ValueError on nonsense."""
    rows: list[str] = []
    size = 0
    while True:
        line = stream.readline(MAX_HEAD_BYTES)
        size += len(line)
        if size > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too long")
        if not line:
            return None
        text = line.rstrip(b"\r\n").decode("latin-1")
        if text:
            rows.append(text)
        elif rows:
            break
    method, target, version = rows[0].split(" ")
    headers: dict[str, str] = {}
    for row in rows[1:]:
        name, colon, value = row.partition(":")
        if not colon:
            raise ValueError("a header without a colon")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= MAX_HEAD_BYTES:
        raise ValueError("the body of the request is too long")
    stream.read(length)
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, target.partition("?")[0], headers, keep_alive)


def encode(reply: Reply, *, head_only: bool, keep_alive: bool) -> bytes:
    """The bytes of an answer."""
    rows = [
        f"HTTP/1.1 {reply.status} {REASONS[reply.status]}",
        "Server: EC2ws",
        "Content-Type: text/plain",
        f"Content-Length: {len(reply.body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in reply.headers),
    ]
    head = "\r\n".join(rows).encode("latin-1") + b"\r\n\r\n"
    return head if head_only else head + reply.body


def serve(
    config_path: Path,
    source: BinaryIO,
    sink: BinaryIO,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Answer the requests of one connection until it ends."""
    while True:
        signal.alarm(IDLE_SECONDS)
        try:
            request = read_request(source)
        except ValueError:
            sink.write(encode(Reply(400), head_only=False, keep_alive=False))
            sink.flush()
            return
        if request is None:
            return
        config = json.loads(config_path.read_bytes())
        reply = answer(request, config, clock())
        sink.write(encode(reply, head_only=request.method == "HEAD", keep_alive=request.keep_alive))
        sink.flush()
        if not request.keep_alive:
            return


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
