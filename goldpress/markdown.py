"""Owns text in Markdown: what came from elsewhere is shown as it is, and means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What has a meaning in Markdown, or makes GitHub tell somebody.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#@!~])")
_NOT_CODE = re.compile(r"[`|\x00-\x1f\x7f]")


def code(text: str) -> str:
    """Text in a fixed width; what would end it is left out."""
    return f"`{_NOT_CODE.sub('', text)}`"


def plain(text: str) -> str:
    """Text that is nothing but text, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def row(cells: Iterable[str]) -> str:
    """A row of a table, of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |\n"
