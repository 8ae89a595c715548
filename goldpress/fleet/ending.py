"""Owns how a tick ends: done, waiting until a time, or in need of a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from goldpress.errors import RollError


@dataclass(frozen=True, kw_only=True)
class Done:
    """Nothing is left to be done; `told` is what came of it."""

    told: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Nothing can be done before `until` (Unix time; ``inf``: until somebody resumes it)."""

    until: float
    why: str

    @property
    def text(self) -> str:
        """It in a line."""
        if self.until == float("inf"):
            return self.why
        moment = datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"waiting until {moment} UTC: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Nothing goes on before a person did something: what, is the hint."""

    why: str
    hint: str


Ending: TypeAlias = Done | Waiting | Person


def watched(
    first: Ending,
    again: Callable[[], Ending],
    *,
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> Ending:
    """Tick after tick until one ends for good, or until somebody has to resume it."""
    ending = first
    while isinstance(ending, Waiting) and ending.until != float("inf"):
        sleep(max(1.0, ending.until - now()))
        ending = again()
    return ending


def conclude(ending: Ending, *, show: Callable[[Any], None]) -> None:
    """Tell the result to programs. Raises RollError when a person is needed."""
    match ending:
        case Done():
            show({"state": "done", "told": ending.told})
        case Waiting():
            until = None if ending.until == float("inf") else ending.until
            show({"state": "waiting", "until": until, "why": ending.why})
        case Person():
            show({"state": "needs a person", "why": ending.why, "next": ending.hint})
            raise RollError(ending.why, hint=ending.hint)
