"""Owns what all services of one cloud share: its directory, its clock, its settings."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldpress.emulator.clock import Clock
from goldpress.emulator.settings import Settings, changed, document


@dataclass(kw_only=True)
class World:
    """One cloud. `directory` holds blocks and machines; `lock` is held while a rule is applied."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    settings: Settings = field(default_factory=Settings)
    #: results by (what, account, region, client token), with the request they answered
    tokens: dict[tuple[str, str, str, str], tuple[Any, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def blocks(self) -> Path:
        """Where EBS snapshots keep their blocks, one folder each."""
        return self.directory / "ebs"

    @property
    def machines(self) -> Path:
        """Where instances of the driver `qemu` are, one folder each."""
        return self.directory / "machines"

    def set(self, values: Mapping[str, Any]) -> None:
        """Change settings. Raises ValueError."""
        self.settings = changed(self.settings, values)

    def settings_document(self) -> dict[str, Any]:
        """All settings, as JSON has them."""
        return document(self.settings)


_WORLDS: list[World] = []


def enter(world: World) -> None:
    """From now on this is the cloud that requests go to."""
    _WORLDS[:] = [world]


def current() -> World:
    """The cloud that requests go to: moto makes its own objects, so it has to be found."""
    return _WORLDS[0]
