"""Owns comparing: two snapshots of repositories, or two locks of an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from goldpress.digest import short
from goldpress.errors import DocumentError, MissingError
from goldpress.lock import Lock
from goldpress.mirror.difference.change import Change, Difference, Side, Source
from goldpress.mirror.difference.cves import Repositories, findings
from goldpress.mirror.difference.pairs import (
    Keys,
    Offer,
    by_build,
    by_name,
    by_place,
    by_source,
    changes,
    judged,
    wins,
)
from goldpress.mirror.difference.remarks import cve_remarks, lock_remarks, respun
from goldpress.mirror.metadata import streams
from goldpress.mirror.metadata.questions import answers, question
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class _Sided:
    """One of the two to compare: what it is called, what it has, and where that is from."""

    name: str
    digest: str
    offer: Offer
    repositories: Repositories

    def side(self, keys: Keys) -> Side:
        packages = self.offer.by_key(keys).values()
        return Side(
            name=self.name,
            digest=self.digest,
            packages=len(packages),
            size=sum(package.size for package in packages),
        )


def diff_snapshots(
    store: Store,
    before: Snapshot,
    after: Snapshot,
    *,
    errata: Sequence[Snapshot] = (),
    every: bool = False,
) -> Difference:
    """What the repositories offer other than before: the newest of each package, or `every` one.

    `errata` are snapshots of distributions with advisories about these packages. Raises
    DocumentError for snapshots of two architectures; MissingError when the store lacks a file
    that a snapshot names, TrustError when one cannot be read.
    """
    if before.arch != after.arch:
        raise DocumentError(
            f"a snapshot for {before.arch} and one for {after.arch} have no packages in common",
            hint="name two snapshots of one architecture",
        )
    by_nevra = _streams(store, (before, after))
    one, two = (_snapshot_side(store, snapshot, by_nevra) for snapshot in (before, after))
    newest = changes(one.offer, two.offer, by_place)
    keys = by_build if every else by_place
    shown = changes(one.offer, two.offer, keys) if every else newest
    return _difference(store, one, two, keys=keys, shown=shown, pairs=newest, errata=errata)


def diff_locks(
    store: Store, before: Lock, after: Lock, *, errata: Sequence[Snapshot] = ()
) -> Difference:
    """What an image built from `after` has other than one built from `before`.

    Where the store has no snapshot that a lock was made from, there is no CVE data, and a remark
    says so. Raises as `diff_snapshots`.
    """
    if before.arch != after.arch:
        raise DocumentError(
            f"a lock for {before.arch} and one for {after.arch} have no packages in common",
            hint="name two locks of one architecture",
        )
    known: list[list[Snapshot]] = []
    remarks: list[str] = []
    for lock in (before, after):
        found, missing = _snapshots(store, lock)
        known.append(found)
        remarks += missing
    by_nevra = _streams(store, [snapshot for found in known for snapshot in found])
    one, two = (
        _Sided(
            name=f"{lock.distribution}.{lock.arch} lock {short(lock.digest)}",
            digest=lock.digest,
            offer=Offer(packages=lock.packages, streams=by_nevra),
            repositories=Repositories.of(found),
        )
        for lock, found in zip((before, after), known, strict=True)
    )
    pairs = changes(one.offer, two.offer, by_name)
    difference = _difference(store, one, two, keys=by_name, shown=pairs, pairs=pairs, errata=errata)
    remarks = [*lock_remarks(before, after), *remarks, *difference.remarks]
    return replace(difference, remarks=tuple(dict.fromkeys(remarks)))


def _difference(
    store: Store,
    one: _Sided,
    two: _Sided,
    *,
    keys: Keys,
    shown: tuple[Change, ...],
    pairs: tuple[Change, ...],
    errata: Sequence[Snapshot],
) -> Difference:
    found = findings(store, by_source(pairs), one.repositories, two.repositories, errata)
    sources = tuple(
        Source(
            name=name,
            stream=stream,
            changes=tuple(judged(change, found.get((stream, name))) for change in rows),
            findings=found.get((stream, name)),
        )
        for (stream, name), rows in by_source(shown).items()
    )
    remarks = [
        *respun(sources),
        *cve_remarks(pairs, one.repositories, two.repositories, errata, sources),
    ]
    return Difference(
        before=one.side(keys), after=two.side(keys), sources=sources, remarks=tuple(remarks)
    )


def _snapshot_side(store: Store, snapshot: Snapshot, by_nevra: Mapping[str, str]) -> _Sided:
    priorities = {repository.id: repository.priority for repository in snapshot.repositories}
    packages = (p for repository in snapshot.repositories for p in repository.read_packages(store))
    return _Sided(
        name=f"{snapshot.distribution}.{snapshot.arch} {short(snapshot.digest)}",
        digest=snapshot.digest,
        offer=Offer(packages=wins(packages, priorities), streams=by_nevra),
        repositories=Repositories.of([snapshot]),
    )


def _streams(store: Store, snapshots: Iterable[Snapshot]) -> dict[str, str]:
    """``module:stream`` by NEVRA, as the repositories' modules.yaml say.

    Which stream a build belongs to does not change: what one side knows holds for the other.
    """
    rows = {
        question(store, repository, "modules", streams.MODULE): None
        for snapshot in snapshots
        for repository in snapshot.repositories
        if "modules" in repository.metadata
    }
    found: dict[str, str] = {}
    for answer in answers(list(rows)):
        found |= answer
    return found


def _snapshots(store: Store, lock: Lock) -> tuple[list[Snapshot], list[str]]:
    """The snapshots that a lock was made from, and what to say of those that are not there."""
    found, missing = [], []
    for distribution, digest in sorted(lock.snapshots.items()):
        try:
            found.append(Snapshot.read(store, digest))
        except MissingError:
            missing.append(
                f"the store has no snapshot {short(digest)} of {distribution}, which lock "
                f"{short(lock.digest)} was made from: no CVE data for what it brought"
            )
    return found, missing
