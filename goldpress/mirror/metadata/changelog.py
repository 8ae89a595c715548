"""Owns changelogs: what other.xml keeps of them, and what is new between two of one package.

createrepo keeps the last entries of each package only (ten, unless it was told otherwise), so two
changelogs may have none in common; then what is new is not known to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.digest import sha256_bytes
from goldpress.errors import TrustError
from goldpress.mirror.metadata.asked import asked
from goldpress.mirror.metadata.blocks import attributes_of, package_blocks
from goldpress.mirror.metadata.xml import Element, elements

MODULE = "goldpress.mirror.metadata.changelog"
ROOT = ("http://linux.duke.edu/metadata/other", "otherdata")

_CVE = re.compile(r"\bCVE-[0-9]{4}-[0-9]{4,10}\b", re.IGNORECASE)
_TAG = re.compile(rb"<package(\s[^<>]*)>")
_OPENING = f'<otherdata xmlns="{ROOT[0]}">'.encode()
_DATE = re.compile(r"[0-9]{1,12}")
_DAY = 86400
_TICKET = re.compile(r"[-*\s]*(?:resolves|related|fixes)\b", re.IGNORECASE)
_REBUILD = re.compile(r"\b(?:mass[ -])?re-?buil[dt]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry: the day (since 1970) and author as one key, a hash of its text, what it names.

    `rebuild` is true when it tells of nothing but a rebuild.
    """

    key: str
    text: str
    cves: tuple[str, ...]
    rebuild: bool


@dataclass(frozen=True, kw_only=True)
class News:
    """What one changelog has over another: CVEs, and whether it can be more (`complete` is not).

    `rebuild` is true when all that is new is rebuilds, or nothing is new.
    """

    cves: tuple[str, ...]
    complete: bool
    rebuild: bool


def cves_in(*texts: str) -> tuple[str, ...]:
    """The CVE ids that texts name, in order of year and number."""
    return sorted_cves({found.upper() for text in texts for found in _CVE.findall(text)})


def sorted_cves(ids: Iterable[str]) -> tuple[str, ...]:
    """CVE ids in order of year and number."""
    return tuple(sorted(set(ids), key=lambda cve: tuple(int(n) for n in cve.split("-")[1:])))


def read_other(
    chunks: Iterable[bytes], wanted: frozenset[str], *, name: str = "other"
) -> Iterator[tuple[str, tuple[Entry, ...]]]:
    """(sha256, changelog) of the `wanted` packages of an opened other.xml, in its order.

    Raises TrustError when it is not one.
    """
    # The few packages that are wanted are parsed; of the others only their ends are looked for.
    _, blocks = package_blocks(chunks, name=name, root=ROOT, parse=False)
    for block in blocks:
        tag = _TAG.match(block)
        try:
            sha256 = attributes_of(tag.group(1).decode()).get("pkgid", "") if tag else ""
        except ValueError as error:
            raise TrustError(f"{name}: {error}") from None
        if sha256 not in wanted:
            continue
        (package,) = elements((_OPENING, block, b"</otherdata>"), name=name, root=ROOT)
        try:
            yield sha256, tuple(_entry(row) for row in package.all("changelog"))
        except ValueError as error:
            raise TrustError(f"{name}: {package.attributes.get('name')}: {error}") from None


def _entry(element: Element) -> Entry:
    date = element.get("date")
    if not _DATE.fullmatch(date):
        raise ValueError(f"the date {date!r} of a changelog entry is not a number")
    # createrepo adds seconds to the later ones of a day, so that dates differ; how many depends
    # on which entries it keeps.
    day = int(date) // _DAY
    cves = cves_in(element.text)
    return Entry(
        key=f"{day} {sha256_bytes(element.get('author').encode())[:16]}",
        text=sha256_bytes(element.text.encode())[:16],
        cves=cves,
        rebuild=not cves and _tells_of_rebuild(element.text),
    )


def _tells_of_rebuild(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not _TICKET.match(line)]
    return bool(lines) and all(_REBUILD.search(line) for line in lines)


def main(arguments: Sequence[str]) -> None:
    """The limited child: `wanted` is a list of sha256s; the answer has the entries of each."""
    row = asked(arguments)
    found = read_other(row.file.chunks(), frozenset(row.wanted), name=row.file.name)
    row.answer({sha256: [vars(entry) for entry in log] for sha256, log in found})


def entries(answer: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, tuple[Entry, ...]]:
    """The child's answer: changelogs by sha256."""
    return {
        sha256: tuple(Entry(**{**row, "cves": tuple(row["cves"])}) for row in rows)
        for sha256, rows in answer.items()
    }


def news(before: Sequence[Entry], after: Sequence[Entry]) -> News:
    """What `after` tells that `before` did not."""
    known = {(entry.key, entry.text) for entry in before}
    # An entry whose text was corrected later is no new entry; only what it names now as well is.
    named = {entry.key: set(entry.cves) for entry in before}
    new = [entry for entry in after if (entry.key, entry.text) not in known]
    cves = {cve for entry in new for cve in entry.cves if cve not in named.get(entry.key, ())}
    return News(
        cves=sorted_cves(cves),
        complete=any(entry.key in named for entry in after),
        rebuild=all(entry.rebuild for entry in new),
    )
