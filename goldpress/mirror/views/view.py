"""Owns the view: a snapshot as repositories that dnf can use, over any static host.

    views/<64 hex of the snapshot>/<repository>/repodata/...
    views/<64 hex of the snapshot>/keys/<fingerprint>.asc

A view has those packages of the snapshot that the pool holds, with locations in the pool. It is
derived: the same snapshot and pool give the same bytes, and repomd.xml comes last. Metadata files
have to be below `repodata/` (librepo refuses any other place); here they are hard links to one
copy, on S3 they are copies.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from goldpress.digest import combined, sha256_bytes, sha256_file
from goldpress.mirror.metadata.index import index_path
from goldpress.mirror.metadata.opened import suffix_of
from goldpress.mirror.metadata.slice import ROOTS, Slice, make_slice
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store, write_atomically

#: Of the form of what is derived; another one makes all views anew.
VERSION = 1
#: The names that createrepo gives them.
_NAMES = {"modules": "modules.yaml", "group": "comps.xml"}


@dataclass(frozen=True, kw_only=True)
class ViewRepository:
    """One repository of a view: how many packages it offers, of how many upstream."""

    id: str
    priority: int
    packages: int
    upstream: int


@dataclass(frozen=True, kw_only=True)
class View:
    """A snapshot that dnf can use; `snapshot` is its digest, `keys` the signers' fingerprints."""

    snapshot: str
    name: str
    repositories: tuple[ViewRepository, ...]
    keys: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it is, seen from the place that serves the store."""
        return view_path(self.snapshot)

    def repo_file(self, base: str) -> str:
        """What a machine needs in /etc/yum.repos.d when the store is served at the URL `base`."""
        here = f"{base.rstrip('/')}/{self.path}"
        keys = "\n       ".join(f"{here}/keys/{fingerprint}.asc" for fingerprint in self.keys)
        parts = []
        for row in self.repositories:
            priority = f"priority={row.priority}\n" if row.priority != 99 else ""  # noqa: PLR2004 - dnf's default
            parts.append(
                f"[goldpress-{row.id}]\n"
                f"name={self.name}, {row.id}, as of {self.snapshot.removeprefix('sha256:')[:12]}\n"
                f"baseurl={here}/{row.id}/\n"
                f"{priority}"
                f"enabled=1\n"
                f"gpgcheck=1\n"
                f"gpgkey={keys}\n"
                # The metadata is derived here and not signed; packages are.
                f"repo_gpgcheck=0\n"
            )
        return "\n".join(parts)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file of repodata/ as repomd.xml names it; sizes in bytes, 0 and empty where not packed."""

    type: str
    name: str
    sha256: str
    size: int
    open_sha256: str = ""
    open_size: int = 0


def view_path(snapshot: str) -> str:
    """Where the view of a snapshot's digest is, below the store."""
    return f"views/{snapshot.removeprefix('sha256:')}"


def make_view(store: Store, snapshot: Snapshot, *, keys: Mapping[str, Path] | None = None) -> View:
    """Make the view of a snapshot with the packages that the pool holds now.

    `keys` are the public keys of its signers by fingerprint. What has not changed since the last
    time is not made again. Raises MissingError when metadata is not in the store, TrustError when
    it cannot be read.
    """
    digest = snapshot.digest
    # To ask for each of 20,000 packages takes minutes where each is a request: the listing tells
    # which ones are worth it.
    pool = frozenset(Path(row.key).stem for row in store.objects.listed("pool/sha256/"))
    rows = []
    for repository in snapshot.repositories:
        made = _Making(store=store, repository=repository, snapshot=digest, pool=pool)
        rows.append(made.make())
    for fingerprint, path in sorted((keys or {}).items()):
        _place(store, f"{view_path(digest)}/keys/{fingerprint}.asc", path)
    return View(
        snapshot=digest,
        name=f"{snapshot.distribution} {snapshot.arch}",
        repositories=tuple(rows),
        keys=tuple(sorted(keys or {})),
    )


@dataclass(frozen=True, kw_only=True)
class _Making:
    """One repository's view in the making."""

    store: Store
    repository: RepositorySnapshot
    snapshot: str
    pool: frozenset[str]
    scratch: str = field(default_factory=lambda: secrets.token_hex(6))

    def make(self) -> ViewRepository:
        packages = list(self.repository.read_packages(self.store))
        listed = (p for p in packages if p.sha256 in self.pool)
        held = [p.sha256 for p in listed if self.store.has_package(p.sha256, p.size)]
        sliced = ["primary"]
        if len(held) < len(packages):
            sliced += [type_ for type_ in ("filelists", "other") if type_ in self.metadata]
        derived = self._derived(held, sliced)
        self._serve(derived)
        return ViewRepository(
            id=self.repository.id,
            priority=self.repository.priority,
            packages=len(held),
            upstream=len(packages),
        )

    @property
    def metadata(self) -> Sequence[str]:
        return sorted(self.repository.metadata)

    def _derived(self, held: Sequence[str], sliced: Sequence[str]) -> Path:
        """The directory with all of repodata/, made when it is not there; snapshots share it."""
        form = f"view-{VERSION}"
        parts = {type_: entry.sha256 for type_, entry in self.repository.metadata.items()}
        name = combined({**parts, "form": form, "held": sha256_bytes("\n".join(held).encode())})
        folder = self.store.root / "derived" / form / name
        if (folder / "repomd.xml").is_file():
            # It is in use: not what may be cleaned away soonest.
            os.utime(folder)
            return folder
        # Half of one, which a cleaning left.
        shutil.rmtree(folder, ignore_errors=True)
        scratch = folder.with_name(f".{name}.{self.scratch}")
        scratch.mkdir(parents=True)
        try:
            wanted = scratch / "wanted"
            wanted.write_text("\n".join(held))
            files = self._files(scratch, wanted, sliced)
            wanted.unlink()
            (scratch / "repomd.xml").write_bytes(repomd_of(files, self.repository.timestamp))
            try:
                scratch.rename(folder)
            except OSError:
                # Another process was first; what it made is the same.
                if not (folder / "repomd.xml").is_file():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return folder

    def _files(self, folder: Path, wanted: Path, sliced: Sequence[str]) -> list[_File]:
        index = index_path(self.store, self.repository.packed(self.store, "primary"))

        def one(type_: str) -> _File:
            packed = self.repository.packed(self.store, type_)
            if type_ in sliced:
                return _of_slice(type_, make_slice(packed, type_, index, wanted, folder))
            return self._verbatim(type_, packed.checked(), folder)

        with ThreadPoolExecutor(max_workers=len(ROOTS)) as pool:
            return list(pool.map(one, self.metadata))

    def _verbatim(self, type_: str, path: Path, folder: Path) -> _File:
        entry = self.repository.metadata[type_]
        # Readers go by the suffix.
        name = f"{entry.sha256}-{_NAMES.get(type_, f'{type_}.xml')}{suffix_of(path)}"
        os.link(path, folder / name)
        return _File(
            type=type_,
            name=name,
            sha256=entry.sha256,
            size=entry.size,
            open_size=entry.open_size,
        )

    def _serve(self, derived: Path) -> None:
        """Put the files in their place, repomd.xml last; nothing when they are there already."""
        place = f"{view_path(self.snapshot)}/{self.repository.id}/repodata"
        done = self.store.root / "derived" / "placed" / sha256_bytes(place.encode())
        # In another epoch gc may have deleted them where they are shared.
        state = f"{derived.name} {self.store.epoch}"
        if done.is_file() and done.read_text() == state and self._is_here(place, derived):
            return
        files = sorted(derived.iterdir(), key=lambda path: path.name == "repomd.xml")
        for path in files:
            _place(self.store, f"{place}/{path.name}", path)
        write_atomically(done, state.encode())

    def _is_here(self, place: str, derived: Path) -> bool:
        here = self.store.root / place
        return all((here / path.name).is_file() for path in derived.iterdir())


def repomd_of(files: Sequence[_File], timestamp: int) -> bytes:
    """The repomd.xml that names these files, as old as upstream's."""
    rows = []
    for file in files:
        opened = f'    <open-checksum type="sha256">{file.open_sha256}</open-checksum>\n'
        open_size = f"    <open-size>{file.open_size}</open-size>\n"
        rows.append(
            f"  <data type={quoteattr(file.type)}>\n"
            f'    <checksum type="sha256">{file.sha256}</checksum>\n'
            f"{opened if file.open_sha256 else ''}"
            f"    <location href={quoteattr(f'repodata/{file.name}')}/>\n"
            f"    <timestamp>{timestamp}</timestamp>\n"
            f"    <size>{file.size}</size>\n"
            f"{open_size if file.open_size else ''}"
            f"  </data>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<repomd xmlns="http://linux.duke.edu/metadata/repo">\n'
        f"  <revision>{timestamp}</revision>\n{''.join(rows)}</repomd>\n"
    ).encode()


def _of_slice(type_: str, made: Slice) -> _File:
    return _File(
        type=type_,
        name=made.path.name,
        sha256=made.sha256,
        size=made.size,
        open_sha256=made.open_sha256,
        open_size=made.open_size,
    )


def _place(store: Store, key: str, source: Path) -> None:
    """Link a file to its place below the store, and share it; the old one is replaced at once."""
    target = store.root / key
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (target.is_file() and sha256_file(target) == sha256_file(source)):
        scratch = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            os.link(source, scratch)
        except OSError:
            shutil.copyfile(source, scratch)
        scratch.replace(target)
    store.put_view(key.removeprefix("views/"), target)
