"""Owns which packages of a snapshot are worth keeping beyond what locks name."""

from __future__ import annotations

from goldpress.mirror import streams
from goldpress.mirror.pairs import Offer, by_place
from goldpress.mirror.primary import AvailablePackage
from goldpress.mirror.questions import answers, question
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

#: A source package is never installed, and debug information is larger than all the rest.
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
        if every:
            found += packages
            continue
        asked = (
            [question(store, repository, "modules", streams.MODULE)]
            if "modules" in repository.metadata
            else []
        )
        by_nevra = {nevra: stream for answer in answers(asked) for nevra, stream in answer.items()}
        newest = Offer(packages=packages, streams=by_nevra).by_key(by_place)
        chosen = {package.sha256 for package in newest.values()}
        found += [package for package in packages if package.sha256 in chosen]
    return tuple(found)
