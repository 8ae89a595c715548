"""Owns the index: a repository's packages in a form that is read at once, made from primary.xml.

    <store>/derived/index-<version>/<sha256 of primary>

The first line has the number of packages and the sha256 of the rest; then a line a package, in
the order of primary.xml, its fields parted by tabs. It can be made again at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from goldpress.digest import sha256_bytes
from goldpress.errors import TrustError
from goldpress.host.limited import Limits, make_limited
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.primary import AvailablePackage, read_primary

if TYPE_CHECKING:
    # The child starts in half the time without it.
    from goldpress.store import Store

VERSION = 1
#: 20,000 packages take 60 MiB and a second.
LIMITS = Limits(memory=1 << 30, output=1 << 30, cpu=120, clock=600)


def read_index(
    store: Store, primary: Packed, *, repository: str, wanted: AbstractSet[str] | None = None
) -> Iterator[AvailablePackage]:
    """The packages of a primary.xml, or those of these sha256s, in its order.

    The first time a limited child reads the XML. Raises TrustError when it is no primary metadata.
    """
    for line in _lines(store, primary):
        if wanted is None or line[:64] in wanted:
            yield _package(line, repository)


def count_packages(store: Store, primary: Packed) -> int:
    """How many packages there are. Raises as `read_index`."""
    return len(_lines(store, primary))


def index_path(store: Store, primary: Packed) -> Path:
    """Where the index of a primary.xml is; made when it is not there or damaged."""
    path = _path(store, primary)
    if not path.is_file() or checked_lines(path) is None:
        arguments = [primary.argument()]
        make_limited(__name__, arguments, path, what=primary.name, limits=LIMITS)
    return path


def checked_lines(path: Path) -> list[str] | None:
    """The lines of an index, one a package; None when it is damaged."""
    head, _, body = path.read_bytes().partition(b"\n")
    lines = body.decode(errors="replace").split("\n")[:-1]
    return lines if head.decode(errors="replace") == _head(len(lines), body) else None


def main(arguments: Sequence[str]) -> None:
    """The child: write the index of a packed primary.xml to a path."""
    primary, target = Packed.from_argument(arguments[0]), Path(arguments[1])
    lines = [
        f"{p.sha256}\t{p.size}\t{p.name}\t{p.epoch}\t{p.version}\t{p.release}\t{p.arch}"
        f"\t{p.build_time}\t{p.source_rpm}\t{p.href}\n"
        for p in read_primary(primary.chunks(), repository="", name=primary.name)
    ]
    body = "".join(lines).encode()
    target.write_bytes(f"{_head(len(lines), body)}\n".encode() + body)


def _head(count: int, body: bytes) -> str:
    return f"goldpress index {VERSION}: {count} packages, {sha256_bytes(body)}"


def _path(store: Store, primary: Packed) -> Path:
    return store.root / "derived" / f"index-{VERSION}" / primary.sha256


def _lines(store: Store, primary: Packed) -> list[str]:
    path = _path(store, primary)
    lines = checked_lines(path) if path.is_file() else None
    if lines is None:
        lines = checked_lines(index_path(store, primary))
    if lines is None:
        raise TrustError(f"{path}: damaged as soon as it was made; check the disk")
    return lines


def _package(line: str, repository: str) -> AvailablePackage:
    sha256, size, name, epoch, version, release, arch, build_time, source, href = line.split("\t")
    return AvailablePackage(
        name=name,
        epoch=int(epoch),
        version=version,
        release=release,
        arch=arch,
        sha256=sha256,
        size=int(size),
        href=href,
        build_time=int(build_time),
        source_rpm=source,
        repository=repository,
    )
