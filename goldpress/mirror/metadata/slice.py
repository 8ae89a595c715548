"""Owns the slice: a repository's XML metadata with some of its packages, each as it was.

In primary.xml the location of each package becomes its place in the pool; nothing else changes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from goldpress.digest import CHUNK_BYTES, sha256_file
from goldpress.errors import TrustError
from goldpress.host.limited import Limits, run_limited
from goldpress.mirror.metadata import primary
from goldpress.mirror.metadata.blocks import Head, attributes_of, package_blocks, places
from goldpress.mirror.metadata.index import checked_lines
from goldpress.mirror.metadata.packed import Packed

ROOTS = {
    "primary": primary.ROOT,
    "filelists": ("http://linux.duke.edu/metadata/filelists", "filelists"),
    "other": ("http://linux.duke.edu/metadata/other", "otherdata"),
}
LIMITS = Limits(memory=1 << 30, output=1 << 30, cpu=120, clock=600)
#: More takes thrice the time for a tenth of the bytes.
_GZIP_LEVEL = 6

_LOCATION = re.compile(rb"""<location(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*(/?)>""")


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A sliced file, gzipped: its path, and what repomd.xml says of it; sizes in bytes."""

    path: Path
    sha256: str
    size: int
    open_sha256: str
    open_size: int


def make_slice(packed: Packed, type_: str, index: Path, wanted: Path, folder: Path) -> Slice:
    """Slice one of `ROOTS` in a limited child, into a file of `folder` named by its sha256.

    `index` is that of the repository's primary.xml; `wanted` a file with a sha256 a line. Raises
    TrustError when the file is no such metadata, or not of the packages that the index has.
    """
    gzipped, report = folder / f"{type_}.gz", folder / f"{type_}.json"
    paths = (index, wanted, gzipped, report)
    run_limited(
        __name__, [packed.argument(), type_, *map(str, paths)], what=packed.name, limits=LIMITS
    )
    told = json.loads(report.read_bytes())
    report.unlink()
    sha256 = sha256_file(gzipped)
    path = gzipped.rename(folder / f"{sha256}-{type_}.xml.gz")
    return Slice(path=path, sha256=sha256, size=path.stat().st_size, **told)


def pool_href(sha256: str) -> str:
    """Where a package is, seen from ``views/<snapshot>/<repository>/``."""
    return f"../../../pool/sha256/{sha256[:2]}/{sha256}.rpm"


def sliced_primary(
    blocks: Iterable[bytes], sha256s: Sequence[str], wanted: frozenset[str]
) -> Iterator[bytes]:
    """The wanted packages of a primary.xml whose packages have these sha256s, in this order.

    Raises ValueError when a block is not what the index says of it.
    """
    for sha256, block in zip(sha256s, blocks, strict=True):
        if sha256 not in wanted:
            continue
        locations = list(places(block, b"<location"))
        old = _LOCATION.match(block, locations[0]) if len(locations) == 1 else None
        if sha256.encode() not in block or old is None:
            raise ValueError(f"the package {sha256} is not as it was when the index was made")
        new = f'<location href="{pool_href(sha256)}"'.encode() + old[1] + b">"
        yield block[: old.start()] + new + block[old.end() :]


def sliced_lists(blocks: Iterable[bytes], wanted: frozenset[str]) -> Iterator[bytes]:
    """The wanted packages of a filelists.xml or other.xml.

    Raises ValueError for a package that does not say whose it is.
    """
    for block in blocks:
        pkgid = attributes_of(block[: block.index(b">")].decode()).get("pkgid")
        if pkgid is None:
            raise ValueError(f"there is {block[:60]!r} without a pkgid")
        if pkgid in wanted:
            yield block


def main(arguments: Sequence[str]) -> None:
    """The child: write the slice, and a report of it."""
    packed, type_ = Packed.from_argument(arguments[0]), arguments[1]
    index, wanted_path, target, report = (Path(a) for a in arguments[2:])
    lines = checked_lines(index)
    if lines is None:
        raise TrustError(f"{index}: damaged; try again")
    wanted = frozenset(wanted_path.read_text().split())
    # What is not well-formed here is so at its source; served verbatim it would be no better.
    head, blocks = package_blocks(packed.chunks(), name=packed.name, root=ROOTS[type_], parse=False)
    try:
        if type_ == "primary":
            if head.packages != len(lines):
                raise ValueError(f"has {head.packages} packages, its index {len(lines)}")  # noqa: TRY301
            sliced = sliced_primary(blocks, [line[:64] for line in lines], wanted)
        else:
            sliced = sliced_lists(blocks, wanted)
        report.write_text(json.dumps(_written(target, head, sliced)))
    except ValueError as error:
        raise TrustError(f"{packed.name}: {error}") from None


def _written(target: Path, head: Head, blocks: Iterable[bytes]) -> dict[str, str | int]:
    """Write the document, which begins with what is known at its end: how many packages it has."""
    scratch = target.with_suffix(".xml")
    count = 0
    with scratch.open("wb") as stream:
        for block in blocks:
            stream.write(block + b"\n")
            count += 1
    digest, size = hashlib.sha256(), 0
    with (
        scratch.open("rb") as stream,
        target.open("wb") as raw,
        # Neither a name nor a time: the same packages give the same bytes.
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, 0) as packed,
    ):
        chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
        for chunk in chain([head.opening(count)], chunks, [head.closing()]):
            digest.update(chunk)
            size += len(chunk)
            packed.write(chunk)
    scratch.unlink()
    return {"open_sha256": digest.hexdigest(), "open_size": size}
