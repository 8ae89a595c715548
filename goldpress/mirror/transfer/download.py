"""Owns one transfer: one file from one address, resumed where it can be, hashed and bounded."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import urllib3

from goldpress.digest import CHUNK_BYTES, sha256_file
from goldpress.errors import GoldpressError, TrustError
from goldpress.mirror.transfer.fault import Fault, fault_of_error, fault_of_status
from goldpress.mirror.transfer.pace import Pace, watched
from goldpress.mirror.transfer.place import local_base, shown
from goldpress.mirror.transfer.web import Web

OK, PARTIAL, UNSATISFIABLE = 200, 206, 416
#: What one reading from a connection may bring; it brings what is there.
READ_BYTES = 128 << 10
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)")


class StoppedError(GoldpressError):
    """A transfer was given up because somebody asked for it."""

    def __init__(self) -> None:
        super().__init__("stopped")


class _NoRangeError(Exception):
    """The beginning of a file that is here is of no use at this place."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What was written: its sha256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


@dataclass(kw_only=True)
class Transfer:
    """A file to be had: where it is written while it comes, and what it has to be.

    `on_bytes` is told of bytes as they come (less than 0: they were thrown away again).
    """

    scratch: Path
    limit: int
    sha256: str | None
    size: int | None
    stop: threading.Event
    on_bytes: Callable[[int], None] | None = None
    _told: int = 0

    def take(self, address: str | Path, web: Web, pace: Pace) -> Fetched:
        """Bring the file from `address` into `scratch`. Raises Fault, or StoppedError.

        What is in `scratch` already is its beginning, if its sha256 is known; the whole is hashed
        in the end, and brought again from the start when it is not what it should be.
        """
        local = local_base(address)
        where = shown(address)
        if local is not None:
            self._forget()
            return self._checked(where, self._write(_file_chunks(local), where, going_on=False))
        here = self._beginning()
        if here:
            fetched = self._resumed(str(address), here, web, pace)
            if fetched is not None and fetched.sha256 == self.sha256:
                return fetched
            self._forget()
        return self._checked(where, self._got(str(address), web, pace))

    def _resumed(self, url: str, here: int, web: Web, pace: Pace) -> Fetched | None:
        """The whole, whatever it is; None when the place cannot go on from `here`."""
        if here == self.size:
            # Whoever brought it ended before it was kept.
            self._tell(here)
            return Fetched(sha256=sha256_file(self.scratch), size=here)
        try:
            return self._got(url, web, pace, here=here)
        except _NoRangeError:
            return None

    def _got(self, url: str, web: Web, pace: Pace, *, here: int = 0) -> Fetched:
        where = shown(url)
        headers = {"Range": f"bytes={here}-"} if here else {}
        with watched(pace, self.stop) as watch:
            try:
                with web.get(url, headers) as response:
                    going_on = self._goes_on(where, response, here)
                    length = _length(response)
                    if length is not None and length + (here if going_on else 0) > self._most:
                        raise self._too_large(where)
                    chunks = _read(response, watch.count)
                    fetched = self._write(chunks, where, going_on=going_on)
            except urllib3.exceptions.HTTPError as error:
                self._end_if_stopped()
                crawled = Fault(f"{where}: {pace}", passing=True)
                raise crawled if watch.slow else fault_of_error(where, error) from None
        # Without a length, an end and a cut look alike.
        self._end_if_stopped()
        if watch.slow:
            raise Fault(f"{where}: {pace}", passing=True)
        if length is None and self.size is not None and fetched.size < self.size:
            raise Fault(f"{where}: the connection broke before the end", passing=True)
        return fetched

    def _goes_on(self, where: str, response: urllib3.BaseHTTPResponse, here: int) -> bool:
        """Whether the answer is the rest of the file; if not, it is the whole.

        Raises _NoRangeError when it is the rest of something else, Fault when it is no file.
        """
        if response.status == OK:
            return False
        if here and response.status in {PARTIAL, UNSATISFIABLE}:
            match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
            if match and int(match[1]) == here and match[2] in {"*", str(self.size or match[2])}:
                return True
            raise _NoRangeError
        raise fault_of_status(where, response)

    def _checked(self, where: str, fetched: Fetched) -> Fetched:
        """What was fetched, if it is what it should be. Raises Fault."""
        right = self.size in {None, fetched.size} and self.sha256 in {None, fetched.sha256}
        if right and self.sha256 is not None:
            return fetched
        if _is_html(self.scratch):
            raise self._wrong(
                f"{where}: is an HTML page (a login page of the network, or a wrong address)"
            )
        if right:
            return fetched
        if self.size not in {None, fetched.size}:
            raise self._wrong(f"{where}: {fetched.size} bytes, expected {self.size}")
        raise self._wrong(f"{where}: sha256 is {fetched.sha256}, expected {self.sha256}")

    @property
    def _most(self) -> int:
        return self.limit if self.size is None else min(self.limit, self.size)

    def _too_large(self, where: str) -> Fault:
        return self._wrong(f"{where}: more than {self._most} bytes; refused")

    def _wrong(self, message: str) -> Fault:
        self._forget()
        return Fault(message, kind=TrustError)

    def _end_if_stopped(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def _beginning(self) -> int:
        """How many bytes of the file are here from before; none when nothing can prove them."""
        here = self.scratch.stat().st_size if self.scratch.exists() else 0
        if here and (self.sha256 is None or here > self._most):
            self._forget()
            return 0
        return here

    def _forget(self) -> None:
        with self.scratch.open("wb"):
            pass
        self._tell(0)

    def _tell(self, here: int) -> None:
        if self.on_bytes is not None and here != self._told:
            self.on_bytes(here - self._told)
        self._told = here

    def _write(self, chunks: Iterator[bytes], where: str, *, going_on: bool) -> Fetched:
        """Write what comes; the sha256 is the whole file's, also when its beginning was here."""
        digest = hashlib.sha256()
        with self.scratch.open("ab" if going_on else "wb") as stream:
            size = stream.tell()
            self._tell(size)
            for chunk in chunks:
                size += len(chunk)
                if size > self._most:
                    raise self._too_large(where)
                digest.update(chunk)
                stream.write(chunk)
                self._tell(size)
                self._end_if_stopped()
            stream.flush()
            os.fsync(stream.fileno())
        sha256 = sha256_file(self.scratch) if going_on else digest.hexdigest()
        return Fetched(sha256=sha256, size=size)


def _length(response: urllib3.BaseHTTPResponse) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _read(response: urllib3.BaseHTTPResponse, count: Callable[[int], None]) -> Iterator[bytes]:
    # Not decoded: some servers call a .gz file a plain one in an encoding, and a checksum is of
    # the file. `read1` gives what is there, so that a slow transfer is seen to go on.
    while chunk := response.read1(READ_BYTES, decode_content=False):
        count(len(chunk))
        yield chunk


def _file_chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None


def _is_html(path: Path) -> bool:
    with path.open("rb") as stream:
        beginning = stream.read(512).lower()
    return b"<!doctype html" in beginning or b"<html" in beginning
