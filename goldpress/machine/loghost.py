"""Owns the log host of local machines: it keeps the journal that a machine sends.

QEMU's user network starts this file once for each connection that the guest opens to `ADDRESS`,
port 80, so what it keeps is that very machine's. It is run by its path under ``python -I -S`` and
imports the standard library alone. It answers what systemd-journal-upload sends: POSTs to a path
that ends in /upload, in chunks, of entries in the Journal Export Format (systemd's "Journal Export
Formats"; systemd-journal-upload(8)). An entry is kept as soon as all of it is there: what a machine
sent until it was killed is not lost.

After a broken connection, and when it starts anew, the sender repeats what it is not sure of;
`entries` leaves that out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO

#: Link-local, as the metadata service's: no router forwards what is sent there.
ADDRESS = "169.254.0.19"
#: What a machine's user data has, so that its journal comes here.
USER_DATA = f"LOG_URL=http://{ADDRESS}:80\n".encode()

FORM = "application/vnd.fdo.journal"
#: journald's own limit of an entry is far above what a web server says in one.
MAX_ENTRY_BYTES = 16 << 20
SIZE_BYTES = 8


def end_of_entry(data: bytes, start: int) -> int:
    """Where the entry ends that begins at `start`; -1 when its end is not there yet.

    Lines are NAME=VALUE, or NAME and then a size (8 bytes, little endian) and so many bytes; an
    empty line ends it. Raises ValueError for anything else.
    """
    at = start
    while (newline := data.find(b"\n", at)) >= 0:
        if newline == at:
            return at + 1
        if b"=" in data[at:newline]:
            at = newline + 1
            continue
        begin = newline + 1 + SIZE_BYTES
        at = begin + int.from_bytes(data[newline + 1 : begin], "little") + 1
        if begin > len(data) or at > len(data):
            return -1
        if data[at - 1 : at] != b"\n":
            raise ValueError("a field is not as long as it says")
    return -1


class Entries:
    """Entries on their way: bytes in any portions go in, whole entries come out."""

    def __init__(self) -> None:
        self.rest = b""

    def whole(self, data: bytes) -> bytes:
        """The entries that are whole by now, `data` being what comes next. Raises ValueError."""
        data = self.rest + data
        done = 0
        while (end := end_of_entry(data, done)) >= 0:
            done = end
        self.rest = data[done:]
        if len(self.rest) > MAX_ENTRY_BYTES:
            raise ValueError("an entry is too long")
        return data[:done]


class Receiver(BaseHTTPRequestHandler):
    """One connection; the entries that come by it are added to the file `journal`."""

    protocol_version = "HTTP/1.1"
    server_version = "goldpress-loghost"
    sys_version = ""

    def __init__(self, journal: Path, source: BinaryIO, sink: BinaryIO) -> None:
        """`source` and `sink` are the connection's; nothing is read yet."""
        self.journal = journal
        self.rfile = source  # type: ignore[assignment]  # it has what is asked of it
        self.wfile = sink  # type: ignore[assignment]

    def do_POST(self) -> None:
        """Take the entries of one request. Its name is http.server's."""
        if not self.path.endswith("/upload") or self.headers.get("Content-Type") != FORM:
            self.answer(HTTPStatus.NOT_FOUND)
        elif self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            self.answer(HTTPStatus.LENGTH_REQUIRED)
        else:
            try:
                self.take()
            except ValueError as error:
                self.answer(HTTPStatus.BAD_REQUEST, str(error))
            except EOFError:
                self.close_connection = True
            else:
                self.answer(HTTPStatus.ACCEPTED, "OK.")

    def take(self) -> None:
        """Keep every whole entry of the body.

        Raises ValueError for another form, EOFError when the connection ends in it.
        """
        entries = Entries()
        kept = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(kept, "ab", buffering=0) as file:
            while chunk := self.chunk():
                file.write(entries.whole(chunk))
        if entries.rest:
            raise ValueError("the last entry has no end")

    def chunk(self) -> bytes:
        """The next chunk; empty for the last one. Raises ValueError, EOFError."""
        size = int(self.line().partition(b";")[0], 16)
        if not 0 <= size <= MAX_ENTRY_BYTES:
            raise ValueError("a chunk is too long")
        data = self.rfile.read(size)
        if len(data) < size:
            raise EOFError
        # After a chunk its end; after the last one trailers, which nobody sends, and an end.
        if self.line():
            raise ValueError("a chunk is not as long as it says")
        return data

    def line(self) -> bytes:
        """A line without its end. Raises EOFError when the connection ends in it."""
        line = self.rfile.readline(1024)
        if not line.endswith(b"\n"):
            raise EOFError
        return line.rstrip(b"\r\n")

    def answer(self, status: HTTPStatus, text: str = "") -> None:
        """Answer; after anything but success the connection ends, its rest being unread."""
        body = f"{text or status.phrase}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if status != HTTPStatus.ACCEPTED:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: stderr is QEMU's."""


def serve(journal: Path, source: BinaryIO, sink: BinaryIO) -> None:
    """Take the entries of one connection until it ends."""
    Receiver(journal, source, sink).handle()


def entries(journal: Path) -> Iterator[dict[str, str]]:
    """What a machine has sent, in its order, each entry once; nothing when it sent nothing.

    Keys are the journal's fields (`MESSAGE`, `_SYSTEMD_UNIT`, `__REALTIME_TIMESTAMP`, ...); of a
    field that an entry has twice, the last. Raises ValueError or KeyError when the file is of
    another form.
    """
    data = journal.read_bytes() if journal.exists() else b""
    seen: set[str] = set()
    at = 0
    while (end := end_of_entry(data, at)) >= 0:
        found = fields(data[at:end])
        at = end
        if found["__CURSOR"] not in seen:
            seen.add(found["__CURSOR"])
            yield found
    if at < len(data):
        raise ValueError(f"{journal}: its last entry has no end")


def fields(entry: bytes) -> dict[str, str]:
    """The fields of one whole entry; bytes that are no UTF-8 are replaced."""
    found: dict[str, str] = {}
    at = 0
    while (newline := entry.find(b"\n", at)) > at:
        name, is_text, value = entry[at:newline].partition(b"=")
        at = newline + 1
        if not is_text:
            size = int.from_bytes(entry[at : at + SIZE_BYTES], "little")
            value = entry[at + SIZE_BYTES : at + SIZE_BYTES + size]
            at += SIZE_BYTES + size + 1
        found[name.decode()] = value.decode(errors="replace")
    return found


if __name__ == "__main__":
    # Unbuffered: an answer that waits in a buffer is none.
    serve(Path(sys.argv[1]), sys.stdin.buffer, os.fdopen(1, "wb", buffering=0))
