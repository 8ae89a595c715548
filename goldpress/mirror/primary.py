"""Owns what a repository offers: the packages of its primary.xml, read strictly as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from goldpress.errors import TrustError
from goldpress.mirror.fetch import checked_href
from goldpress.mirror.xml import Element, elements

ROOT = ("http://linux.duke.edu/metadata/common", "metadata")
#: Ten times the packages of Fedora; a repository with more is not one.
MAX_PACKAGES = 1_000_000

_KEPT = frozenset(
    {
        *("name", "arch", "version", "checksum", "time", "size", "location"),
        *("format", "sourcerpm"),
    }
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True, slots=True)
class AvailablePackage:
    """One package that a repository offers; `size` in bytes, `build_time` in seconds."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    sha256: str
    size: int
    href: str
    build_time: int
    source_rpm: str
    repository: str

    @property
    def nevra(self) -> str:
        """``name-epoch:version-release.arch``."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"


def read_primary(
    chunks: Iterable[bytes], *, repository: str, name: str = "primary"
) -> Iterator[AvailablePackage]:
    """The packages of an opened primary.xml. Raises TrustError when it is not one.

    The number of packages has to be the one that the document itself announces.
    """
    announced: list[int] = []

    def on_root(attributes: Mapping[str, str]) -> None:
        announced.append(_number(attributes.get("packages", ""), "packages"))
        if announced[0] > MAX_PACKAGES:
            raise ValueError(f"announces {announced[0]} packages; refused")

    count = 0
    for element in elements(chunks, name=name, root=ROOT, kept=_KEPT, on_root=on_root):
        count += 1
        if count > announced[0]:
            break
        try:
            yield _package(element, repository)
        except ValueError as error:
            raise TrustError(f"{name}: package {count}: {error}") from None
    if count != announced[0]:
        raise TrustError(f"{name}: announces {announced[0]} packages and has {count} or more")


def _package(element: Element, repository: str) -> AvailablePackage:
    if element.name != "package" or element.attributes.get("type") != "rpm":
        raise ValueError(f"<{element.name}> where a package of type rpm was expected")
    version, checksum = element.one("version"), element.one("checksum")
    if (checksum.attributes.get("type"), checksum.attributes.get("pkgid")) != ("sha256", "YES"):
        raise ValueError(f"the checksum is of type {checksum.attributes.get('type')!r}, not sha256")
    place = element.one("location")
    # expat joins a namespace and a name by a space.
    if any(key.endswith(" base") for key in place.attributes):
        raise ValueError("the location has a base of its own; it would leave the repository")
    href = checked_href(place.get("href"))
    if not href.endswith(".rpm"):
        raise ValueError(f"the href {href!r} is not that of an .rpm")
    sources = element.one("format").all("sourcerpm")
    return AvailablePackage(
        name=_match(_NAME, element.one("name").text, "name"),
        epoch=_number(version.attributes.get("epoch") or "0", "epoch"),
        version=_match(_VERSION, version.get("ver"), "version"),
        release=_match(_VERSION, version.get("rel"), "release"),
        arch=_match(_NAME, element.one("arch").text, "arch"),
        sha256=_match(_SHA256, checksum.text, "sha256"),
        size=_number(element.one("size").get("package"), "size"),
        href=href,
        build_time=_number(element.one("time").get("build"), "build time"),
        source_rpm=sources[0].text if sources else "",
        repository=repository,
    )


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is not a {what}")
    return value


def _number(value: str, what: str) -> int:
    return int(_match(_NUMBER, value, what))
