"""Owns the ledger: which digests a name stood for, and since when.

    ledger/<kind>.json   {"format": 1, "names": {"<name>": [{"at": ..., "digest": ...}, ...]}}

One document a kind, so that all its names can be told without a listing. It changes by
compare-and-set only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from goldpress.digest import canonical_json, short
from goldpress.errors import ConflictError, DocumentError
from goldpress.store.objects import Objects

FORMAT = 1
#: Each attempt costs one reading and one writing; only as many writers at once can need them.
ATTEMPTS = 30
PAUSE_SECONDS = 0.05

Names = Mapping[str, tuple["Entry", ...]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """From `at` on (ISO 8601, UTC, seconds) the name stood for `digest`."""

    digest: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The names of one kind."""

    objects: Objects
    kind: str

    @property
    def key(self) -> str:
        """The key of the document."""
        return f"ledger/{self.kind}.json"

    def read(self) -> Names:
        """Every name with its entries, oldest first. Raises DocumentError for a spoiled one."""
        return self._read()[0]

    def append(self, name: str, digest: str, *, after: str | None) -> None:
        """Let `name` stand for `digest`, which follows `after` (None: it is the first).

        What is last already is not appended again. Raises ConflictError when another digest than
        `after` is last by now.
        """
        self._change(lambda names: appended(names, name, digest, after=after, at=_now()))

    def enter(self, name: str, digest: str) -> None:
        """Let `name` have `digest` in its history, last if it is new, whatever came before."""
        self._change(lambda names: entered(names, name, digest, at=_now()))

    def forget(self, name: str, digest: str) -> None:
        """Remove every entry of `digest` from the history of `name`."""
        self._change(lambda names: forgotten(names, name, digest))

    def _read(self) -> tuple[Names, str | None]:
        held = self.objects.get(self.key)
        if held is None:
            return {}, None
        return parsed(held.data, where=f"{self.objects.name}/{self.key}"), held.version

    def _change(self, change: Callable[[Names], Names]) -> None:
        for attempt in range(ATTEMPTS):
            names, version = self._read()
            wanted = change(names)
            if wanted == names:
                return
            if self.objects.swap(self.key, written(wanted), version=version):
                return
            time.sleep(PAUSE_SECONDS * (attempt + 1))
        raise ConflictError(
            f"{self.objects.name}/{self.key}: others changed it {ATTEMPTS} times in a row",
            hint="run the command again when they have ended",
        )


def appended(names: Names, name: str, digest: str, *, after: str | None, at: str) -> Names:
    """The names after an append. Raises ConflictError when `after` is not the last."""
    entries = names.get(name, ())
    last = entries[-1].digest if entries else None
    if last == digest:
        return names
    if last != after:
        raise ConflictError(
            f"{name} stands for {short(last) if last else 'nothing'} by now, "
            f"not for {short(after) if after else 'nothing'}"
        )
    return {**names, name: (*entries, Entry(digest=digest, at=at))}


def entered(names: Names, name: str, digest: str, *, at: str) -> Names:
    """The names with `digest` in the history of `name`."""
    entries = names.get(name, ())
    if any(entry.digest == digest for entry in entries):
        return names
    return {**names, name: (*entries, Entry(digest=digest, at=at))}


def forgotten(names: Names, name: str, digest: str) -> Names:
    """The names without the entries of `digest` under `name`; an empty name disappears."""
    rest = tuple(entry for entry in names.get(name, ()) if entry.digest != digest)
    others = {other: entries for other, entries in names.items() if other != name}
    return {**others, name: rest} if rest else others


def written(names: Names) -> bytes:
    """The document, canonical."""
    rows = {
        name: [{"at": entry.at, "digest": entry.digest} for entry in entries]
        for name, entries in names.items()
    }
    return canonical_json({"format": FORMAT, "names": rows})


def parsed(data: bytes, *, where: str) -> Names:
    """The inverse of `written`. Raises DocumentError that names `where`."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            raise DocumentError(
                f"{where}: format {value['format']} is not {FORMAT}",
                hint="another version of goldpress wrote it; use that one",
            )
        return {
            name: tuple(Entry(digest=_text(row["digest"]), at=_text(row["at"])) for row in rows)
            for name, rows in value["names"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"{where}: not a ledger: {error!r}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
