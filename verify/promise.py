"""Owns what the image promised: the suite's input file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Port:
    """A listening port. `address` is ``any``, ``loopback`` or ``interface``."""

    protocol: str
    port: int
    address: str = "any"

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port} on {self.address}"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the image has to be: the input file, parsed. Unknown keys are errors."""

    image: str
    distribution: str
    stand_in: bool
    arch: str
    packages: tuple[str, ...]
    listen: frozenset[Port]
    services: tuple[str, ...]
    booleans: dict[str, bool]
    root_uuid: str


def read_promise(path: Path) -> Promise:
    """Read the input file. Raises TypeError or ValueError when it is not one."""
    value: dict[str, Any] = json.loads(path.read_bytes())
    value["packages"] = tuple(value["packages"])
    value["listen"] = frozenset(Port(**port) for port in value["listen"])
    value["services"] = tuple(value["services"])
    return Promise(**value)
