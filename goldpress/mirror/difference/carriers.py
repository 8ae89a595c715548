"""Owns carriers: which packages of an image carry a CVE, and the fix that the mirror has.

Advisories of the repository that a package is from decide. Then changelogs: where the newest build
names the CVE and the package's own does not, it carries it. Then advisories of another
distribution, matched by version (see `cves`): likely, but no proof. Where nothing names the CVE,
nothing is known; that is no sign that nobody carries it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from goldpress.mirror.difference.change import Build, Package
from goldpress.mirror.difference.cves import CHANGELOG
from goldpress.mirror.difference.evr import EvrOrder, evr_order
from goldpress.mirror.difference.pairs import Offer, by_place, wins
from goldpress.mirror.metadata import changelog, streams, updateinfo
from goldpress.mirror.metadata.questions import Question, answers, question
from goldpress.mirror.metadata.updateinfo import Advisory, Fix
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

#: (stream, name, arch)
Place = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A package that carries the CVE, or whose fix is in it; EVRs as rpm shows them.

    `by` says so: ``changelog``, or advisories. `sure` is false for what was matched by version.
    `fix` is the newest build that the mirror has, if that is fixed; else "".
    """

    name: str
    source: str
    evr: str
    carries: bool
    sure: bool
    by: tuple[str, ...]
    fix: str


@dataclass(frozen=True, kw_only=True)
class _Named:
    """An advisory that names the CVE; `repository` is "" for one of another distribution."""

    repository: str
    advisory: Advisory


@dataclass(frozen=True, kw_only=True)
class Word:
    """What the mirror says of one CVE. `consulted` are the distributions with advisories asked.

    `newest` are the builds that the mirror offers now; `told` the sha256s of those of them whose
    changelog names the CVE.
    """

    store: Store
    cve: str
    named: tuple[_Named, ...]
    newest: Mapping[Place, Package]
    streams: Mapping[str, str]
    told: frozenset[str]
    consulted: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        """Whether anything names the CVE at all."""
        return bool(self.named or self.told)

    @cached_property
    def _fixes(self) -> Mapping[Place, Sequence[tuple[_Named, Fix]]]:
        found: defaultdict[Place, list[tuple[_Named, Fix]]] = defaultdict(list)
        for named in self.named:
            for fix in named.advisory.fixes:
                found[fix.stream, fix.name, fix.arch].append((named, fix))
        return found

    def carriers(
        self, packages: Iterable[Package], own: Sequence[Snapshot] = ()
    ) -> tuple[Carrier, ...]:
        """Which of these packages carry the CVE, or have its fix, by name.

        `own` are the snapshots that they are from, as far as the store has them. Raises TrustError
        for metadata that cannot be read.
        """
        offer = Offer(packages=tuple(packages), streams=self.streams)
        concerned = [
            Build.of(package, offer.stream(package))
            for package in offer.packages
            if self._concerns((offer.stream(package), package.name, package.arch))
        ]
        logs = _changelogs(self.store, own, concerned)
        named = {sha256: _names(log, self.cve) for sha256, log in logs.items()}
        found = (self._judged(build, named.get(build.sha256)) for build in concerned)
        return tuple(sorted((row for row in found if row), key=lambda row: row.name))

    def _concerns(self, place: Place) -> bool:
        newest = self.newest.get(place)
        return place in self._fixes or (newest is not None and newest.sha256 in self.told)

    def _judged(self, build: Build, own: bool | None) -> Carrier | None:
        """`own` is whether its own changelog names the CVE; None when nobody has that."""
        place = (build.stream, build.name, build.arch)
        rows = self._fixes.get(place, ())
        direct = [row for row in rows if row[0].repository == build.repository]
        if direct:
            return self._by_advisory(build, direct, sure=True)
        newest = self.newest.get(place)
        told = newest is not None and newest.sha256 in self.told
        if own or (newest is not None and newest.sha256 == build.sha256 and told):
            return self._carrier(build, carries=False, sure=True, by=(CHANGELOG,))
        if told:
            return self._carrier(build, carries=True, sure=own is False, by=(CHANGELOG,))
        others = [row for row in rows if not row[0].repository]
        return self._by_advisory(build, others, sure=False) if others else None

    def _by_advisory(
        self, build: Build, rows: Sequence[tuple[_Named, Fix]], *, sure: bool
    ) -> Carrier:
        # Of several advisories that name it, a later one repairs what an earlier one did not.
        fixed = max(_order(fix) for _, fix in rows)
        by = tuple(sorted({named.advisory.id for named, _ in rows}))
        return self._carrier(build, carries=build.order < fixed, sure=sure, by=by, fixed=fixed)

    def _carrier(
        self,
        build: Build,
        *,
        carries: bool,
        sure: bool,
        by: tuple[str, ...],
        fixed: EvrOrder | None = None,
    ) -> Carrier:
        newest = self.newest.get((build.stream, build.name, build.arch))
        fix = ""
        if carries and newest is not None:
            offered = Build.of(newest, build.stream)
            good = offered.sha256 in self.told or (fixed is not None and offered.order >= fixed)
            fix = offered.evr if good else ""
        return Carrier(
            name=build.name,
            source=build.source,
            evr=build.evr,
            carries=carries,
            sure=sure,
            by=by,
            fix=fix,
        )


def word(
    store: Store,
    cve: str,
    names: Iterable[str],
    *,
    newest: Sequence[Snapshot],
    errata: Sequence[Snapshot],
    older: Sequence[Snapshot] = (),
) -> Word:
    """What the mirror says of a CVE in packages with these names.

    `newest` are the newest snapshots of the images' distributions, `errata` those of distributions
    with advisories about them, `older` those that the images are from, for their module streams.
    Raises MissingError when the store lacks a file that a snapshot names, TrustError when one
    cannot be read.
    """
    wanted = sorted(set(names))
    by_nevra = _streams(store, [*newest, *older])
    offered = _offered(store, newest, frozenset(wanted), by_nevra)
    logs = _logs(store, newest, offered.values())
    bulletins = dict(_bulletins(store, newest, errata, wanted))
    asked = list(dict.fromkeys([*logs, *bulletins.values()]))
    answered = dict(zip(asked, answers(asked), strict=True))
    entries: dict[str, tuple[changelog.Entry, ...]] = {}
    for row in logs:
        entries |= changelog.entries(answered[row])
    named = [
        _Named(repository=repository, advisory=advisory)
        for (_, repository, _), row in bulletins.items()
        for advisory in updateinfo.advisories(answered[row])
        if cve in advisory.cves
    ]
    return Word(
        store=store,
        cve=cve,
        named=tuple(named),
        newest=offered,
        streams=by_nevra,
        told=frozenset(sha256 for sha256, log in entries.items() if _names(log, cve)),
        consulted=tuple(dict.fromkeys(distribution for distribution, _, _ in bulletins)),
    )


def _names(log: Iterable[changelog.Entry], cve: str) -> bool:
    return any(cve in entry.cves for entry in log)


def _order(fix: Fix) -> EvrOrder:
    return evr_order(fix.epoch, fix.version, fix.release)


def _streams(store: Store, snapshots: Iterable[Snapshot]) -> dict[str, str]:
    rows = dict.fromkeys(
        question(store, repository, "modules", streams.MODULE)
        for snapshot in snapshots
        for repository in snapshot.repositories
        if "modules" in repository.metadata
    )
    found: dict[str, str] = {}
    for answer in answers(list(rows)):
        found |= answer
    return found


def _offered(
    store: Store,
    snapshots: Iterable[Snapshot],
    names: frozenset[str],
    by_nevra: Mapping[str, str],
) -> dict[Place, Package]:
    """The newest builds of packages with these names."""
    packages: list[Package] = []
    priorities: dict[str, int] = {}
    for snapshot in snapshots:
        priorities |= {row.id: row.priority for row in snapshot.repositories}
        for repository in snapshot.repositories:
            packages += [row for row in repository.read_packages(store) if row.name in names]
    offer = Offer(packages=wins(packages, priorities), streams=by_nevra)
    return {
        (offer.stream(package), package.name, package.arch): package
        for package in offer.by_key(by_place).values()
    }


def _logs(
    store: Store, snapshots: Iterable[Snapshot], packages: Iterable[Package | Build]
) -> list[Question]:
    """Questions for the changelogs of these packages, one a repository."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for package in packages:
        wanted[package.repository].add(package.sha256)
    return [
        question(store, repository, "other", changelog.MODULE, sorted(wanted[repository.id]))
        for snapshot in snapshots
        for repository in snapshot.repositories
        if wanted.get(repository.id) and "other" in repository.metadata
    ]


def _bulletins(
    store: Store,
    newest: Iterable[Snapshot],
    errata: Iterable[Snapshot],
    names: Sequence[str],
) -> Iterator[tuple[tuple[str, str, str], Question]]:
    """Questions for advisories by (distribution, repository, sha256 of what is asked)."""
    own = [(snapshot, repository.id, repository) for snapshot, repository in _each(newest)]
    others = [(snapshot, "", repository) for snapshot, repository in _each(errata)]
    distributions = {snapshot.distribution for snapshot, _, _ in own}
    for snapshot, id_, repository in (*own, *others):
        about_itself = not id_ and snapshot.distribution in distributions
        if names and "updateinfo" in repository.metadata and not about_itself:
            row = question(store, repository, "updateinfo", updateinfo.MODULE, list(names))
            yield (snapshot.distribution, id_, row.file.sha256), row


def _each(snapshots: Iterable[Snapshot]) -> Iterator[tuple[Snapshot, RepositorySnapshot]]:
    for snapshot in snapshots:
        for repository in snapshot.repositories:
            yield snapshot, repository


def _changelogs(
    store: Store, own: Sequence[Snapshot], builds: Sequence[Build]
) -> dict[str, tuple[changelog.Entry, ...]]:
    found: dict[str, tuple[changelog.Entry, ...]] = {}
    for answer in answers(_logs(store, own, builds)):
        found |= changelog.entries(answer)
    return found
