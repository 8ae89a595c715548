"""Owns what is about to be deleted: the two steps that a file goes through before it is gone.

    gc/graves.json   {"epoch": "<hex>", "marked": {"<key>": "<since>"},
                      "deleting": {"<key>": "<until>"}, "format": 1}

A file that nothing needs is *marked*; a later run that still finds it unneeded, after the grace
period, moves it to *deleting*, and only then removes it. Whoever relies on a file claims it first:
a mark is taken back by compare-and-set, a file in deletion is waited for and then is not there.
So no file disappears under somebody who saw it within the grace period.

A process that dies in between leaves files in deletion. In a directory a lock tells that it is
dead; S3 has none, so a deletion carries a time: until then its process may send deletions, and
`SLACK` later none of them can still arrive. Whoever finds it then takes it over and finishes it.

The epoch changes with every deletion; what someone knew to be there in another epoch is forgotten.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from goldpress.digest import canonical_json
from goldpress.errors import ConflictError, DocumentError
from goldpress.progress import note
from goldpress.store.ledger import ATTEMPTS, PAUSE_SECONDS, Ledger
from goldpress.store.objects import Objects

KEY = "gc/graves.json"
FORMAT = 1
#: How long a reading of the graves is good: far below any grace period, see `claim`.
MEMORY_SECONDS = 30.0
#: Within this time after its announcement a process may send deletions, not later.
LEASE = timedelta(seconds=60)
#: All attempts of a request together (aws/client: 5 times 40 s, and pauses), and wrong clocks.
SLACK = timedelta(seconds=300)
WAIT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Graves:
    """What is marked since when, and what is in deletion until when (UTC), by key."""

    epoch: str
    marked: Mapping[str, datetime]
    deleting: Mapping[str, datetime]


@dataclass(kw_only=True)
class Graveyard:
    """The graves of a store. One object may be used by several threads."""

    objects: Objects
    _seen: tuple[float, Graves | None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> tuple[Graves | None, str | None]:
        """The graves as they are now, with their version; None when there never were any."""
        held = self.objects.get(KEY)
        if held is None:
            return None, None
        return parsed(held.data, where=f"{self.objects.name}/{KEY}"), held.version

    def claim(self, key: str) -> None:
        """Make sure that `key`, if it is there, stays for the grace period.

        What is unmarked in a reading that is seconds old can be marked since, but not deleted:
        that takes the grace period. What is in deletion is gone when this returns.
        """
        graves = self._recent()
        if graves is None or not (key in graves.marked or key in graves.deleting):
            return
        with self._lock:
            self._seen = None
            told = False
            while not self._claimed(key):
                if not told:
                    note(f"waiting until {key} is deleted, to bring it anew (at most 6 minutes)")
                told = True
                time.sleep(WAIT_SECONDS)

    def epoch(self) -> str:
        """The present epoch; the first is made when there is none."""
        graves = self._recent()
        if graves is None:
            graves = self.change(replace)
            self._seen = (time.monotonic(), graves)
        return graves.epoch

    def mark(self, keys: Iterable[str], *, now: datetime) -> None:
        """Mark keys that nothing needs; those that are marked already keep their time."""
        wanted = tuple(keys)
        self.change(
            lambda g: replace(
                g, marked={**{k: now for k in wanted if k not in g.deleting}, **g.marked}
            )
        )

    def unmark(self, keys: Iterable[str]) -> None:
        """Take back the marks of keys that something needs."""
        gone = frozenset(keys)
        self.change(
            lambda g: replace(g, marked={k: t for k, t in g.marked.items() if k not in gone})
        )

    def bury(self, keys: Iterable[str], *, before: datetime) -> tuple[str, ...]:
        """Delete those of `keys` that are marked since before `before`; returns which.

        Nobody can take them back after the first compare-and-set; whoever took one back before it
        keeps it. Raises ConflictError when this takes longer than a deletion may.
        """
        wanted = frozenset(keys)
        return self._delete(
            lambda graves, _: (k for k, t in graves.marked.items() if k in wanted and t < before)
        )

    def finish(self) -> tuple[str, ...]:
        """Finish what a process that died has left in deletion; returns which."""
        return self._delete(_abandoned)

    def change(self, make: Callable[[Graves], Graves]) -> Graves:
        """Change the graves by compare-and-set; returns what they are then."""
        for attempt in range(ATTEMPTS):
            graves, version = self.read()
            now = graves or Graves(epoch=secrets.token_hex(8), marked={}, deleting={})
            wanted = make(now)
            # No first document for a change that changes nothing.
            if wanted == graves or (wanted is now and graves is None):
                return wanted
            if self.objects.swap(KEY, written(wanted), version=version):
                return wanted
            time.sleep(PAUSE_SECONDS * (attempt + 1))
        raise ConflictError(
            f"{self.objects.name}/{KEY}: others changed it {ATTEMPTS} times in a row",
            hint="run the command again when they have ended",
        )

    def _recent(self) -> Graves | None:
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > MEMORY_SECONDS:
                # The time before the reading: what is known is at least as old.
                asked = time.monotonic()
                self._seen = (asked, self.read()[0])
            return self._seen[1]

    def _claimed(self, key: str) -> bool:
        """Whether the key is in no grave any more, after trying to take it out of one."""
        graves = self.change(
            lambda g: replace(g, marked={k: t for k, t in g.marked.items() if k != key})
        )
        if key not in graves.deleting:
            return True
        # Where a lock tells, this waits for the one who deletes, and then nothing is left to do.
        self._delete(lambda now, sole: (k for k in _abandoned(now, sole) if k == key))
        now, _ = self.read()
        return now is None or key not in now.deleting

    def _delete(self, choose: Callable[[Graves, bool], Iterable[str]]) -> tuple[str, ...]:
        """Announce what `choose` says (given the graves, and whether we are alone), and do it."""
        chosen: tuple[str, ...] = ()
        with self.objects.sole() as sole:
            until = datetime.now(UTC) + LEASE

            def announced(graves: Graves) -> Graves:
                nonlocal chosen
                chosen = tuple(sorted(choose(graves, sole)))
                if not chosen:
                    return graves
                gone = dict.fromkeys(chosen, until)
                return Graves(
                    epoch=secrets.token_hex(8),
                    marked={k: t for k, t in graves.marked.items() if k not in gone},
                    deleting={**graves.deleting, **gone},
                )

            self.change(announced)
            if chosen:
                self._forget(chosen)
                if not sole and datetime.now(UTC) > until:
                    raise ConflictError(
                        f"{self.objects.name}: deleting {len(chosen)} objects took too long",
                        hint="nothing is lost: run it again in ten minutes",
                    )
                self.objects.delete(chosen)
                self.change(lambda graves: _closed(graves, chosen, until))
        return chosen

    def _forget(self, keys: tuple[str, ...]) -> None:
        """A name stands for documents that are there: first the ledger, then the document."""
        for key in keys:
            top, _, rest = key.partition("/")
            kind, _, file = rest.partition("/")
            if top != "documents" or not file.endswith(".json"):
                continue
            digest = f"sha256:{file.removesuffix('.json')}"
            ledger = Ledger(objects=self.objects, kind=kind)
            for name, entries in ledger.read().items():
                if any(entry.digest == digest for entry in entries):
                    ledger.forget(name, digest)


def _abandoned(graves: Graves, sole: bool) -> Iterable[str]:
    """What is in deletion by nobody who lives."""
    late = datetime.now(UTC) - SLACK
    return (key for key, until in graves.deleting.items() if sole or until < late)


def _closed(graves: Graves, keys: tuple[str, ...], until: datetime) -> Graves:
    """Without these keys; another time than ours means that someone took them over."""
    ours = dict.fromkeys(keys, until)
    rest = {k: t for k, t in graves.deleting.items() if ours.get(k) != t}
    return replace(graves, deleting=rest)


def written(graves: Graves) -> bytes:
    """The document, canonical."""
    return canonical_json(
        {
            "format": FORMAT,
            "epoch": graves.epoch,
            "marked": {k: t.isoformat() for k, t in graves.marked.items()},
            "deleting": {k: t.isoformat() for k, t in graves.deleting.items()},
        }
    )


def parsed(data: bytes, *, where: str) -> Graves:
    """The inverse of `written`. Raises DocumentError that names `where`."""
    try:
        value = json.loads(data)
        if value["format"] != FORMAT:
            raise DocumentError(
                f"{where}: format {value['format']} is not {FORMAT}",
                hint="another version of goldpress wrote it; use that one",
            )
        return Graves(
            epoch=value["epoch"],
            marked={k: datetime.fromisoformat(t) for k, t in value["marked"].items()},
            deleting={k: datetime.fromisoformat(t) for k, t in value["deleting"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"{where}: not a list of graves: {error!r}") from None
