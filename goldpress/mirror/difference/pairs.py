"""Owns pairing: which package of one side is which of the other, and how it changed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from goldpress.mirror.difference.change import Build, Change, Findings, Kind, Package
from goldpress.mirror.difference.evr import EvrOrder, evr_order

#: What two builds have in common that are the same package: stream, name, arch, and what tells
#: several of one side apart.
Key = tuple[object, ...]
Keys = Callable[[Package, str], Key]

#: The part of a release that a module's build adds: its number and context.
_MODULE_BUILD = re.compile(r"\.module[_+].*")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What one side has: its packages, and the module streams of those that have one."""

    packages: tuple[Package, ...]
    streams: Mapping[str, str]

    def stream(self, package: Package) -> str:
        """``module:stream`` of a package, or ""."""
        if not self.streams:
            return ""
        nevra = f"{package.name}-{package.epoch}:{package.version}-{package.release}.{package.arch}"
        return self.streams.get(nevra, "")

    def by_key(self, keys: Keys) -> dict[Key, Package]:
        """Its packages by a key; of several the newest."""
        found: dict[Key, Package] = {}
        for package in self.packages:
            key = keys(package, self.stream(package))
            other = found.get(key)
            if other is None or _order(package) > _order(other):
                found[key] = package
        return found


def _order(package: Package) -> EvrOrder:
    return evr_order(package.epoch, package.version, package.release)


def by_place(package: Package, stream: str) -> Key:
    """For repositories: a stream's packages stand beside those of others of the same name."""
    return (stream, package.name, package.arch)


def by_name(package: Package, _stream: str) -> Key:
    """For an image: it has one of each name, whatever stream it is from."""
    return (package.name, package.arch)


def by_build(package: Package, stream: str) -> Key:
    """For all that repositories have, old versions too."""
    return (stream, package.name, package.arch, _order(package))


def wins(packages: Iterable[Package], priorities: Mapping[str, int]) -> tuple[Package, ...]:
    """The packages that a machine can get: of one name, those of the first repository only.

    Repositories are the same to it when their priority (lower wins) is.
    """
    best: dict[tuple[str, str], int] = {}
    rows = tuple(packages)
    if len(set(priorities.values())) < 2:  # noqa: PLR2004 - one priority decides nothing
        return rows
    for package in rows:
        key = (package.name, package.arch)
        priority = priorities[package.repository]
        best[key] = min(priority, best.get(key, priority))
    return tuple(
        package
        for package in rows
        if priorities[package.repository] == best[package.name, package.arch]
    )


def changes(before: Offer, after: Offer, keys: Keys) -> tuple[Change, ...]:
    """Every package that is not the same on both sides, in the order of names."""
    old, new = before.by_key(keys), after.by_key(keys)
    found = []
    for key in old.keys() | new.keys():
        one, two = old.get(key), new.get(key)
        if one and two and one.sha256 == two.sha256:
            continue
        was = Build.of(one, before.stream(one)) if one else None
        is_ = Build.of(two, after.stream(two)) if two else None
        found.append(_change(was, is_))
    return tuple(sorted(found, key=_shown_order))


def _change(before: Build | None, after: Build | None) -> Change:
    some = after or before
    if some is None:
        raise AssertionError("a change has a side")
    return Change(
        kind=_kind(before, after), name=some.name, arch=some.arch, before=before, after=after
    )


def _kind(before: Build | None, after: Build | None) -> Kind:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if after.order == before.order or _only_module_build(before, after):
        return "rebuilt"
    return "up" if after.order > before.order else "down"


def _only_module_build(before: Build, after: Build) -> bool:
    """Whether the versions differ only by which build of the module they came with, newer now."""
    parts = [_MODULE_BUILD.sub("", build.release) for build in (before, after)]
    same = (before.epoch, before.version, parts[0]) == (after.epoch, after.version, parts[1])
    return same and after.order > before.order


def _shown_order(change: Change) -> tuple[object, ...]:
    return (change.name, change.arch, change.present.order)


def judged(change: Change, findings: Findings | None) -> Change:
    """The change with what the changelog says of it: an update may be a mere rebuild."""
    before, after = change.before, change.after
    if findings is None or not findings.rebuild:
        return change
    if change.kind != "up" or before is None or after is None:
        return change
    if (before.epoch, before.version) != (after.epoch, after.version):
        return change
    return replace(change, kind="rebuilt")


def by_source(rows: Iterable[Change]) -> dict[tuple[str, str], tuple[Change, ...]]:
    """Changes by (stream, source package): not modular first, in order."""
    groups: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in rows:
        groups[change.present.stream, change.present.source].append(change)
    return {key: tuple(groups[key]) for key in sorted(groups)}
