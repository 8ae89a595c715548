"""Owns journals: what someone is about to do and has done elsewhere, so that it can be resumed.

    journals/<kind>/...   one JSON document a journal, changed by compare-and-set only

An intention is written before its call, and what came of it after. Two who work on the same thing
find out: the second one's change is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.digest import canonical_json
from goldpress.errors import ConflictError, DocumentError
from goldpress.store.objects import Objects

FORMAT = 1


@dataclass(kw_only=True)
class Journal:
    """One journal; `values` are as it was last read or written."""

    objects: Objects
    key: str
    values: dict[str, Any] = field(default_factory=dict)
    _version: str | None = None

    @classmethod
    def read(cls, objects: Objects, key: str) -> Journal:
        """The journal under this key, empty when there is none. Raises DocumentError."""
        journal = cls(objects=objects, key=key)
        journal.look()
        return journal

    def look(self) -> None:
        """Read it anew."""
        held = self.objects.get(self.key)
        self._version = held.version if held else None
        self.values = parsed(held.data, where=f"{self.objects.name}/{self.key}") if held else {}

    def write(self, **changes: Any) -> None:
        """Set these values; None removes one. Raises ConflictError when someone else wrote."""
        wanted = {
            name: value for name, value in {**self.values, **changes}.items() if value is not None
        }
        if wanted == self.values and self._version is not None:
            return
        data = canonical_json({"format": FORMAT, **wanted})
        if not self.objects.swap(self.key, data, version=self._version):
            raise ConflictError(
                f"{self.objects.name}/{self.key}: someone else is at the same work",
                hint="wait until that has ended, then run the command again",
            )
        self.look()

    def clear(self) -> None:
        """Remove it: nothing is left to be resumed."""
        self.objects.delete([self.key])
        self.values, self._version = {}, None


def journals(objects: Objects, prefix: str) -> Iterator[Journal]:
    """Every journal below a prefix that ends in "/"."""
    for row in objects.listed(prefix):
        journal = Journal.read(objects, row.key)
        if journal.values:
            yield journal


def parsed(data: bytes, *, where: str) -> dict[str, Any]:
    """The values of a journal's document. Raises DocumentError that names `where`."""
    try:
        value: Mapping[str, Any] = json.loads(data)
        if value["format"] != FORMAT:
            raise DocumentError(
                f"{where}: format {value['format']} is not {FORMAT}",
                hint="another version of goldpress wrote it; use that one",
            )
        return {name: v for name, v in value.items() if name != "format"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"{where}: not a journal: {error!r}") from None
