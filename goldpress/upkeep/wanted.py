"""Owns what a sync is about: the distributions of the project's images, and the images' locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from goldpress.definition import Definition
from goldpress.distribution import Distribution, distribution_ids, load_distribution
from goldpress.errors import MissingError
from goldpress.locking.places import distributions
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A distribution to sync for an architecture, and where images that use it have their locks.

    `errata_only` when it is there for its advisories: its metadata is all that is wanted.
    """

    distribution: Distribution
    arch: str
    locks: tuple[Path, ...] = ()
    errata_only: bool = False


def images(ws: Workspace) -> tuple[Definition, ...]:
    """The definitions of all images of the project. Raises MissingError when it has none."""
    found = tuple(sorted(p.parent.name for p in (ws.project / "images").glob("*/image.yaml")))
    if not found:
        raise MissingError("the project has no image: images/*/image.yaml is not there")
    return tuple(ws.definition(name) for name in found)


def wanted(
    ws: Workspace,
    definitions: Iterable[Definition],
    *,
    only: Sequence[str] = (),
    sandbox: bool = False,
) -> tuple[Wanted, ...]:
    """What to sync, each distribution once an architecture: those of images, and errata for them.

    `only` names distributions instead; one that no image uses comes for all its architectures.
    Raises MissingError for an unknown one, DocumentError when an image's do not go together.
    """
    named = {name: load_distribution(ws.project, name) for name in dict.fromkeys(only)}
    used = _used(ws, definitions, sandbox=sandbox)
    if not named:
        return (*used, *_errata(ws, used))
    found = [part for part in used if part.distribution.id in named]
    ids = {part.distribution.id for part in found}
    return (
        *found,
        *(
            Wanted(distribution=row, arch=arch)
            for id_, row in named.items()
            if id_ not in ids
            for arch in sorted(row.arches)
        ),
    )


def _used(ws: Workspace, definitions: Iterable[Definition], *, sandbox: bool) -> tuple[Wanted, ...]:
    found: dict[tuple[str, str], Wanted] = {}
    for definition in definitions:
        first = ws.distribution(definition, sandbox=sandbox)
        # What is made on this machine brings its packages when its lock is made.
        locks = () if first.made else (ws.lock_path(definition, first),)
        for row in distributions(ws, definition, first):
            key = (row.id, definition.arch)
            part = found.get(key, Wanted(distribution=row, arch=definition.arch))
            found[key] = replace(part, locks=(*part.locks, *locks))
    return tuple(found.values())


def _errata(ws: Workspace, used: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """The distributions whose advisories are about packages of these, as far as they have them."""
    about = {(part.distribution.id, part.arch) for part in used}
    others = [load_distribution(ws.project, name) for name in distribution_ids(ws.project)]
    return tuple(
        Wanted(distribution=row, arch=arch, errata_only=True)
        for row in others
        for arch in sorted(row.arches)
        if (row.errata_for, arch) in about and (row.id, arch) not in about
    )
