"""Owns the names that people give to snapshots.

centos-stream-9.x86_64             the newest
centos-stream-9                    the same, when it has one architecture
centos-stream-9~1                  the one before
centos-stream-9@2026-11-23         the newest of that day (UTC)
sha256:3f786850..., 3f786850       by digest, or at least its first eight digits
"""

from __future__ import annotations

import re
from datetime import date

from goldpress.digest import short
from goldpress.errors import MissingError
from goldpress.mirror.snapshot import KIND, Snapshot
from goldpress.store import Entry, Store

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_NAME = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:~([0-9]{1,4})|@([0-9]{4}-[0-9]{2}-[0-9]{2}))?")


def find_snapshot(store: Store, text: str) -> Snapshot:
    """The snapshot that `text` names. Raises MissingError for none, or for more than one."""
    return Snapshot.read(store, find_digest(store, text))


def find_digest(store: Store, text: str) -> str:
    """The digest (``sha256:...``) of the snapshot that `text` names; raises as `find_snapshot`."""
    named = _NAME.fullmatch(text)
    names = _names_of(named[1], store.names(KIND)) if named else ()
    if named and names:
        if len(names) > 1:
            raise MissingError(
                f"{text!r} may be any of {', '.join(names)}",
                hint="say which, with its architecture",
            )
        history = store.history(KIND, names[0])
        return _in_history(history, names[0], back=named[2], day=named[3])
    digits = _DIGEST.fullmatch(text)
    if digits:
        return _by_digits(store, digits[1])
    known = store.names(KIND)
    raise MissingError(
        f"no snapshot is called {text!r}",
        hint=f"there are: {', '.join(known)}" if known else "run `./inv mirror.sync`",
    )


def _names_of(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the ledger for a distribution, with or without its architecture."""
    if text in known:
        return (text,)
    return tuple(name for name in known if name.rpartition(".")[0] == text)


def _in_history(history: tuple[Entry, ...], name: str, *, back: str | None, day: str | None) -> str:
    if day is None:
        steps = int(back or 0)
        if steps >= len(history):
            raise MissingError(
                f"{name}~{steps}: there are only {len(history)} snapshots of {name}",
                hint=f"the oldest is of {history[0].at[:10]}",
            )
        return history[-1 - steps].digest
    try:
        date.fromisoformat(day)
    except ValueError:
        raise MissingError(f"{name}@{day}: that is no date") from None
    of_day = [entry for entry in history if entry.at[:10] == day]
    if not of_day:
        before = [entry.at[:10] for entry in history if entry.at[:10] < day]
        after = [entry.at[:10] for entry in history if entry.at[:10] > day]
        around = " and ".join([*before[-1:], *after[:1]])
        raise MissingError(
            f"{name}@{day}: no snapshot was taken on that day", hint=f"the nearest: {around}"
        )
    return of_day[-1].digest


def _by_digits(store: Store, digits: str) -> str:
    """A whole digest as it is; the beginning of one, when exactly one in the ledger begins so."""
    if len(digits) == len("0" * 64):
        return f"sha256:{digits}"
    digests = {
        entry.digest
        for name in store.names(KIND)
        for entry in store.history(KIND, name)
        if entry.digest.removeprefix("sha256:").startswith(digits)
    }
    if len(digests) > 1:
        several = ", ".join(sorted(short(digest) for digest in digests))
        raise MissingError(
            f"{digits}: several snapshots begin so: {several}", hint="say more of it"
        )
    if not digests:
        raise MissingError(f"no snapshot has a digest that begins with {digits}")
    return digests.pop()
