"""Owns one repository of a snapshot: its metadata files by sha256, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from goldpress.errors import MissingError
from goldpress.mirror.metadata.index import read_index
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.store import Store


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """One metadata file in the store, as downloaded; sizes in bytes, 0 where nobody told."""

    sha256: str
    size: int
    open_size: int = 0


@dataclass(frozen=True, kw_only=True)
class RepositorySnapshot:
    """One repository: its repomd.xml, its metadata by type, and how many packages it offers.

    `timestamp` says when it was made, in seconds.
    """

    id: str
    priority: int
    repomd_sha256: str
    metadata: Mapping[str, Metadata]
    packages: int
    timestamp: int = 0

    def packed(self, store: Store, type_: str) -> Packed:
        """The file of one type, for a limited child.

        Raises MissingError when the repository or the store has no such file.
        """
        if type_ not in self.metadata:
            raise MissingError(f"repository {self.id} has no {type_} metadata")
        entry = self.metadata[type_]
        name = f"{self.id}/{type_}"
        if not store.has_meta(entry.sha256):
            raise MissingError(f"the store has no {name}", hint="run `./inv mirror.sync`")
        path = store.meta(entry.sha256)
        return Packed(path=str(path), sha256=entry.sha256, name=name, open_size=entry.open_size)

    def open(self, store: Store, type_: str) -> Iterator[bytes]:
        """The decompressed bytes of one type in chunks, checked against the snapshot.

        Raises as `packed`, TrustError when the stored file was changed.
        """
        yield from self.packed(store, type_).chunks()

    def read_packages(
        self, store: Store, wanted: AbstractSet[str] | None = None
    ) -> Iterator[AvailablePackage]:
        """Every package that it offers, or those of these sha256s; in the order of its metadata.

        Raises as `open`.
        """
        primary = self.packed(store, "primary")
        return read_index(store, primary, repository=self.id, wanted=wanted)
