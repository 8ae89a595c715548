"""Owns what children of tests do: what a parser does that was led astray, and one that was not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from goldpress.errors import DocumentError


def main(arguments: Sequence[str]) -> None:
    deed, *rest = arguments
    DEEDS[deed](*rest)


def write(text: str, path: str) -> None:
    Path(path).write_text(text)


def write_half_and_fail(path: str) -> None:
    Path(path).write_text("half")
    raise DocumentError("it is not a document", hint="write one")


def write_without_end(path: str) -> None:
    with Path(path).open("wb") as stream:
        while True:
            stream.write(bytes(1 << 20))


def take_memory() -> None:
    taken = [bytearray(1 << 24)]
    while True:
        taken.append(bytearray(1 << 24))


def work() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(60)


def fall() -> None:
    os.abort()


def fail() -> None:
    raise KeyError("a mistake of ours")


def tell_environment(path: str) -> None:
    Path(path).write_text("\n".join([*sorted(os.environ), str(Path.cwd()), *sys.path]))


DEEDS: dict[str, Callable[..., None]] = {
    "write": write,
    "write_half_and_fail": write_half_and_fail,
    "write_without_end": write_without_end,
    "take_memory": take_memory,
    "work": work,
    "sleep": sleep,
    "fall": fall,
    "fail": fail,
    "tell_environment": tell_environment,
}
