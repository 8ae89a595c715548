"""Owns a question about metadata as the limited child sees it, and its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.digest import canonical_json
from goldpress.mirror.metadata.packed import Packed


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as the child sees it, and where its answer goes."""

    file: Packed
    wanted: Any
    target: Path

    def answer(self, value: Any) -> None:
        """Give the answer, a JSON value."""
        self.target.write_bytes(canonical_json(value))


def asked(arguments: Sequence[str]) -> Asked:
    """In the child: what was asked."""
    file, wanted, target = arguments
    return Asked(
        file=Packed.from_argument(file),
        wanted=json.loads(Path(wanted).read_bytes()),
        target=Path(target),
    )
