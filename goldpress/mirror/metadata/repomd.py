"""Owns repomd.xml: which metadata files a repository has, by sha256 and size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from goldpress.errors import TrustError
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.xml import Element, elements
from goldpress.mirror.transfer.place import checked_href

ROOT = ("http://linux.duke.edu/metadata/repo", "repomd")
HREF = "repodata/repomd.xml"
#: The module whose `main` reads it in a limited child.
READER = __name__
#: Real ones have about 5 kB.
MAX_REPOMD_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


#: What is kept of a repository: packages, their paths and changes, module streams, errata, groups.
TYPES = ("primary", "filelists", "other", "modules", "updateinfo", "group")
#: One type in several compressions. zchunk (`_zck`) is not read; it always comes beside another.
VARIANTS = ("", "_gz", "_xz", "_zst")


@dataclass(frozen=True, kw_only=True)
class MetadataFile:
    """One file of the metadata, as packed; sizes in bytes, `timestamp` in seconds.

    `open_size` and `open_sha256` are of the opened file; 0 and empty where it is not packed.
    """

    type: str
    href: str
    sha256: str
    size: int
    timestamp: int = 0
    open_size: int = 0
    open_sha256: str = ""


def read_repomd(chunks: Iterable[bytes], *, name: str) -> dict[str, MetadataFile]:
    """The files of the types that are kept, by type. Raises TrustError when it is no repomd.xml.

    Types that nobody here reads (databases, deltas) are not looked at: a fault there is not ours.
    """
    wanted = {f"{type_}{variant}" for type_ in TYPES for variant in VARIANTS}
    files: dict[str, MetadataFile] = {}
    for element in elements(chunks, name=name, root=ROOT):
        type_ = element.attributes.get("type", "")
        if element.name != "data" or type_ not in wanted:
            continue
        try:
            file = _file(element, type_)
        except ValueError as error:
            raise TrustError(f"{name}: {type_}: {error}") from None
        if type_ in files:
            raise TrustError(f"{name}: {type_} is there twice")
        files[type_] = file
    chosen = {type_: found for type_ in TYPES if (found := _chosen(files, type_))}
    if "primary" not in chosen:
        raise TrustError(f"{name}: names no primary metadata")
    return chosen


def main(arguments: Sequence[str]) -> None:
    """The limited child: write the files that a repomd.xml names to a path, as JSON."""
    repomd, target = Packed.from_argument(arguments[0]), Path(arguments[1])
    files = read_repomd(repomd.chunks(), name=repomd.name)
    target.write_text(json.dumps({type_: asdict(file) for type_, file in files.items()}))


def newest(files: Mapping[str, MetadataFile]) -> int:
    """When the repository was made: the newest timestamp of its files, in seconds; 0 without."""
    return max((file.timestamp for file in files.values()), default=0)


def _chosen(files: Mapping[str, MetadataFile], type_: str) -> MetadataFile | None:
    names = (f"{type_}{variant}" for variant in VARIANTS)
    return next((replace(files[n], type=type_) for n in names if n in files), None)


def _file(element: Element, type_: str) -> MetadataFile:
    place = element.one("location")
    if any(key.endswith(" base") for key in place.attributes):
        raise ValueError("the location has a base of its own; it would leave the repository")
    opened = element.all("open-checksum")
    return MetadataFile(
        type=type_,
        href=checked_href(place.get("href")),
        sha256=_checksum(element.one("checksum")),
        size=_number(element, "size", element.one("size").text),
        timestamp=_number(element, "timestamp", "0"),
        open_size=_number(element, "open-size", "0"),
        open_sha256=_checksum(opened[0]) if opened else "",
    )


def _number(element: Element, name: str, default: str) -> int:
    found = element.all(name)
    # Some write fractions of a second.
    text = (found[0].text if found else default).partition(".")[0]
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError(f"the {name} {text!r} is not a number")
    return int(text)


def _checksum(element: Element) -> str:
    if element.attributes.get("type") != "sha256" or not _SHA256.fullmatch(element.text):
        raise ValueError(f"the {element.name} {element.text!r} is not a sha256")
    return element.text
