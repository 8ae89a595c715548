"""Owns the code of applications: a folder or an archive, as changes to a tree.

Code is owned by root and never writable for the pool that runs it; a package's code is in the
tree already. An archive is judged by its sha256 before anything of it is read.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from goldpress.application import App
from goldpress.definition import Definition
from goldpress.digest import sha256_bytes, sha256_tree
from goldpress.errors import BuildError, MissingError
from goldpress.host.trees import Change, write
from goldpress.rootfs.pools import APPS

FILE_MODE = 0o644


def code_digests(definition: Definition) -> dict[str, str]:
    """App -> sha256 of its code, or the package's name. Raises as `plan_code` does."""
    found = {}
    for name, app in sorted(definition.apps.items()):
        if app.directory is not None:
            found[name] = sha256_tree(_folder(definition, name, app.directory))
        else:
            found[name] = app.sha256 or f"package {app.package}"
    return found


def plan_code(definition: Definition) -> tuple[Change, ...]:
    """The changes that put every application's files in place.

    Raises MissingError when a source is not there, and BuildError for an archive that is not the
    one that was named, or that holds what an application may not have.
    """
    changes: list[Change] = []
    for name, app in sorted(definition.apps.items()):
        root = f"{APPS}/{name}"
        for path, item in sorted(_files(definition, name, app).items()):
            if isinstance(item, bytes):
                changes.append(write(f"{root}/{path}", item, mode=FILE_MODE))
            else:
                changes.append(Change(kind="link", path=f"{root}/{path}", target=item))
    return tuple(changes)


def _files(definition: Definition, name: str, app: App) -> Mapping[str, bytes | str]:
    """Relative path -> its bytes, or the target of a link."""
    if app.directory is not None:
        return dict(_directory_files(name, _folder(definition, name, app.directory)))
    if app.archive is not None:
        path = definition.directory / app.archive
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise MissingError(f"apps.{name}.archive: there is no file {app.archive}") from None
        if sha256_bytes(data) != app.sha256:
            raise BuildError(
                f"apps.{name}: {app.archive} has the sha256 {sha256_bytes(data)}",
                hint=f"image.yaml names {app.sha256}: is it the version that was reviewed?",
            )
        return dict(_archive_files(name, data))
    return {}


def _folder(definition: Definition, name: str, directory: str) -> Path:
    path = definition.directory / directory
    if not path.is_dir():
        raise MissingError(f"apps.{name}.directory: there is no folder {directory}")
    return path


def _directory_files(name: str, folder: Path) -> Iterator[tuple[str, bytes | str]]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield inside, _inner_link(name, inside, os.fspath(path.readlink()))
        elif path.is_file():
            yield inside, path.read_bytes()


def _archive_files(name: str, data: bytes) -> Iterator[tuple[str, bytes | str]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                inside = _inner(name, member.name)
                if member.issym():
                    yield inside, _inner_link(name, inside, member.linkname)
                elif member.isfile():
                    stream = archive.extractfile(member)
                    yield inside, stream.read() if stream else b""
                elif not member.isdir():
                    raise BuildError(f"apps.{name}: {member.name} is no file, folder or link")
    except tarfile.TarError as error:
        raise BuildError(f"apps.{name}: not a tar archive: {error}") from error


def _inner(name: str, path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise BuildError(f"apps.{name}: {path} leads out of the application")
    return "/".join(part for part in parts if part != ".")


def _inner_link(name: str, inside: str, target: str) -> str:
    """`target`, when it stays below the application's folder."""
    depth = 0
    for part in (*_parents(inside), *PurePosixPath(target).parts):
        depth += -1 if part == ".." else 1
        if depth < 0 or target.startswith("/"):
            raise BuildError(f"apps.{name}: the link {inside} leads out of the application")
    return target


def _parents(inside: str) -> Iterable[str]:
    return PurePosixPath(inside).parent.parts
