"""Owns repomd.xml: which metadata files a repository has, by sha256 and size."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from goldpress.errors import TrustError
from goldpress.mirror.fetch import checked_href
from goldpress.mirror.xml import Element, elements

ROOT = ("http://linux.duke.edu/metadata/repo", "repomd")
HREF = "repodata/repomd.xml"
#: Real ones have about 5 kB.
MAX_REPOMD_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class MetadataFile:
    """One file of the metadata, as packed; `size` in bytes."""

    type: str
    href: str
    sha256: str
    size: int


def read_repomd(
    chunks: Iterable[bytes], *, types: frozenset[str], name: str
) -> dict[str, MetadataFile]:
    """The files of the wanted `types`, by type. Raises TrustError when it is no repomd.xml.

    Types that nobody here reads (databases, deltas) are not looked at: a fault there is not ours.
    """
    files: dict[str, MetadataFile] = {}
    for element in elements(chunks, name=name, root=ROOT):
        type_ = element.attributes.get("type", "")
        if element.name != "data" or type_ not in types:
            continue
        try:
            file = _file(element, type_)
        except ValueError as error:
            raise TrustError(f"{name}: {type_}: {error}") from None
        if type_ in files:
            raise TrustError(f"{name}: {type_} is there twice")
        files[type_] = file
    return files


def _file(element: Element, type_: str) -> MetadataFile:
    place = element.one("location")
    if any(key.endswith(" base") for key in place.attributes):
        raise ValueError("the location has a base of its own; it would leave the repository")
    size = element.one("size").text
    if not re.fullmatch(r"[0-9]{1,12}", size):
        raise ValueError(f"the size {size!r} is not a number")
    return MetadataFile(
        type=type_,
        href=checked_href(place.get("href")),
        sha256=_checksum(element.one("checksum")),
        size=int(size),
    )


def _checksum(element: Element) -> str:
    if element.attributes.get("type") != "sha256" or not _SHA256.fullmatch(element.text):
        raise ValueError(f"the {element.name} {element.text!r} is not a sha256")
    return element.text
