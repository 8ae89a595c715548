"""Owns the snapshot: what the repositories of a distribution held, by sha256, at one moment.

A snapshot has no date: two that saw the same are the same document, with the same digest.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from goldpress.digest import digest_of, sha256_file
from goldpress.distribution import Distribution, Repository
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.mirror.fetch import Fetcher, fetching, location
from goldpress.mirror.opened import opened
from goldpress.mirror.primary import AvailablePackage, read_primary
from goldpress.mirror.repomd import HREF, MAX_REPOMD_BYTES, MetadataFile, read_repomd
from goldpress.store import Store

KIND = "snapshot"
#: Compressed; the largest real one (AppStream's list of files) has about 12 MB.
MAX_METADATA_BYTES = 256 << 20
#: What resolving needs: packages, the paths they own, module streams.
TYPES = frozenset({"primary", "filelists", "modules"})


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """One metadata file in the store, as downloaded; `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class RepositorySnapshot:
    """One repository: its repomd.xml, its metadata by type, and how many packages it offers."""

    id: str
    priority: int
    repomd_sha256: str
    metadata: Mapping[str, Metadata]
    packages: int

    def open(self, store: Store, type_: str) -> Iterator[bytes]:
        """The decompressed bytes of one type in chunks, checked against the snapshot.

        Raises MissingError when the repository or the store has no such file, TrustError when the
        stored file was changed.
        """
        if type_ not in self.metadata:
            raise MissingError(f"repository {self.id} has no {type_} metadata")
        entry = self.metadata[type_]
        path = store.meta_path(entry.sha256)
        name = f"{self.id}/{type_}"
        if not path.is_file():
            raise MissingError(f"the store has no {name}", hint="run `./inv mirror.sync`")
        if sha256_file(path) != entry.sha256:
            raise TrustError(
                f"{path}: its bytes do not match its name; the file was changed",
                hint="delete it and run `./inv mirror.sync`",
            )
        yield from opened(path, name=name)

    def read_packages(self, store: Store) -> Iterator[AvailablePackage]:
        """Every package that the repository offers, read strictly; raises as `open` does."""
        name = f"{self.id}/primary"
        return read_primary(self.open(store, "primary"), repository=self.id, name=name)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the repositories of a distribution held for one architecture, sorted by id."""

    distribution: str
    stand_in: bool
    platform: str
    arch: str
    repositories: tuple[RepositorySnapshot, ...]

    @property
    def digest(self) -> str:
        """The digest (``sha256:...``) of the snapshot's document."""
        return digest_of(self.document())

    def document(self) -> dict[str, Any]:
        """The snapshot as plain JSON values."""
        return {
            "distribution": self.distribution,
            "stand_in": self.stand_in,
            "platform": self.platform,
            "arch": self.arch,
            "repositories": [
                {
                    **asdict(repository),
                    "metadata": {t: asdict(m) for t, m in sorted(repository.metadata.items())},
                }
                for repository in self.repositories
            ],
        }

    @classmethod
    def from_document(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `document`. Raises DocumentError for anything else."""
        try:
            return cls(
                distribution=value["distribution"],
                stand_in=value["stand_in"],
                platform=value["platform"],
                arch=value["arch"],
                repositories=tuple(
                    RepositorySnapshot(
                        **{
                            **row,
                            "metadata": {t: Metadata(**m) for t, m in row["metadata"].items()},
                        }
                    )
                    for row in value["repositories"]
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DocumentError(f"not a snapshot of packages: {error}") from None

    def packages(self, store: Store, sha256s: Iterable[str]) -> tuple[AvailablePackage, ...]:
        """The packages with these sha256s, sorted by NEVRA; those it does not offer are left out.

        This is how the packages of a lock are found again, whatever a resolution would choose.
        """
        wanted = set(sha256s)
        found = {
            package.sha256: package
            for repository in self.repositories
            for package in repository.read_packages(store)
            if package.sha256 in wanted
        }
        return tuple(sorted(found.values(), key=lambda package: package.nevra))

    @classmethod
    def read(cls, store: Store, digest: str) -> Self:
        """The snapshot of this digest. Raises MissingError when the store has none."""
        return cls.from_document(store.get_document(KIND, digest))


def ref_name(distribution: str, arch: str) -> str:
    """The name under which the store remembers the newest snapshot."""
    return f"{distribution}.{arch}"


def take_snapshot(
    store: Store,
    distribution: Distribution,
    arch: str,
    sources: Mapping[str, str | Path],
    *,
    fetcher: Fetcher | None = None,
) -> Snapshot:
    """Keep the metadata of every repository, whole or not at all, and return what it was.

    `sources` says by repository id where it is (an http(s) or file URL, or a directory). The
    snapshot becomes the newest of its distribution and architecture. Raises MissingError when a
    file cannot be had, TrustError when one is not what repomd.xml promises, or promises nothing.
    """
    repositories = distribution.repositories(arch)
    unknown = set(sources) ^ {repository.id for repository in repositories}
    if unknown:
        raise MissingError(f"{distribution.id}: no repository and source for {sorted(unknown)}")
    counted = _counted(store, ref_name(distribution.id, arch))
    with fetching(fetcher) as fetch:
        taken = tuple(
            _take(store, repository, sources[repository.id], fetch, counted)
            for repository in sorted(repositories, key=lambda r: r.id)
        )
    snapshot = Snapshot(
        distribution=distribution.id,
        stand_in=distribution.stand_in,
        platform=distribution.platform,
        arch=arch,
        repositories=taken,
    )
    digest = store.put_document(KIND, snapshot.document())
    store.set_ref(KIND, ref_name(distribution.id, arch), digest)
    return snapshot


def newest_snapshot(store: Store, distribution: str, arch: str) -> Snapshot:
    """The snapshot taken last. Raises MissingError when there is none."""
    digest = store.get_ref(KIND, ref_name(distribution, arch))
    if digest is None:
        raise MissingError(
            f"no snapshot of {distribution} for {arch} yet", hint="run `./inv mirror.sync`"
        )
    return Snapshot.read(store, digest)


def _counted(store: Store, name: str) -> dict[str, int]:
    """How many packages the newest snapshot counted, by the sha256 of their primary metadata."""
    digest = store.get_ref(KIND, name)
    if digest is None:
        return {}
    try:
        before = Snapshot.read(store, digest)
    except (DocumentError, MissingError):
        # Counting anew costs seconds; an older form of snapshot is no reason to stop.
        return {}
    return {row.metadata["primary"].sha256: row.packages for row in before.repositories}


def _take(
    store: Store,
    repository: Repository,
    source: str | Path,
    fetcher: Fetcher,
    counted: Mapping[str, int],
) -> RepositorySnapshot:
    address = location(source, HREF)
    scratch = store.root / "tmp" / secrets.token_hex(8)
    try:
        fetched = fetcher.fetch(address, scratch, limit=MAX_REPOMD_BYTES)
        files = read_repomd([scratch.read_bytes()], types=TYPES, name=str(address))
        if "primary" not in files:
            raise TrustError(f"{address}: names no primary metadata")
        store.meta_path(fetched.sha256).parent.mkdir(parents=True, exist_ok=True)
        scratch.replace(store.meta_path(fetched.sha256))
    finally:
        scratch.unlink(missing_ok=True)
    for file in files.values():
        _keep(store, source, file, fetcher)
    taken = RepositorySnapshot(
        id=repository.id,
        priority=repository.priority,
        repomd_sha256=fetched.sha256,
        metadata={
            type_: Metadata(sha256=file.sha256, size=file.size)
            for type_, file in sorted(files.items())
        },
        packages=0,
    )
    count = counted.get(taken.metadata["primary"].sha256)
    if count is None:
        # The whole file is read once, strictly; later readers may rely on it.
        count = sum(1 for _ in taken.read_packages(store))
    if count == 0:
        raise TrustError(f"{address}: the repository is empty")
    return RepositorySnapshot(**{**vars(taken), "packages": count})


def _keep(store: Store, source: str | Path, file: MetadataFile, fetcher: Fetcher) -> None:
    target = store.meta_path(file.sha256)
    if target.is_file() and sha256_file(target) == file.sha256:
        return
    fetcher.fetch(
        location(source, file.href),
        target,
        limit=MAX_METADATA_BYTES,
        sha256=file.sha256,
        size=file.size,
    )
