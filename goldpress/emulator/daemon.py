"""Owns going on in the background: detached from whoever started it, recorded in `cloud.json`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from goldpress.machine import process
from goldpress.store import write_atomically

RECORD = "cloud.json"
LOG = "cloud.log"


def detach(directory: Path) -> bool:
    """Fork: True in the parent, once the child serves; the child leads a session of its own.

    The parent waits until the child has written its record, so whoever waits for the parent finds
    a cloud that answers.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            return stream.read() == b"up"
    os.close(reader)
    os.setsid()
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _WAITING.append(writer)
    return False


_WAITING: list[int] = []


def record(directory: Path, url: str) -> None:
    """Write where this cloud is and which process it is; the parent goes home."""
    value = {"url": url, "process": asdict(process.identify(os.getpid()))}
    write_atomically(directory / RECORD, json.dumps(value, indent=1).encode() + b"\n")
    while _WAITING:
        writer = _WAITING.pop()
        os.write(writer, b"up")
        os.close(writer)
