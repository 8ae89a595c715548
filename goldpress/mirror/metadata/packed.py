"""Owns a metadata file in the store as it is handed to a limited child that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from goldpress.digest import canonical_json, sha256_file
from goldpress.errors import TrustError
from goldpress.mirror.metadata.opened import opened


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A file as downloaded: its path, what it has to be, its name for messages.

    `open_size` in bytes is what it may open to, 0 when nothing was promised.
    """

    path: str
    sha256: str
    name: str
    open_size: int = 0

    def argument(self) -> str:
        """It as an argument of a child."""
        return canonical_json(asdict(self)).decode()

    @classmethod
    def from_argument(cls, text: str) -> Self:
        """The inverse of `argument`."""
        return cls(**json.loads(text))

    def checked(self) -> Path:
        """Its path. Raises TrustError when its bytes are not what they were."""
        path = Path(self.path)
        if sha256_file(path) != self.sha256:
            raise TrustError(
                f"{path}: its bytes do not match its name; the file was changed",
                hint="delete it and run `./inv mirror.sync`",
            )
        return path

    def chunks(self) -> Iterator[bytes]:
        """Its decompressed bytes. Raises TrustError for changed, damaged or too large ones."""
        yield from opened(self.checked(), name=self.name, size=self.open_size)
