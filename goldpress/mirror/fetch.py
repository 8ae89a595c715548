"""Owns bringing one file here: from an http(s) URL or a local path, hashed while it is written."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import urllib3

from goldpress.digest import CHUNK_BYTES
from goldpress.errors import MissingError, TrustError

CONNECT_SECONDS = 15.0
#: Between two reads: a stalled mirror is given up, a slow one is not.
READ_SECONDS = 60.0
ATTEMPTS = 4
#: Seconds before a repetition, doubled each time.
BACKOFF_SECONDS = 1.0
#: Only what may pass by itself is tried again; a 404 will still be one.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_REDIRECTS = 5

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def checked_href(href: str) -> str:
    """`href` if it stays inside its repository. Raises ValueError for any other."""
    plain = unquote(href)
    parts = plain.split("/")
    wrong = (
        not href
        or "\\" in plain
        or _CONTROL.search(plain)
        or ":" in parts[0]
        or parts[0] == ""
        or any(part in {"", ".", ".."} for part in parts)
        or "?" in href
        or "#" in href
    )
    if wrong:
        raise ValueError(f"the href {href!r} leaves its repository; the metadata is not usable")
    return href


def location(base: str | Path, href: str) -> str | Path:
    """Where `href` of the repository at `base` is. Raises TrustError for an unsafe href."""
    try:
        checked_href(href)
    except ValueError as error:
        raise TrustError(f"{base}: {error}") from None
    local = local_base(base)
    if local is not None:
        return local / href
    # A + in a path is a space to S3; encoded, it is a + everywhere. What is encoded stays so.
    return f"{str(base).rstrip('/')}/{quote(href, safe='/%~')}"


def local_base(base: str | Path) -> Path | None:
    """The directory of a path or file: URL; None for a URL of the network."""
    if isinstance(base, Path):
        return base
    parts = urlsplit(base)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in {"http", "https"} else Path(base)


def redirected(url: str, target: str) -> str:
    """Where a redirect of `url` leads. Raises TrustError when that is less safe than `url`."""
    there = urljoin(url, target)
    safe = {"https"} if urlsplit(url).scheme == "https" else {"http", "https"}
    if urlsplit(there).scheme not in safe:
        raise TrustError(f"{url}: redirects to {there}; refused")
    return there


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What was written: its sha256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=8,
        retries=False,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        headers={"User-Agent": "goldpress", "Accept-Encoding": "identity"},
    )


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches files; one instance shares its connections among threads."""

    pool: urllib3.PoolManager = field(default_factory=_pool)
    sleep: Callable[[float], None] = time.sleep

    def fetch(
        self,
        source: str | Path,
        target: Path,
        *,
        limit: int,
        sha256: str | None = None,
        size: int | None = None,
    ) -> Fetched:
        """Write `source` to `target`, whole or not at all, and say what it was.

        At most `limit` bytes are taken. Raises MissingError when it cannot be had, TrustError
        when it is not the promised `sha256` or `size`, or is larger than allowed.
        """
        limit = limit if size is None else min(limit, size)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            fetched = self._repeatedly(source, scratch, limit)
            if size is not None and fetched.size != size:
                raise TrustError(f"{source}: {fetched.size} bytes, expected {size}")
            if sha256 is not None and fetched.sha256 != sha256:
                raise TrustError(f"{source}: sha256 is {fetched.sha256}, expected {sha256}")
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
        return fetched

    def _repeatedly(self, source: str | Path, scratch: Path, limit: int) -> Fetched:
        local = local_base(source)
        if local is not None:
            return _write(_file_chunks(local), scratch, limit, source)
        failure = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
            try:
                with self._response(str(source)) as response:
                    if response.status == 200:  # noqa: PLR2004 - OK
                        return _write(response.stream(CHUNK_BYTES), scratch, limit, source)
                    failure = f"status {response.status}"
                    if response.status not in PASSING_STATUSES:
                        break
            except urllib3.exceptions.HTTPError as error:
                failure = str(error)
        raise MissingError(
            f"{source}: {failure}",
            hint="check the address in `rpm-mirror/` and the network, then try again",
        )

    @contextmanager
    def _response(self, url: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """Follow redirects by hand: never from https to anything else."""
        for _ in range(MAX_REDIRECTS + 1):
            response = self.pool.request("GET", url, preload_content=False, redirect=False)
            try:
                target = response.get_redirect_location()
                if not target:
                    yield response
                    return
            finally:
                # What was read to its end gave its connection back already.
                response.close()
            url = redirected(url, target)
        raise MissingError(f"{url}: more than {MAX_REDIRECTS} redirects")


@contextmanager
def fetching(fetcher: Fetcher | None) -> Iterator[Fetcher]:
    """The caller's fetcher, or one whose connections are closed at the end."""
    if fetcher is not None:
        yield fetcher
        return
    own = Fetcher()
    try:
        yield own
    finally:
        own.pool.clear()


def _file_chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise MissingError(f"{path}: {error.strerror}") from None


def _write(chunks: Iterator[bytes], target: Path, limit: int, source: str | Path) -> Fetched:
    digest = hashlib.sha256()
    size = 0
    with target.open("wb") as stream:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TrustError(f"{source}: more than {limit} bytes; refused")
            digest.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return Fetched(sha256=digest.hexdigest(), size=size)
