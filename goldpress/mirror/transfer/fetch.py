"""Owns bringing a file: from the best of the places that have it, as often as makes sense."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.download import Fetched, StoppedError, Transfer
from goldpress.mirror.transfer.fault import Fault
from goldpress.mirror.transfer.hosts import Hosts
from goldpress.mirror.transfer.metalink import Promise
from goldpress.mirror.transfer.pace import Pace
from goldpress.mirror.transfer.place import host_of, local_base, location, shown
from goldpress.mirror.transfer.source import Source
from goldpress.mirror.transfer.web import Web

#: How often one place is asked for one file, and all places together.
ATTEMPTS = 4
ALL_ATTEMPTS = 12
#: How many more places are asked for the newest repomd.xml when one had an older one.
NEWER_ATTEMPTS = 4
#: Seconds before a place is asked again, doubled each time.
BACKOFF_SECONDS = 1.0
#: A place that is this slow for this long comes after the others, though it did deliver.
SLOW_RATE = 50_000
SLOW_SECONDS = 10.0
#: How many places a message names.
NAMED = 3


@dataclass(kw_only=True)
class _Try:
    """One place of a file: how often it was asked."""

    address: str | Path
    host: str
    asked: int = 0


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches files; one instance shares connections, and what it learnt of hosts, by threads.

    `sleep` is for tests; without it, waiting ends early when a transfer is stopped.
    """

    web: Web = field(default_factory=Web)
    hosts: Hosts = field(default_factory=Hosts)
    pace: Pace = field(default_factory=Pace)
    sleep: Callable[[float], None] | None = None

    def fetch(
        self,
        source: str | Path,
        target: Path,
        *,
        limit: int,
        sha256: str | None = None,
        size: int | None = None,
    ) -> Fetched:
        """Write the file at `source` to `target`, whole or not at all, and say what it was.

        At most `limit` bytes are taken. Raises MissingError when it cannot be had, TrustError
        when it is not the promised `sha256` or `size`, or is larger than allowed.
        """
        job = _Job(limit=limit, sha256=sha256, size=size)
        return self._bring([source], shown(source), target, job)

    def fetch_from(
        self,
        source: Source,
        href: str,
        target: Path,
        *,
        limit: int,
        sha256: str | None = None,
        size: int | None = None,
        expected: Sequence[Promise] = (),
        partial: Path | None = None,
        stop: threading.Event | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Fetched:
        """The same for a file of a repository, from whichever of its places has it.

        `expected` says what the file may be, the best first: a place that has another one is asked
        no more, one that has a lesser one only counts when none has the best. `partial` is where
        the bytes come first; when they do not all come they are kept there, and the next call
        goes on from them (the caller sees to it that only one does). `on_bytes` is told of bytes
        as they come. Raises as `fetch`, and StoppedError when `stop` was set.
        """
        addresses = [location(place, href) for place in source.places]
        job = _Job(
            limit=limit,
            sha256=sha256,
            size=size,
            expected=tuple(expected),
            partial=partial,
            stop=stop or threading.Event(),
            on_bytes=on_bytes,
        )
        return self._bring(addresses, href, target, job)

    def close(self) -> None:
        """Close all connections."""
        self.web.close()

    def _bring(
        self, addresses: Sequence[str | Path], name: str, target: Path, job: _Job
    ) -> Fetched:
        scratch = job.partial or target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        for path in (target, scratch):
            path.parent.mkdir(parents=True, exist_ok=True)
        lesser = scratch.with_name(f"{scratch.name}.lesser")
        whole = False
        try:
            fetched = self._best(addresses, name, scratch, lesser, job)
            scratch.replace(target)
            whole = True
        finally:
            lesser.unlink(missing_ok=True)
            if not whole and (job.partial is None or not _size(scratch)):
                scratch.unlink(missing_ok=True)
        return fetched

    def _best(
        self,
        addresses: Sequence[str | Path],
        name: str,
        scratch: Path,
        lesser: Path,
        job: _Job,
    ) -> Fetched:
        """Ask place after place, until one has it, or none is left to ask."""
        transfer = Transfer(
            scratch=scratch,
            limit=job.most,
            sha256=job.sha256,
            size=job.size,
            stop=job.stop,
            on_bytes=job.on_bytes,
        )
        left = [_Try(address=a, host=_host(a)) for a in addresses]
        faults: dict[str | Path, Fault] = {}
        found: Fetched | None = None
        more = ALL_ATTEMPTS if len(left) > 1 else ATTEMPTS
        while left and more > 0:
            more -= 1
            asked = min(one.asked for one in left)
            now = [one for one in left if one.asked == asked]
            with self.hosts.slot([one.host for one in now], job.stop) as index:
                if index < 0:
                    raise StoppedError
                chosen = now[index]
                try:
                    fetched = self._ask(chosen, transfer, job)
                except Fault as fault:
                    faults[chosen.address] = fault
                    self.hosts.failed(chosen.host, fault.rest)
                    if not fault.passing or chosen.asked == ATTEMPTS:
                        left.remove(chosen)
                    continue
            rank = job.rank(fetched)
            if rank == 0:
                return fetched
            left.remove(chosen)
            self.hosts.failed(chosen.host)
            if found is None or rank < job.rank(found):
                scratch.replace(lesser)
                scratch.touch()
                more = min(more, NEWER_ATTEMPTS) if found is None else more
                found = fetched
        if found is not None:
            lesser.replace(scratch)
            return found
        raise _error(name, [faults[a] for a in dict.fromkeys(addresses) if a in faults])

    def _ask(self, chosen: _Try, transfer: Transfer, job: _Job) -> Fetched:
        backoff = BACKOFF_SECONDS * 2 ** (chosen.asked - 1) if chosen.asked else 0.0
        wait = max(backoff, self.hosts.rest(chosen.host))
        chosen.asked += 1
        if wait:
            (self.sleep or job.stop.wait)(wait)
        if job.stop.is_set():
            raise StoppedError
        began = time.monotonic()
        fetched = transfer.take(chosen.address, self.web, self.pace)
        if job.expected and job.rank(fetched) < 0:
            raise Fault(
                f"{shown(chosen.address)}: sha256 is {fetched.sha256}, expected "
                f"{job.expected[0].sha256} as its metalink says",
                kind=TrustError,
            )
        seconds = time.monotonic() - began
        if seconds > SLOW_SECONDS and fetched.size / seconds < SLOW_RATE:
            self.hosts.failed(chosen.host)
        elif job.rank(fetched) == 0:
            self.hosts.worked(chosen.host)
        return fetched


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is wanted of a file, and who is told of it."""

    limit: int
    sha256: str | None = None
    size: int | None = None
    expected: tuple[Promise, ...] = ()
    partial: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    on_bytes: Callable[[int], None] | None = None

    @property
    def most(self) -> int:
        """The most bytes that are taken."""
        sizes = [promise.size for promise in self.expected]
        return min(self.limit, max(sizes)) if sizes else self.limit

    def rank(self, fetched: Fetched) -> int:
        """0 for the best that is expected, more for a lesser one, -1 for any other."""
        if not self.expected:
            return 0
        here = Promise(sha256=fetched.sha256, size=fetched.size)
        return self.expected.index(here) if here in self.expected else -1


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
        own.close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(address: str | Path) -> str:
    return "" if local_base(address) is not None else host_of(str(address))


def _error(name: str, faults: Sequence[Fault]) -> MissingError | TrustError:
    """The error of a file that no place gave: wrong bytes weigh more than none."""
    distrusted = any(fault.kind is TrustError for fault in faults)
    message = faults[0].message
    if len(faults) > 1:
        others = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        each = "; ".join(fault.message for fault in faults[:NAMED])
        message = f"{name}: none of {len(faults)} places has it: {each}{others}"
    if distrusted:
        return TrustError(message)
    return MissingError(
        message, hint="check the address in `rpm-mirror/` and the network, then try again"
    )
