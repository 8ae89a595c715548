"""Owns verdicts: what was seen of each package, by its sha256, with one set of keys.

A file's bytes say whose signature they have and what the header says; neither changes while the
keys stay the same. So it is looked at once on a machine, and compared with what is expected often.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from goldpress.digest import digest_of, sha256_file, short
from goldpress.distribution import Signers
from goldpress.mirror.trust.rpmkeys import Verdict
from goldpress.store import write_atomically

#: Part of the name: what was seen by older code is looked at again.
VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """The verdicts of one set of keys; the database of the keys is in `directory`, too."""

    directory: Path

    @classmethod
    def of(cls, signers: Signers, cache: Path) -> Self:
        """Those of these signers; `cache` is a directory of this machine."""
        keys = {
            "version": VERSION,
            "fingerprints": sorted(signers.fingerprints),
            "files": sorted(sha256_file(path) for path in signers.key_files),
        }
        return cls(directory=cache / f"keys-{short(digest_of(keys))}")

    def read(self) -> dict[str, Verdict]:
        """The verdicts by sha256; none when they cannot be read: then all is looked at anew."""
        try:
            rows = json.loads(self._path.read_bytes())
            return {sha256: Verdict(**row) for sha256, row in rows.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self, new: Mapping[str, Verdict]) -> None:
        """Add verdicts; those that another process adds at the same moment may be lost."""
        rows = {
            sha256: asdict(verdict) for sha256, verdict in sorted({**self.read(), **new}.items())
        }
        write_atomically(self._path, json.dumps(rows, indent=0).encode())

    @property
    def _path(self) -> Path:
        return self.directory / "verdicts.json"
