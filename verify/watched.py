"""Owns noticing what a check looked at: a check that looks at nothing would pass vacuously."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Watched(Mapping[str, Value], Generic[Value]):
    """A mapping that remembers which of its keys were read since `forget`."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Value:
        self.read.add(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        # Whoever goes through all of them has seen each.
        self.read.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def forget(self) -> None:
        """Begin anew: nothing was read."""
        self.read.clear()


def vacuous(looked: Watched[object] | None, parameters: Watched[object] | None) -> str:
    """Why a check that has just passed proves nothing; empty when it does prove something."""
    if looked is None or not looked.read:
        return "the check looked at nothing"
    if parameters is not None and len(parameters) and not parameters.read:
        return "the check compares with no parameter of its control"
    return ""
