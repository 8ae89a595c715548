"""Owns files on their way into the pool: what came of a download, and what is not judged yet.

A partial file is what came of a download that did not end, for the next one to go on from. One
process (and one thread of it) at a time holds such a file; who waits for it finds the whole file
kept, or goes on where the other ended. A killed process holds nothing any more.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goldpress.mirror.transfer.download import StoppedError

#: Between two looks whether another process ended.
WAIT_SECONDS = 0.2
#: What nobody went on with for so long is not wanted any more.
OLD_SECONDS = 7 * 24 * 3600.0
SUFFIX = ".part"


def partial_path(root: Path, sha256: str) -> Path:
    """Where the bytes of a file with this sha256 are while they come; `root` is the store's."""
    return root / "tmp" / f"{sha256}{SUFFIX}"


def incoming_path(root: Path, sha256: str) -> Path:
    """Where a whole package waits to be judged: nothing that was not is in the pool."""
    return root / "tmp" / f"{sha256}.rpm"


@contextmanager
def claimed(path: Path, stop: threading.Event) -> Iterator[None]:
    """Hold the partial file at `path`; waits while somebody else does, or raises StoppedError.

    In the block the file may be moved away or deleted; if it is there and empty, it is deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while (descriptor := _claim(path)) is None:
        if stop.wait(WAIT_SECONDS):
            raise StoppedError
    try:
        yield
    finally:
        if _is(descriptor, path) and os.fstat(descriptor).st_size == 0:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def drop_old(root: Path, *, now: float | None = None) -> int:
    """Delete partial files that nobody holds and nobody touched for a week; says how many."""
    before = (time.time() if now is None else now) - OLD_SECONDS
    dropped = 0
    for path in (root / "tmp").glob(f"*{SUFFIX}"):
        try:
            if path.stat().st_mtime > before:
                continue
        except FileNotFoundError:
            continue
        descriptor = _claim(path)
        if descriptor is None:
            continue
        try:
            path.unlink(missing_ok=True)
            dropped += 1
        finally:
            os.close(descriptor)
    return dropped


def _claim(path: Path) -> int | None:
    """A descriptor that holds the file at `path`; None while another one does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        # In between the file was kept under its name, or deleted: its name here is free again.
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
