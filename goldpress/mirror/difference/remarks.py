"""Owns what a reader of a difference has to know besides packages, in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from goldpress.lock import Lock
from goldpress.mirror.difference.change import Change, Source
from goldpress.mirror.difference.cves import Repositories
from goldpress.mirror.snapshot import Snapshot

#: More names than these are a number.
SHOWN_NAMES = 5


def some(names: Iterable[str], *, shown: int = SHOWN_NAMES) -> str:
    """``a, b, c and 12 more``."""
    rows = list(names)
    if len(rows) <= shown + 1:
        return ", ".join(rows)
    return f"{', '.join(rows[:shown])} and {len(rows) - shown} more"


def respun(sources: Sequence[Source]) -> Iterator[str]:
    """A loud word on packages that kept their name and changed their bytes."""
    names = sorted(
        {
            f"{change.name}-{change.after.evr}.{change.arch}"
            for source in sources
            for change in source.changes
            if change.same_name_other_bytes and change.after
        }
    )
    if names:
        yield f"the same name and version, but other bytes than before: {some(names)}"


def cve_remarks(
    pairs: Iterable[Change],
    before: Repositories,
    after: Repositories,
    errata: Sequence[Snapshot],
    sources: Sequence[Source],
) -> Iterator[str]:
    """What is not known about CVEs, and how sure the rest is."""
    without: defaultdict[str, set[str]] = defaultdict(set)
    for change in pairs:
        if change.before is None or change.after is None:
            continue
        for word, build, side in (
            ("older", change.before, before),
            ("newer", change.after, after),
        ):
            # A repository that is not known at all is another remark.
            if build.repository in side.by_id and not side.has(build, "other"):
                without[word].add(build.repository)
    for word, ids in sorted(without.items(), reverse=True):
        yield f"the {word} snapshot has no changelogs of {some(sorted(ids))}"
    consulted = {
        name for source in sources if source.findings for name in source.findings.consulted
    }
    own = {*before.distributions.values(), *after.distributions.values()}
    for snapshot in errata:
        id_ = snapshot.distribution
        if not any("updateinfo" in repository.metadata for repository in snapshot.repositories):
            yield f"the snapshot of {id_} has no advisories"
        elif id_ in consulted and id_ not in own:
            yield (
                f"advisories of {id_} are about its own builds; they are matched by version "
                "(older < fixed <= newer), which is likely but no proof"
            )


def lock_remarks(before: Lock, after: Lock) -> Iterator[str]:
    """What two locks have different besides their packages."""
    if before.distribution != after.distribution:
        yield f"distribution: {before.distribution} -> {after.distribution}"
    for module in sorted(before.modules.keys() | after.modules.keys()):
        one, two = (lock.modules.get(module, "none") for lock in (before, after))
        if one != two:
            yield f"module {module}: {one} -> {two}"
    changed = sorted(
        key
        for key in before.request.keys() | after.request.keys()
        if before.request.get(key) != after.request.get(key) and key != "modules"
    )
    if changed:
        yield f"the request changed: {', '.join(changed)}"
    yield from _signer_remarks(before, after)


def _signer_remarks(before: Lock, after: Lock) -> Iterator[str]:
    was = {(package.name, package.arch): package.signer for package in before.packages}
    moved: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for package in after.packages:
        signer = was.get((package.name, package.arch), package.signer)
        if signer != package.signer:
            moved[signer, package.signer].append(package.name)
    for (one, two), names in sorted(moved.items()):
        yield f"signed by {two} instead of {one}: {some(sorted(names))}"
