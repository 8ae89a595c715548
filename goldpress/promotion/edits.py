"""Owns edits: what lies between two trees, and which channels that gives another digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goldpress.channel import PATH, Channel, changed_lines, only_image, parse_channel
from goldpress.errors import DocumentError
from goldpress.github.trees import File, Files

PLAIN = "100644"
#: A channel that a pull request makes anew had nothing in force.
NOTHING = ""
MOST_LINES = 3


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A file that two trees have otherwise; None: does not have."""

    path: str
    before: File | None
    after: File | None


@dataclass(frozen=True, kw_only=True)
class Edited:
    """What edits come to.

    `digests` are the new digests of channels that get another one, by path; `faults` are what a
    promotion must not change besides. Without any new digest it is no promotion, and has no faults.
    """

    digests: dict[str, str]
    faults: tuple[str, ...]


def edits(before: Files, after: Files) -> tuple[Edit, ...]:
    """Every file in which two trees differ, by path."""
    return tuple(
        Edit(path=path, before=before.get(path), after=after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def judged(found: tuple[Edit, ...], read: Callable[[str], bytes]) -> Edited:
    """What these edits come to; `read` gives a file's bytes by its id. Raises what `read` does."""
    digests: dict[str, str] = {}
    faults: list[str] = []
    for edit in found:
        if not PATH.fullmatch(edit.path):
            faults.append(f"{edit.path} is changed, too")
            continue
        try:
            before, after = (_channel(edit.path, file, read) for file in (edit.before, edit.after))
        except DocumentError as error:
            faults.append(error.message)
            # Nobody knows which digest it names: at least not the one before.
            digests[edit.path] = NOTHING
            continue
        old, new = (row.digest if row else NOTHING for row in (before, after))
        if old != new:
            digests[edit.path] = new
        if before is None or after is None:
            faults.append(f"{edit.path} is {'made' if before is None else 'removed'}")
        elif not only_image(before.text, after.text):
            faults.append(f"{edit.path}: {_lines(before, after)}")
        if edit.after and edit.after.mode != PLAIN:
            faults.append(f"{edit.path} is no plain file any more (mode {edit.after.mode})")
    return Edited(digests=digests, faults=tuple(faults) if digests else ())


def _channel(path: str, file: File | None, read: Callable[[str], bytes]) -> Channel | None:
    return parse_channel(read(file.blob), path=path) if file else None


def _lines(before: Channel, after: Channel) -> str:
    rows = [row for row in changed_lines(before.text, after.text) if row[2:8] != "image:"]
    more = f" and {len(rows) - MOST_LINES} more" if len(rows) > MOST_LINES else ""
    return f"more than its line `image:` is changed: {'; '.join(rows[:MOST_LINES])}{more}"
