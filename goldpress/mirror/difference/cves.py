"""Owns what is known of CVEs between builds: changelogs and advisories, asked and matched.

An advisory of the repository that a package is from speaks of its very builds. One of another
distribution speaks of that one's; by comparing versions (older < fixed <= newer) it tells what is
likely fixed here too, and people are told so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from goldpress.mirror.difference.change import Build, Change, Cve, Findings
from goldpress.mirror.difference.evr import evr_order
from goldpress.mirror.metadata import changelog, updateinfo
from goldpress.mirror.metadata.changelog import Entry
from goldpress.mirror.metadata.questions import Question, answers, question
from goldpress.mirror.metadata.updateinfo import SEVERITIES, Advisory, Fix
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

CHANGELOG = "changelog"

#: (stream, name) of a source package.
SourceKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """One side's repositories by id, and the distribution that each belongs to."""

    by_id: Mapping[str, RepositorySnapshot]
    distributions: Mapping[str, str]

    @classmethod
    def of(cls, snapshots: Iterable[Snapshot]) -> Repositories:
        """The repositories of some snapshots."""
        rows = [(s.distribution, r) for s in snapshots for r in s.repositories]
        return cls(
            by_id={repository.id: repository for _, repository in rows},
            distributions={repository.id: distribution for distribution, repository in rows},
        )

    def has(self, build: Build, type_: str) -> bool:
        """Whether the build's repository has metadata of this type."""
        repository = self.by_id.get(build.repository)
        return repository is not None and type_ in repository.metadata


@dataclass(frozen=True, kw_only=True)
class _Bulletin:
    """Advisories of one distribution; `repository` is "" when they are about another's builds."""

    distribution: str
    repository: str
    by_package: Mapping[tuple[str, str], Sequence[tuple[Fix, Advisory]]]

    def about(self, build: Build) -> Sequence[tuple[Fix, Advisory]]:
        if self.repository not in {"", build.repository}:
            return ()
        return self.by_package.get((build.name, build.arch), ())


@dataclass(kw_only=True)
class _Found:
    """CVEs while they are collected: who names each, and how severe."""

    by: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    severity: dict[str, int] = field(default_factory=dict)

    def add(self, cves: Iterable[str], by: str, severity: str = "") -> None:
        rank = SEVERITIES.index(severity) if severity else -1
        for cve in cves:
            self.by[cve].add(by)
            self.severity[cve] = max(rank, self.severity.get(cve, -1))

    def all(self) -> tuple[Cve, ...]:
        return tuple(
            Cve(
                id=cve,
                by=tuple(sorted(self.by[cve])),
                severity=SEVERITIES[self.severity[cve]] if self.severity[cve] >= 0 else "",
            )
            for cve in changelog.sorted_cves(self.by)
        )


def findings(
    store: Store,
    sources: Mapping[SourceKey, Sequence[Change]],
    before: Repositories,
    after: Repositories,
    errata: Sequence[Snapshot] = (),
) -> dict[SourceKey, Findings]:
    """What is known of each source package; `errata` are snapshots with advisories about others.

    Raises MissingError when the store lacks a file that a snapshot names, TrustError when one
    cannot be read.
    """
    compared = {
        key: rows
        for key, changes in sources.items()
        if (rows := tuple(c for c in changes if c.before and c.after))
    }
    chosen = {key: _representative(key, rows) for key, rows in compared.items()}
    logs = dict(_changelog_questions(store, chosen.values(), before, after))
    bulletins = dict(_advisory_questions(store, compared.values(), before, after, errata))
    # One file is asked once, whatever wants to know.
    asked = list({**dict.fromkeys(logs.values()), **dict.fromkeys(bulletins.values())})
    answered = dict(zip(asked, answers(asked), strict=True))
    entries: dict[str, tuple[Entry, ...]] = {}
    for row in logs.values():
        entries |= changelog.entries(answered[row])
    read = tuple(_bulletin(key, answered[row]) for key, row in bulletins.items())
    return {key: _findings(chosen[key], rows, entries, read) for key, rows in compared.items()}


def _representative(key: SourceKey, rows: Sequence[Change]) -> Change:
    """The package whose changelog is read: all of one source package have the same."""
    _, source = key
    return min(rows, key=lambda change: (change.name != source, change.name, change.arch))


def _changelog_questions(
    store: Store, chosen: Iterable[Change], before: Repositories, after: Repositories
) -> Iterator[tuple[str, Question]]:
    """Questions by the sha256 of what is asked."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    repositories: dict[str, RepositorySnapshot] = {}
    for change in chosen:
        sides = [(change.before, before), (change.after, after)]
        # One changelog alone does not tell what is new.
        if not all(build and side.has(build, "other") for build, side in sides):
            continue
        for build, side in sides:
            if build is None:
                continue
            repository = side.by_id[build.repository]
            other = repository.metadata["other"].sha256
            wanted[other].add(build.sha256)
            repositories[other] = repository
    for other, sha256s in wanted.items():
        yield (
            other,
            question(store, repositories[other], "other", changelog.MODULE, sorted(sha256s)),
        )


def _advisory_questions(
    store: Store,
    compared: Iterable[Sequence[Change]],
    before: Repositories,
    after: Repositories,
    errata: Iterable[Snapshot],
) -> Iterator[tuple[tuple[str, str, str], Question]]:
    """Questions by (distribution, repository, sha256 of what is asked)."""
    builds = [build for rows in compared for c in rows for build in (c.before, c.after) if build]
    used = {build.repository for build in builds}
    names = sorted({build.name for build in builds})
    for side in (before, after):
        for id_ in sorted(used & side.by_id.keys()):
            repository = side.by_id[id_]
            if "updateinfo" in repository.metadata:
                row = question(store, repository, "updateinfo", updateinfo.MODULE, names)
                yield (side.distributions[id_], id_, row.file.sha256), row
    own = {*before.distributions.values(), *after.distributions.values()}
    for snapshot in errata:
        for repository in snapshot.repositories:
            if "updateinfo" in repository.metadata and names and snapshot.distribution not in own:
                row = question(store, repository, "updateinfo", updateinfo.MODULE, names)
                yield (snapshot.distribution, "", row.file.sha256), row


def _bulletin(key: tuple[str, str, str], answer: Sequence[Mapping[str, object]]) -> _Bulletin:
    distribution, repository, _ = key
    by_package: defaultdict[tuple[str, str], list[tuple[Fix, Advisory]]] = defaultdict(list)
    for advisory in updateinfo.advisories(answer):
        for fix in advisory.fixes:
            by_package[fix.name, fix.arch].append((fix, advisory))
    return _Bulletin(distribution=distribution, repository=repository, by_package=by_package)


def _findings(
    chosen: Change,
    rows: Sequence[Change],
    entries: Mapping[str, tuple[Entry, ...]],
    bulletins: Sequence[_Bulletin],
) -> Findings:
    fixed, reopened, consulted = _Found(), _Found(), set()
    told = _told(chosen, entries)
    if told is not None:
        (reopened if chosen.kind == "down" else fixed).add(told.cves, CHANGELOG)
        consulted.add(CHANGELOG)
    for change in rows:
        for bulletin in bulletins:
            about = bulletin.about(change.present)
            if about:
                consulted.add(bulletin.distribution)
            for advisory in _crossed(change, about):
                found = reopened if change.kind == "down" else fixed
                found.add(advisory.cves, advisory.id, advisory.severity)
    return Findings(
        fixed=fixed.all(),
        reopened=reopened.all(),
        consulted=tuple(sorted(consulted, key=lambda name: (name != CHANGELOG, name))),
        complete=told is not None and told.complete,
        rebuild=told is not None and told.complete and told.rebuild,
    )


def _told(change: Change, entries: Mapping[str, tuple[Entry, ...]]) -> changelog.News | None:
    """What the changelog tells; None when one of the builds has none."""
    if change.before is None or change.after is None:
        return None
    older, newer = (entries.get(build.sha256) for build in (change.before, change.after))
    if not older or not newer:
        return None
    return changelog.news(newer, older) if change.kind == "down" else changelog.news(older, newer)


def _crossed(change: Change, about: Iterable[tuple[Fix, Advisory]]) -> Iterator[Advisory]:
    """The advisories whose fixed version one build has reached and the other has not."""
    if change.before is None or change.after is None:
        return
    low, high = sorted((change.before, change.after), key=lambda build: build.order)
    for fix, advisory in about:
        version = evr_order(fix.epoch, fix.version, fix.release)
        if fix.stream == high.stream and low.order < version <= high.order:
            yield advisory
