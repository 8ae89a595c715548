"""Owns the image manifest: the document whose sha256 is the image digest.

It holds what the image *is* (its bytes) and what it was made from, and nothing that differs
between two builds of the same inputs: no time, no host, no path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from goldpress.digest import digest_of
from goldpress.errors import DocumentError

MANIFEST_VERSION = 2
#: Of those fields that are no text.
_TYPES: Mapping[str, type] = {"stand_in": bool, "disk_bytes": int}


@dataclass(frozen=True, kw_only=True)
class ImageManifest:
    """Inputs and bytes of one image. Digests are ``sha256:...``; sha256 are 64 hex digits."""

    name: str
    distribution: str
    stand_in: bool
    arch: str
    packages: str
    definition: str
    command_line: str
    root_hash: str
    disk_sha256: str
    disk_bytes: int
    block_root: str

    def to_document(self) -> dict[str, Any]:
        """The JSON value that is stored."""
        return {"manifest_version": MANIFEST_VERSION, **asdict(self)}

    @property
    def digest(self) -> str:
        """The image digest."""
        return digest_of(self.to_document())


def parse_manifest(value: Any) -> ImageManifest:
    """The inverse of `to_document`. Raises DocumentError for unknown, missing or wrong fields."""
    if not isinstance(value, Mapping) or value.get("manifest_version") != MANIFEST_VERSION:
        raise DocumentError("image manifest: its manifest_version is not one that I know")
    rest = {name: found for name, found in value.items() if name != "manifest_version"}
    for name, found in rest.items():
        expected = _TYPES.get(name, str)
        if type(found) is not expected:
            raise DocumentError(f"image manifest: {name}: expected {expected.__name__}")
        if isinstance(found, str) and not found.isprintable():
            raise DocumentError(f"image manifest: {name}: expected one line of text")
    try:
        return ImageManifest(**rest)
    except TypeError as error:
        raise DocumentError(f"image manifest: {error}") from error
