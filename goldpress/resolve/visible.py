"""Owns which packages may be chosen, and for every other the reason why not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import translate
from typing import Any

from goldpress.mirror.overrides import Overrides
from goldpress.resolve.modules import ModuleFilter
from goldpress.resolve.pool import LoadedPool, full_evr, nevra


class Hiding(Enum):
    """Why a package may not be chosen."""

    ARCH = "arch"
    EXCLUDED = "excluded"
    STREAM = "stream"
    SHADOWED = "shadowed"
    PINNED = "pinned"
    TRACKED = "tracked"


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A reason with its detail: the pattern of an exclude, ``module:stream``, a pin's EVR."""

    why: Hiding
    detail: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What decides which packages may be chosen."""

    arch: str
    exclude: Sequence[str]
    modular: ModuleFilter
    overrides: Overrides


def hidden(loaded: LoadedPool, wish: Wish) -> dict[int, Hidden]:
    """By libsolv's id of a package, why it may not be chosen; the others may."""
    rules = _Rules(loaded, wish)
    found = {}
    for solvable in loaded.solvables:
        reason = rules.reason(solvable)
        if reason is not None:
            found[solvable.id] = reason
    return found


class _Rules:
    """The rules with what is the same for all packages of a name found out before.

    There are twenty thousand packages, and each look at one costs as much as ten lines here.
    """

    def __init__(self, loaded: LoadedPool, wish: Wish) -> None:
        pool, modular = loaded.pool, wish.modular
        self.only = loaded.only
        self.modular = modular
        self.arches = {pool.str2id(arch) for arch in (wish.arch, "noarch")}
        self.patterns = [(pattern, re.compile(translate(pattern))) for pattern in wish.exclude]
        self.excluded: dict[int, Hidden | None] = {}
        self.pins = {pool.str2id(pin.name): pin.evr for pin in wish.overrides.pins}
        self.tracks = {pool.str2id(t.name): t.evr for t in wish.overrides.fast_tracks}
        # Names of artifacts, and everything that has or provides a name of an enabled stream.
        nevras = (*modular.active, *modular.inactive)
        self.modular_names = {pool.str2id(nevra.rsplit("-", 2)[0]) for nevra in nevras}
        self.owners = {
            solvable.id: stream
            for name, stream in modular.names.items()
            for solvable in pool.whatprovides(pool.str2id(name))
        }

    def reason(self, solvable: Any) -> Hidden | None:
        name = solvable.nameid
        if self.only:
            only = self.only.get(solvable.repo.id)
            if only is not None:
                taken = nevra(solvable) in only
                return None if taken else Hidden(why=Hiding.TRACKED, detail="")
        if solvable.archid not in self.arches:
            return Hidden(why=Hiding.ARCH, detail=solvable.arch)
        if self.patterns and (match := self._excluded(name, solvable)) is not None:
            return match
        if name in self.tracks:
            return Hidden(why=Hiding.PINNED, detail=self.tracks[name])
        if name in self.pins and full_evr(solvable.evr) != self.pins[name]:
            return Hidden(why=Hiding.PINNED, detail=self.pins[name])
        return self._modular(name, solvable)

    def _excluded(self, name: int, solvable: Any) -> Hidden | None:
        if name not in self.excluded:
            text = solvable.name
            found = next((p for p, compiled in self.patterns if compiled.match(text)), None)
            self.excluded[name] = Hidden(why=Hiding.EXCLUDED, detail=found) if found else None
        return self.excluded[name]

    def _modular(self, name: int, solvable: Any) -> Hidden | None:
        if name in self.modular_names:
            full = nevra(solvable)
            if full in self.modular.active:
                return None
            if full in self.modular.inactive:
                return Hidden(why=Hiding.STREAM, detail=self.modular.inactive[full])
        if solvable.id in self.owners:
            return Hidden(why=Hiding.SHADOWED, detail=self.owners[solvable.id])
        return None
