"""Owns the metalink: which mirrors have a repository, and the sha256 of its repomd.xml.

It comes from the distributor over https; the mirrors that it names need not be trusted at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.metadata.xml import Element, elements

ROOT = ("http://www.metalinker.org/", "metalink")
FILE = "repomd.xml"
#: Real ones have some 60 kB: a hundred mirrors, three protocols each.
MAX_METALINK_BYTES = 1 << 19
#: Some hundred are named; a file that the first twenty do not have is not to be had.
MAX_PLACES = 20

_SHA256 = re.compile(r"[0-9a-f]{64}")
_END = "/repodata/repomd.xml"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a file is promised to be: its sha256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Metalink:
    """Base URLs, best first, and what repomd.xml may be, newest first."""

    places: tuple[str, ...]
    repomd: tuple[Promise, ...]


def read_metalink(chunks: Iterable[bytes], *, name: str) -> Metalink:
    """Read a metalink of at most MAX_METALINK_BYTES.

    Raises TrustError when it is none or promises nothing that can be checked, MissingError when
    it names no mirror.
    """
    files = [
        file
        for element in elements(chunks, name=name, root=ROOT)
        if element.name == "files"
        for file in element.all("file")
        if file.attributes.get("name") == FILE
    ]
    if len(files) != 1:
        raise TrustError(f"{name}: speaks of {len(files)} files {FILE}, expected one")
    try:
        promises = _promises(files[0])
        places = _places(files[0])
    except ValueError as error:
        raise TrustError(f"{name}: {error}") from None
    if not places:
        raise MissingError(
            f"{name}: names no http(s) mirror of {FILE}",
            hint="check `repo` and `arch` in the address, or name a `baseurl`",
        )
    return Metalink(places=places, repomd=promises)


def _promises(file: Element) -> tuple[Promise, ...]:
    older = [a for group in file.all("alternates") for a in group.all("alternate")]
    # Only the order of the older ones is by their time; the first is what the distributor means.
    older.sort(key=_timestamp, reverse=True)
    return tuple(_promise(element) for element in (file, *older))


def _promise(element: Element) -> Promise:
    size = element.one("size").text
    if not re.fullmatch(r"[0-9]{1,9}", size):
        raise ValueError(f"the size {size!r} is not a number")
    for verification in element.all("verification"):
        for entry in verification.all("hash"):
            if entry.attributes.get("type") == "sha256":
                if not _SHA256.fullmatch(entry.text):
                    raise ValueError(f"the hash {entry.text!r} is not a sha256")
                return Promise(sha256=entry.text, size=int(size))
    raise ValueError(f"has no sha256 for {FILE}; weaker checksums prove nothing")


def _timestamp(element: Element) -> int:
    text = element.one("timestamp").text
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError(f"the timestamp {text!r} is not a number")
    return int(text)


def _places(file: Element) -> tuple[str, ...]:
    """Base URLs by preference; those of https only, if there are any."""
    found: list[tuple[int, str]] = []
    for resources in file.all("resources"):
        for url in resources.all("url"):
            base = url.text.removesuffix(_END)
            if base != url.text and re.fullmatch(r"https?://[^\s@?#]+", base):
                preference = url.attributes.get("preference", "0")
                rank = int(preference) if re.fullmatch(r"[0-9]{1,3}", preference) else 0
                found.append((-rank, base))
    secure = [row for row in found if row[1].startswith("https:")]
    ranked = sorted(secure or found, key=lambda row: row[0])
    return tuple(dict.fromkeys(base for _, base in ranked))[:MAX_PLACES]
