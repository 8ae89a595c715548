"""Owns what a repository offers: the packages of its primary.xml, read strictly as a stream.

In each package the elements directly below it are wanted; what it requires and provides comes
last, in ``<format>``, and is the resolver's to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from goldpress.errors import TrustError
from goldpress.mirror.metadata.blocks import attributes_of, package_blocks
from goldpress.mirror.transfer.place import checked_href

ROOT = ("http://linux.duke.edu/metadata/common", "metadata")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,254}")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]{1,255}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SOURCE_RPM = re.compile(r"[A-Za-z0-9._+~^-]{0,800}")

_FIELDS = r"name|arch|version|checksum|time|size|location"
_FIELD = re.compile(
    r"<(" + _FIELDS + r")((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*"
    r"(?:/>|>([^<]*)</\1\s*>)"
)
_FIELD_BEGINS = re.compile(r"<(" + _FIELDS + r")[\s/>]")
_FORMAT_ENDS = re.compile(rb"(?:</format\s*>|<format\s*/>)\s*</package>")
_SOURCE = re.compile(rb"<(?:\w+:)?sourcerpm\s*>([^<]*)<")


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


class _Field(NamedTuple):
    name: str
    attributes: dict[str, str]
    text: str

    def get(self, attribute: str) -> str:
        if attribute not in self.attributes:
            raise ValueError(f"<{self.name}> has no attribute {attribute!r}")
        return self.attributes[attribute]


def read_primary(
    chunks: Iterable[bytes], *, repository: str, name: str = "primary"
) -> Iterator[AvailablePackage]:
    """The packages of an opened primary.xml in its order. Raises TrustError when it is not one.

    The number of packages has to be the one that the document itself announces.
    """
    _, blocks = package_blocks(chunks, name=name, root=ROOT)
    for count, block in enumerate(blocks, 1):
        try:
            yield _package(block, repository)
        except ValueError as error:
            raise TrustError(f"{name}: package {count}: {error}") from None


def _package(block: bytes, repository: str) -> AvailablePackage:
    head, tail = _halves(block)
    fields = _fields(head)
    kind = attributes_of(head[: head.index(">")]).get("type")
    if kind != "rpm":
        raise ValueError(f"is of type {kind!r} where rpm was expected")
    version, checksum, place = fields["version"], fields["checksum"], fields["location"]
    if (checksum.attributes.get("type"), checksum.attributes.get("pkgid")) != ("sha256", "YES"):
        raise ValueError(f"the checksum is of type {checksum.attributes.get('type')!r}, not sha256")
    if any(key.endswith(":base") for key in place.attributes):
        raise ValueError("the location has a base of its own; it would leave the repository")
    href = checked_href(place.get("href"))
    if not href.endswith(".rpm"):
        raise ValueError(f"the href {href!r} is not that of an .rpm")
    source = _SOURCE.search(tail)
    return AvailablePackage(
        name=_match(_NAME, fields["name"].text.strip(), "name"),
        epoch=_number(version.attributes.get("epoch") or "0", "epoch"),
        version=_match(_VERSION, version.get("ver"), "version"),
        release=_match(_VERSION, version.get("rel"), "release"),
        arch=_match(_NAME, fields["arch"].text.strip(), "arch"),
        sha256=_match(_SHA256, checksum.text.strip(), "sha256"),
        size=_number(fields["size"].get("package"), "size"),
        href=href,
        build_time=_number(fields["time"].get("build"), "build time"),
        source_rpm=_match(_SOURCE_RPM, source[1].decode(), "source package") if source else "",
        repository=repository,
    )


def _halves(block: bytes) -> tuple[str, bytes]:
    """The package's own elements, and its format, which has to be the last of them."""
    begins, ends = block.find(b"<format"), block.rfind(b"</format")
    if begins < 0:
        raise ValueError("there is no <format>")
    head, tail = block[:begins].decode(), block[begins:]
    if _FORMAT_ENDS.fullmatch(block, ends if ends >= 0 else begins) is None:
        raise ValueError("<format> is not the last of its elements")
    return head, tail


def _fields(head: str) -> dict[str, _Field]:
    """The wanted elements, each there once and without elements in it."""
    begun = _FIELD_BEGINS.findall(head)
    for name in _FIELDS.split("|"):
        if begun.count(name) != 1:
            raise ValueError(f"<package> has {begun.count(name)} <{name}>, expected one")
    fields: dict[str, _Field] = {}
    for name, attributes, text in _FIELD.findall(head):
        fields[name] = _Field(name, attributes_of(attributes) if attributes else {}, text)
    if len(fields) != len(begun):
        raise ValueError(f"<{min(set(begun) - set(fields))}> has elements in it")
    return fields


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{value[:200]!r} is not a {what}")
    return value


def _number(value: str, what: str) -> int:
    return int(_match(_NUMBER, value, what))
