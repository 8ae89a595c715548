"""Owns going on in the background: detached from whoever started it, recorded in a file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from goldpress.machine import process
from goldpress.store import write_atomically


def detach(log: Path) -> bool:
    """Fork: True in the parent, once the child serves; the child leads a session of its own.

    What it prints goes to the end of `log`.
    The parent waits until the child has written its record, so whoever waits for the parent finds
    a server that answers.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            return stream.read() == b"up"
    os.close(reader)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _WAITING.append(writer)
    return False


_WAITING: list[int] = []


def announce(path: Path, url: str) -> None:
    """Write where this server is and which process it is; the parent goes home."""
    value = {"url": url, "process": asdict(process.identify(os.getpid()))}
    write_atomically(path, json.dumps(value, indent=1).encode() + b"\n")
    while _WAITING:
        writer = _WAITING.pop()
        os.write(writer, b"up")
        os.close(writer)
