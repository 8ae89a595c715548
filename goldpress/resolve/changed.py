"""Owns what changed between two requests, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """A line for each key that differs, such as ``packages: + php-cli, - redis``.

    Both are what `full_request` gives; nothing when they are equal.
    """
    lines = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old != new:
            lines.append(f"{key}: {', '.join(_words(old, new))}")
    return tuple(lines)


def _words(old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, list) and isinstance(new, list):
        yield from (f"+ {_shown(item)}" for item in new if item not in old)
        yield from (f"- {_shown(item)}" for item in old if item not in new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            if name not in old:
                yield f"+ {name} {new[name]}"
            elif name not in new:
                yield f"- {name} {old[name]}"
            elif old[name] != new[name]:
                yield f"{name} {old[name]}, now {new[name]}"
    else:
        yield f"{_shown(old)}, now {_shown(new)}"


def _shown(item: Any) -> str:
    if isinstance(item, dict):
        # An override: what it is comes first.
        first = ("pin", "fast_track")
        return " ".join(f"{k} {item[k]}" for k in sorted(item, key=lambda k: (k not in first, k)))
    if isinstance(item, list):
        return ", ".join(_shown(part) for part in item) or "none"
    if isinstance(item, bool):
        return str(item).lower()
    return "nothing" if item is None else str(item)
