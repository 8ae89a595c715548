"""Owns which packages of a snapshot are worth keeping beyond what locks name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from goldpress.mirror.difference.pairs import Offer, by_place
from goldpress.mirror.metadata import streams
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.metadata.questions import answers, question
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

#: No image installs a source package, and they weigh as much as all the others.
_SOURCES = ("src", "nosrc")


def newest_packages(
    store: Store, snapshot: Snapshot, *, every: bool = False
) -> tuple[AvailablePackage, ...]:
    """The newest of each name, architecture and module stream of each repository, or `every` one.

    Source packages are left out. Raises MissingError or TrustError when metadata cannot be read.
    """
    found: list[AvailablePackage] = []
    for repository in snapshot.repositories:
        packages = tuple(p for p in repository.read_packages(store) if p.arch not in _SOURCES)
        found += packages if every else _newest(packages, _streams(store, repository))
    return tuple(found)


def _newest(
    packages: Iterable[AvailablePackage], by_nevra: Mapping[str, str]
) -> list[AvailablePackage]:
    rows = tuple(packages)
    newest = Offer(packages=rows, streams=by_nevra).by_key(by_place).values()
    chosen = {package.sha256 for package in newest}
    return [package for package in rows if package.sha256 in chosen]


def _streams(store: Store, repository: RepositorySnapshot) -> dict[str, str]:
    if "modules" not in repository.metadata:
        return {}
    (found,) = answers([question(store, repository, "modules", streams.MODULE)])
    return dict(found)
