"""Owns advisories: what updateinfo.xml says is fixed, in which version of which package.

EPEL names CVEs in the titles of its bugs, AlmaLinux by references of type `cve`; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from goldpress.errors import TrustError
from goldpress.mirror.metadata.asked import asked
from goldpress.mirror.metadata.changelog import cves_in
from goldpress.mirror.metadata.xml import Element, elements

MODULE = "goldpress.mirror.metadata.updateinfo"
ROOT = ("", "updates")
#: As Red Hat and AlmaLinux call them, mildest first; Fedora's words are in the table below.
SEVERITIES = ("Low", "Moderate", "Important", "Critical")

_KEPT = frozenset(
    {
        *("id", "title", "severity", "description", "references", "reference"),
        *("pkglist", "collection", "module", "package"),
    }
)
_WORDS = {
    **{word.lower(): word for word in SEVERITIES},
    "medium": "Moderate",
    "high": "Important",
    "urgent": "Critical",
}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._+-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]+")
_EPOCH = re.compile(r"[0-9]{1,9}")
_STREAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


@dataclass(frozen=True, kw_only=True)
class Fix:
    """The version of one package that an advisory brings; `stream` is ``module:stream`` or ""."""

    name: str
    arch: str
    epoch: int
    version: str
    release: str
    stream: str


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """One advisory: its id, how severe (one of `SEVERITIES`, or "" when it does not say)."""

    id: str
    severity: str
    cves: tuple[str, ...]
    fixes: tuple[Fix, ...]


def read_updateinfo(
    chunks: Iterable[bytes], wanted: frozenset[str], *, name: str = "updateinfo"
) -> Iterator[Advisory]:
    """The advisories of an opened updateinfo.xml that are about packages with `wanted` names.

    Those that fix no CVE are among them: that a package has advisories at all is a fact too.
    Raises TrustError when it is not one.
    """
    for element in elements(chunks, name=name, root=ROOT, kept=_KEPT):
        if element.name != "update":
            continue
        try:
            fixes = tuple(_fixes(element, wanted))
            if fixes:
                yield _advisory(element, fixes)
        except ValueError as error:
            texts = [child.text for child in element.all("id")]
            raise TrustError(f"{name}: {texts[0][:128] if texts else 'update'}: {error}") from None


def _advisory(element: Element, fixes: tuple[Fix, ...]) -> Advisory:
    texts = [row.text for word in ("title", "description") for row in element.all(word)]
    for references in element.all("references"):
        for row in references.all("reference"):
            texts += [row.attributes.get(key, "") for key in ("id", "title", "href")]
    severities = [row.text.lower() for row in element.all("severity")]
    return Advisory(
        id=_match(_ID, element.one("id").text, "the id of an advisory"),
        severity=_WORDS.get(severities[0], "") if severities else "",
        cves=cves_in(*texts),
        fixes=fixes,
    )


def _fixes(element: Element, wanted: frozenset[str]) -> Iterator[Fix]:
    for pkglist in element.all("pkglist"):
        for collection in pkglist.all("collection"):
            streams = [
                ":".join(
                    _match(_STREAM, row.get(key), f"the {key} of a module")
                    for key in ("name", "stream")
                )
                for row in collection.all("module")
            ]
            for row in collection.all("package"):
                if row.get("name") in wanted:
                    yield _fix(row, streams[0] if streams else "")


def _fix(row: Element, stream: str) -> Fix:
    return Fix(
        name=_match(_NAME, row.get("name"), "a name"),
        arch=_match(_NAME, row.get("arch"), "an arch"),
        epoch=int(_match(_EPOCH, row.attributes.get("epoch") or "0", "an epoch")),
        version=_match(_VERSION, row.get("version"), "a version"),
        release=_match(_VERSION, row.get("release"), "a release"),
        stream=stream,
    )


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{value[:128]!r} is not {what}")
    return value


def main(arguments: Sequence[str]) -> None:
    """The limited child: `wanted` is a list of names; the answer is a list of advisories."""
    row = asked(arguments)
    found = read_updateinfo(row.file.chunks(), frozenset(row.wanted), name=row.file.name)
    row.answer([asdict(advisory) for advisory in found])


def advisories(answer: Sequence[Mapping[str, Any]]) -> tuple[Advisory, ...]:
    """The child's answer."""
    return tuple(
        Advisory(
            id=row["id"],
            severity=row["severity"],
            cves=tuple(row["cves"]),
            fixes=tuple(Fix(**fix) for fix in row["fixes"]),
        )
        for row in answer
    )
