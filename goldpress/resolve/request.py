"""Owns one resolution: what a definition asks of a snapshot, and the packages that satisfy it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import solv

from goldpress.definition import Definition
from goldpress.document import nearest
from goldpress.errors import ResolveError
from goldpress.mirror.primary import AvailablePackage
from goldpress.mirror.snapshot import Snapshot
from goldpress.resolve.explain import problems, reasons
from goldpress.resolve.modules import ModuleFilter, Stream, module_filter, read_modules
from goldpress.resolve.pool import LoadedPool, available, load_pool, nevra
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A package of the answer, and why it is in: ``asked for`` or ``required by NAME``."""

    package: AvailablePackage
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The answer to a definition's request, in the order of names; nothing is downloaded yet."""

    snapshot: Snapshot
    request: Mapping[str, Any]
    chosen: tuple[Chosen, ...]

    @property
    def packages(self) -> tuple[AvailablePackage, ...]:
        """The packages without the reasons."""
        return tuple(row.package for row in self.chosen)


def resolve(store: Store, snapshot: Snapshot, definition: Definition) -> Resolution:
    """The packages that the definition asks for, and all that they need in an empty root.

    Raises ResolveError, in sentences, when there are none; MissingError or TrustError when the
    snapshot's metadata cannot be used.
    """
    if definition.distribution != snapshot.distribution and not snapshot.stand_in:
        raise ResolveError(
            f"the definition is for {definition.distribution}, the snapshot of "
            f"{snapshot.distribution}"
        )
    if definition.arch != snapshot.arch:
        raise ResolveError(
            f"the definition is for {definition.arch}, the snapshot for {snapshot.arch}"
        )
    loaded = load_pool(store, snapshot)
    modular = module_filter(
        _streams(store, snapshot),
        definition.modules,
        arch=snapshot.arch,
        platform=snapshot.platform,
    )
    hidden = _hidden(loaded, definition, modular)
    pool = loaded.pool
    pool.set_disabled_list([s.id for s in hidden])
    pool.createwhatprovides()
    hidden_ids = {s.id for s in hidden}
    visible = [s for s in loaded.solvables if s.id not in hidden_ids]
    _check_names(definition, visible, hidden, snapshot)
    chosen = _solve(pool, definition)
    why = reasons(pool, chosen, definition.packages, weak=definition.weak_dependencies)
    rows = [Chosen(package=available(s), why=why[s.id]) for s in chosen]
    return Resolution(
        snapshot=snapshot,
        request=definition.request(),
        chosen=tuple(sorted(rows, key=lambda row: row.package.nevra)),
    )


def _streams(store: Store, snapshot: Snapshot) -> Iterator[Stream]:
    for repository in snapshot.repositories:
        if "modules" in repository.metadata:
            data = b"".join(repository.open(store, "modules"))
            yield from read_modules(data, name=f"{repository.id}/modules")


def _hidden(loaded: LoadedPool, definition: Definition, modular: ModuleFilter) -> list[Any]:
    """The solvables that may not be chosen: other architectures, excluded, and modular ones."""
    arches = {definition.arch, "noarch"}
    owners = {
        s.id for name in modular.names for s in loaded.pool.whatprovides(loaded.pool.str2id(name))
    }
    hidden = []
    for solvable in loaded.solvables:
        full = nevra(solvable)
        if (
            solvable.arch not in arches
            or any(fnmatch.fnmatchcase(solvable.name, p) for p in definition.exclude)
            or full in modular.inactive
            or (full not in modular.active and solvable.name in modular.names)
            or (full not in modular.active and solvable.id in owners)
        ):
            hidden.append(solvable)
    return hidden


def _check_names(
    definition: Definition, visible: Iterable[Any], hidden: Iterable[Any], snapshot: Snapshot
) -> None:
    known = {solvable.name for solvable in visible}
    lines = []
    for name in definition.packages:
        if name in known:
            continue
        if any(solvable.name == name for solvable in hidden):
            lines.append(
                f"the package {name!r} is in {snapshot.distribution}, but only in a module stream "
                "that is not enabled, for another architecture, or excluded"
            )
        else:
            lines.append(
                f"no package named {name!r} in {snapshot.distribution}{nearest(name, known)}"
            )
    if lines:
        raise ResolveError("\n".join(lines), hint=f"correct `packages:` of {definition.name}")


def _solve(pool: Any, definition: Definition) -> list[Any]:
    jobs = []
    for name in definition.packages:
        selection = pool.select(name, solv.Selection.SELECTION_NAME)
        jobs += selection.jobs(solv.Job.SOLVER_INSTALL)
    solver = pool.Solver()
    # Without this, what is merely recommended is installed as well.
    solver.set_flag(
        solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 0 if definition.weak_dependencies else 1
    )
    found = solver.solve(jobs)
    if found:
        raise ResolveError(
            "\n".join(problems(found)),
            hint=f"change `packages:`, `exclude:` or `modules:` of {definition.name}",
        )
    return list(solver.transaction().newsolvables())
