"""Owns what the image promised: the suite's input file."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
class Pool:
    """One PHP pool. `database` is the SELinux type of its database's port, or empty."""

    name: str
    unit: str
    user: str
    domain: str
    workers: int
    host: str
    root: str
    public: str
    run: str
    socket: str
    state: str
    database: str

    @property
    def types(self) -> str:
        """What the SELinux types of its files begin with."""
        return self.domain.removesuffix("_t")


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the image has to be: the input file, parsed. Unknown keys are errors.

    `expected` maps a level to the controls and duties that have one check there, `parameters` a
    control to what its checks compare with. `root_hash` are 64 hex digits and `host_key` is the
    fingerprint that the console of this copy's first boot announced; a tree has neither yet.
    """

    image: str
    distribution: str
    stand_in: bool
    arch: str
    packages: tuple[str, ...]
    listen: frozenset[Port]
    services: tuple[str, ...]
    masked: tuple[str, ...]
    booleans: dict[str, bool]
    pools: tuple[Pool, ...]
    expected: Mapping[str, tuple[str, ...]]
    not_exercised: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, Any]]
    root_hash: str = ""
    host_key: str = ""


def read_promise(path: Path) -> Promise:
    """Read the input file. Raises TypeError or ValueError when it is not one."""
    value: dict[str, Any] = json.loads(path.read_bytes())
    for name in ("packages", "services", "masked"):
        value[name] = tuple(value[name])
    value["listen"] = frozenset(Port(**port) for port in value["listen"])
    value["pools"] = tuple(Pool(**pool) for pool in value["pools"])
    value["expected"] = {level: tuple(ids) for level, ids in value["expected"].items()}
    return Promise(**value)
