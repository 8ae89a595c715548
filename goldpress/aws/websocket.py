"""Owns a WebSocket as a pipe of bytes (RFC 6455): opened, written and read in binary messages."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from goldpress.errors import CloudError

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
SHORT, LONG = 126, 127
MAX_HEAD = 16 * 1024
MAX_MESSAGE = 1 << 20
CONNECT_SECONDS = 20.0


@dataclass(kw_only=True)
class WebSocket:
    """An open connection. One thread may read while others write."""

    stream: socket.socket
    rest: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, data: bytes, *, kind: int = BINARY) -> None:
        """Send one message. Raises OSError."""
        with self._lock:
            self.stream.sendall(frame(data, kind=kind, mask=os.urandom(4)))

    def receive(self) -> bytes:
        """The next bytes; empty at the end. Raises OSError, or CloudError for what is no frame."""
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length == SHORT:
                length = int.from_bytes(self._exactly(2), "big")
            elif length == LONG:
                length = int.from_bytes(self._exactly(8), "big")
            if second & MASKED or length > MAX_MESSAGE:
                raise CloudError("the tunnel's other end sends what is no frame of a WebSocket")
            data = self._exactly(length)
            kind = first & 0x0F
            if kind == PING:
                self.send(data, kind=PONG)
            elif kind == CLOSE:
                return b""
            elif kind in {CONTINUED, TEXT, BINARY} and data:
                return data

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):  # the other end may be faster
            self.send((1000).to_bytes(2, "big"), kind=CLOSE)
        self.stream.close()

    def _exactly(self, count: int) -> bytes:
        while len(self.rest) < count:
            data = self.stream.recv(65536)
            if not data:
                raise ConnectionError("the tunnel was closed")
            self.rest += data
        data, self.rest = self.rest[:count], self.rest[count:]
        return data


def open_websocket(url: str) -> WebSocket:
    """Connect to a ``wss://`` (or, on this machine, ``ws://``) URL. Raises CloudError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    where = f"the tunnel through {host}"
    try:
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        stream = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        if parts.scheme == "wss":
            stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall(request(f"{parts.path}?{parts.query}", host=parts.netloc, key=key))
        head, rest = _head(stream)
    except OSError as error:
        raise CloudError(
            f"{where} cannot be opened: {error}", hint="this machine has to reach it on port 443"
        ) from error
    status = head.split("\r\n")[0]
    if " 101 " not in status or f": {accepted(key)}" not in head:
        stream.close()
        raise CloudError(
            f"{where} was refused: {status}",
            hint="the role needs ec2-instance-connect:OpenTunnel, the instance's security group "
            "has to let the endpoint in on port 22",
        )
    stream.settimeout(None)
    return WebSocket(stream=stream, rest=rest)


def request(target: str, *, host: str, key: str) -> bytes:
    """The head of the opening request."""
    rows = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join(rows).encode() + b"\r\n\r\n"


def accepted(key: str) -> str:
    """What the other end has to answer to a key."""
    # SHA-1 is the protocol's; nothing is protected by it.
    digest = hashlib.sha1(f"{key}{GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def frame(data: bytes, *, kind: int, mask: bytes) -> bytes:
    """One whole message as a client sends it: masked."""
    head = bytes([FINAL | kind])
    if len(data) < SHORT:
        head += bytes([MASKED | len(data)])
    elif len(data) < 1 << 16:
        head += bytes([MASKED | SHORT]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([MASKED | LONG]) + len(data).to_bytes(8, "big")
    return head + mask + masked(data, mask)


def masked(data: bytes, mask: bytes) -> bytes:
    """`data` with `mask` over it, which is its own inverse."""
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")
    return number.to_bytes(len(data), "big")


def _head(stream: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(4096)
        if not more or len(data) > MAX_HEAD:
            raise ConnectionError("no answer of a WebSocket")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest
