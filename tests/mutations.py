"""Owns random changes of bytes: seeded, so that a test that fails once fails again."""

from __future__ import annotations

import random
from collections.abc import Iterator

COUNT = 500
#: What breaks JSON, YAML and PEM more often than bytes at random.
TOKENS = (
    b"", b"null", b"true", b"-1", b"1e999", b"[]", b"{}", b'"', b"\\u0000", b"\\ud800", b"\n", b"=",
    b" ", b"\xff", b"\x00", b"sandbox", b"centos-stream-9", b"sha256:", b"0", b"a",
)  # fmt: skip


def mutated(data: bytes, *, seed: int, count: int = COUNT) -> Iterator[bytes]:
    """`count` changes of `data`, each of them somewhere, none of them none."""
    chosen = random.Random(seed)  # noqa: S311 - to be the same each time
    made = 0
    while made < count:
        changed = _changed(data, chosen)
        if changed != data:
            made += 1
            yield changed


def _changed(data: bytes, chosen: random.Random) -> bytes:
    start = chosen.randrange(len(data))
    end = min(len(data), start + chosen.choice((1, 1, 1, 2, 8, 64)))
    match chosen.randrange(6):
        case 0:
            new = bytes([data[start] ^ (1 << chosen.randrange(8))])
            end = start + 1
        case 1:
            new = bytes(chosen.randrange(256) for _ in range(end - start))
        case 2:
            new = b""
        case 3:
            new = data[start:end] * 2
        case 4:
            other = chosen.randrange(len(data))
            new = data[other : other + end - start]
        case _:
            new = chosen.choice(TOKENS)
    return data[:start] + new + data[end:]
