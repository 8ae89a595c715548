"""Owns the order of versions: epoch, version and release compared as rpm compares them."""

from __future__ import annotations

import re
from functools import lru_cache

#: What rpm looks at; everything else only separates.
_SEGMENT = re.compile(r"~|\^|[0-9]+|[A-Za-z]+")

Part = tuple[int, int, str]
Order = tuple[Part, ...]
#: epoch, version, release; two of them compare as the versions do.
EvrOrder = tuple[int, Order, Order]

# `1.0~rc1` is older than `1.0`, that than `1.0^git1`, and that than `1.0a` or `1.0.1`.
_TILDE, _END, _CARET, _LETTERS, _DIGITS = range(5)


@lru_cache(maxsize=1 << 16)
def version_order(text: str) -> Order:
    """A key by which versions (or releases) sort; equal keys are the same to rpm."""
    return (*(_part(segment) for segment in _SEGMENT.findall(text)), (_END, 0, ""))


def evr_order(epoch: int, version: str, release: str) -> EvrOrder:
    """A key by which packages of one name sort, oldest first."""
    return (epoch, version_order(version), version_order(release))


def _part(segment: str) -> Part:
    if segment == "~":
        return (_TILDE, 0, "")
    if segment == "^":
        return (_CARET, 0, "")
    if segment[0].isdigit():
        # Numbers of any length: the longer one is larger, once its zeros are gone.
        digits = segment.lstrip("0")
        return (_DIGITS, len(digits), digits)
    return (_LETTERS, 0, segment)
