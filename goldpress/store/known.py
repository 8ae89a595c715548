"""Owns what a shared store is known to hold, so that it is not asked again for each file.

    <root>/known/<epoch>   one key a line

A line is good for one epoch only: an epoch ends with the next deletion, see `graves`. The file of
another epoch is dropped. A store that was emptied and made again has another epoch, too.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class Known:
    """The keys that were seen in a shared store, by epoch; several processes may add."""

    root: Path
    _epoch: str = ""
    _keys: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, key: str, *, epoch: str) -> bool:
        """Whether `key` was seen in this epoch."""
        with self._lock:
            self._load(epoch)
            return key in self._keys

    def add(self, key: str, *, epoch: str) -> None:
        """Remember that `key` was seen after `epoch` was read."""
        with self._lock:
            self._load(epoch)
            if key in self._keys:
                return
            self._keys.add(key)
            with (self.root / epoch).open("a") as stream:
                # One short write: lines of two processes do not mix.
                stream.write(f"{key}\n")

    def _load(self, epoch: str) -> None:
        if epoch == self._epoch:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for other in self.root.iterdir():
            if other.name != epoch:
                other.unlink(missing_ok=True)
        path = self.root / epoch
        # A line without its end was cut off by a crash.
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        self._keys = {line.rstrip("\n") for line in lines if line.endswith("\n")}
        self._epoch = epoch
