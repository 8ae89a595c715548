"""Owns one resolution: what a definition asks of snapshots, and the packages that satisfy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.definition import Definition
from goldpress.document import nearest
from goldpress.errors import ResolveError
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.overrides import FILE, NONE, FastTrack, Overrides
from goldpress.mirror.snapshot import Snapshot
from goldpress.resolve.asking import Asking
from goldpress.resolve.explain import reasons
from goldpress.resolve.modules import Allowed
from goldpress.resolve.pool import Offer, available, load_pool
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A package of the answer, the snapshot that has it, and why it is in.

    Reasons are ``asked for`` or ``required by NAME``, and that of an override.
    """

    snapshot: Snapshot
    package: AvailablePackage
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The answer to a definition's request, in the order of names; nothing is downloaded yet.

    `snapshots` begins with that of the image's distribution. `held_back` has a sentence for
    each package that was asked for and is not the newest, because that cannot be installed.
    """

    snapshots: tuple[Snapshot, ...]
    request: Mapping[str, Any]
    chosen: tuple[Chosen, ...]
    held_back: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[AvailablePackage, ...]:
        """The packages without the reasons."""
        return tuple(row.package for row in self.chosen)


def full_request(definition: Definition, overrides: Overrides) -> dict[str, Any]:
    """All that decides which packages are chosen, as plain JSON; a lock keeps it."""
    return {**definition.request(), "overrides": overrides.document()}


def resolve(
    store: Store,
    snapshots: Sequence[Snapshot],
    definition: Definition,
    *,
    cache: Path,
    overrides: Overrides = NONE,
    allowed: Allowed | None = None,
) -> Resolution:
    """The packages that the definition asks for, and all that they need in an empty root.

    `snapshots` are that of the definition's distribution, then those of its `with:`; `cache`
    is a directory for the resolver's own form of metadata; `overrides` are those that apply;
    `allowed` are the module streams that may be suggested (None: all). Raises ResolveError, in
    sentences, when there is no answer; MissingError or TrustError when the snapshots' metadata
    cannot be used.
    """
    _check_places(snapshots, definition)
    offers = [Offer(snapshot=s, repository=r) for s in snapshots for r in s.repositories]
    offers += [_tracked(store, track, snapshots) for track in overrides.fast_tracks]
    loaded = load_pool(store, offers, definition.arch, cache)
    asking = Asking(
        loaded=loaded,
        definition=definition,
        overrides=overrides,
        platform=snapshots[0].platform,
        where=" and ".join(snapshot.distribution for snapshot in snapshots),
        allowed=allowed,
    )
    chosen, held_back = asking.answer()
    why = reasons(loaded.pool, chosen, definition.packages, weak=definition.weak_dependencies)
    extra = {row.name: row for row in overrides.every()}
    rows = []
    for solvable in chosen:
        texts = why[solvable.id]
        if solvable.name in extra:
            override = extra[solvable.name]
            kind = "fast-tracked" if isinstance(override, FastTrack) else "pinned"
            texts = (*texts, f"{kind}: {override.reason}")
        snapshot = loaded.snapshots[solvable.repo.id]
        rows.append(Chosen(snapshot=snapshot, package=available(solvable), why=texts))
    return Resolution(
        snapshots=tuple(snapshots),
        request=full_request(definition, overrides),
        chosen=tuple(sorted(rows, key=lambda row: row.package.nevra)),
        held_back=held_back,
    )


def _check_places(snapshots: Sequence[Snapshot], definition: Definition) -> None:
    first, *others = snapshots
    if definition.distribution != first.distribution and not first.stand_in:
        raise ResolveError(
            f"the definition is for {definition.distribution}, the snapshot of {first.distribution}"
        )
    found = sorted(snapshot.distribution for snapshot in others)
    if found != list(definition.extra) and not first.stand_in:
        raise ResolveError(
            f"the definition is with {', '.join(definition.extra) or 'nothing'}, the snapshots "
            f"are with {', '.join(found) or 'nothing'}"
        )
    for snapshot in snapshots:
        if definition.arch != snapshot.arch:
            raise ResolveError(
                f"the definition is for {definition.arch}, the snapshot for {snapshot.arch}"
            )


def _tracked(store: Store, track: FastTrack, snapshots: Sequence[Snapshot]) -> Offer:
    hint = f"correct `fast_tracks:` in {FILE}"
    snapshot = Snapshot.read(store, track.snapshot)
    if snapshot.arch != snapshots[0].arch:
        raise ResolveError(f"the {track}: that snapshot is for {snapshot.arch}", hint=hint)
    known = [other.distribution for other in snapshots]
    if snapshot.distribution not in known:
        # Whose keys would be asked to judge it?
        raise ResolveError(
            f"the {track}: that snapshot is of {snapshot.distribution}, and the image is made "
            f"from {' and '.join(known)}",
            hint=f"{hint}, or name it in the image's `with:`",
        )
    repository = snapshot.repository(track.repository)
    if repository is None:
        ids = [row.id for row in snapshot.repositories]
        raise ResolveError(
            f"the {track}: that snapshot has no such repository{nearest(track.repository, ids)}",
            hint=hint,
        )
    return Offer(snapshot=snapshot, repository=repository, only=frozenset({track.nevra}))
