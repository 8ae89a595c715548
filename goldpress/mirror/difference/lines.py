"""Owns a difference in words: the lines that people read, wherever they are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from goldpress.mirror.difference.change import (
    KINDS,
    NO_DATA,
    Build,
    Change,
    Cve,
    Difference,
    Kind,
    Source,
)
from goldpress.mirror.difference.remarks import some

NONE_NAMED = "none named"
MORE = "the kept changelog does not reach back: there may be more"
_MB = 1_000_000
_KB = 1_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """Packages of one source that changed in the same way: between the same two versions."""

    kind: Kind
    versions: str
    packages: tuple[str, ...]
    size: int


def lines(source: Source) -> tuple[Line, ...]:
    """The changes of a source package, as few lines as they can be told in."""
    groups: defaultdict[tuple[int, str], list[Change]] = defaultdict(list)
    for change in source.changes:
        groups[KINDS.index(change.kind), _versions(change)].append(change)
    return tuple(
        Line(
            kind=KINDS[kind],
            versions=versions,
            packages=tuple(_names(rows)),
            size=sum(change.size for change in rows),
        )
        for (kind, versions), rows in sorted(groups.items())
    )


def _versions(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return change.present.evr
    if change.same_name_other_bytes:
        return f"{after.evr}, other bytes"
    one, two = (_with_stream(build, before, after) for build in (before, after))
    return f"{one} → {two}"


def _with_stream(build: Build, before: Build, after: Build) -> str:
    if before.stream == after.stream:
        return build.evr
    return f"{build.evr} ({build.stream or 'not modular'})"


def _names(rows: Sequence[Change]) -> Iterator[str]:
    """The packages' names, with the architecture where one has several."""
    counted: defaultdict[str, int] = defaultdict(int)
    for change in rows:
        counted[change.name] += 1
    for change in rows:
        yield change.name if counted[change.name] == 1 else f"{change.name}.{change.arch}"


def cve_text(source: Source, *, shown: int) -> str:
    """What is known of a source package's CVEs, in words; at most `shown` ids and how many more.

    Empty for what is only added or removed: there is nothing to compare.
    """
    found = source.findings
    if found is None:
        return ""
    if source.without_data:
        return NO_DATA
    parts = []
    if found.reopened:
        parts.append(f"no longer fixed: {_ids(found.reopened, shown)}")
    if found.fixed:
        parts.append(_ids(found.fixed, shown))
    if not parts:
        parts.append(NONE_NAMED)
    if not found.complete:
        parts.append(MORE if "changelog" in found.consulted else "no changelog; advisories only")
    return "; ".join(parts)


def _ids(cves: Sequence[Cve], shown: int) -> str:
    return some(
        (f"{cve.id} ({cve.severity})" if cve.severity else cve.id for cve in cves), shown=shown
    )


def summary(difference: Difference) -> tuple[str, ...]:
    """How much changed, and what that says about CVEs: one sentence each."""
    counts = [f"{n} {kind}" for kind in KINDS if (n := difference.count(kind))]
    if not counts:
        return ("no package changed",)
    before, after = difference.before, difference.after
    grown = shown_size(after.size - before.size, sign=True)
    packages = (
        f"packages: {', '.join(counts)}; {shown_size(difference.new_bytes)} of new ones; "
        f"{before.packages} → {after.packages} in all ({grown})"
    )
    return (packages, *_cve_summary(difference))


def _cve_summary(difference: Difference) -> Iterator[str]:
    compared = [source for source in difference.sources if source.findings]
    if not compared:
        return
    without = sum(source.without_data for source in compared)
    if without == len(compared):
        yield f"{NO_DATA}: nothing says which CVEs these changes are about"
        return
    text = f"CVEs named by what is new: {len(difference.fixed) or 'none'}"
    if difference.reopened:
        text += f"; no longer fixed: {len(difference.reopened)}"
    if without:
        text += f"; {NO_DATA} for {without} of {len(compared)} source packages"
    yield text


def sections(sources: Iterable[Source]) -> Iterator[tuple[str, list[Source]]]:
    """The sources by module stream: those that are in none first, as ""."""
    groups: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sources:
        groups[source.stream].append(source)
    yield from sorted(groups.items())


def shown_size(size: int, *, sign: bool = False) -> str:
    """Bytes for people: ``1.2 MB``, with a sign where it is a change."""
    mark = "+" if sign and size > 0 else ""
    if abs(size) >= _MB:
        return f"{mark}{size / _MB:.1f} MB"
    if abs(size) >= _KB:
        return f"{mark}{size / _KB:.0f} kB"
    return f"{mark}{size} B"
