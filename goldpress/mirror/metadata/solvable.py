"""Owns a repository in the resolver's own form: written by a limited child, read back in ms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import solv

from goldpress.errors import TrustError
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.sealed import seal, unsealed

#: What the files hold; part of their names.
FORMAT = "solv-1"


def main(arguments: Sequence[str]) -> None:
    """The limited child: write packed primary, and perhaps file lists, to a path.

    Raises TrustError when libsolv cannot read them.
    """
    primary, *lists, target = arguments
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repo = pool.add_repo("repository")
    _add(repo, primary)
    for row in lists:
        _add(repo, row, "FL", solv.Repo.REPO_EXTEND_SOLVABLES)
    with _memory_file() as (stream, handle):
        repo.write(handle)
        handle.flush()
        stream.seek(0)
        seal(Path(target), stream.read())


def _add(repo: Any, argument: str, language: str | None = None, flags: int = 0) -> None:
    entry = Packed.from_argument(argument)
    with _memory_file(entry.chunks()) as (_, handle):
        if not repo.add_rpmmd(handle, language, flags):
            raise TrustError(f"{entry.name}: the resolver cannot read it")


def load(repo: Any, path: Path, packages: int) -> None:
    """Load what the child wrote, so many packages, into a libsolv repository.

    Raises ValueError when it is damaged or has another number; then a part may have been loaded.
    """
    with _memory_file([unsealed(path)]) as (_, handle):
        if not repo.add_solv(handle):
            raise ValueError(f"{path.name} cannot be read")
    # A parser that is more lenient than ours may skip what it does not understand.
    if repo.nsolvables != packages:
        raise ValueError(f"the resolver read {repo.nsolvables} of {packages} packages")


@contextmanager
def _memory_file(chunks: Iterable[bytes] = ()) -> Iterator[tuple[Any, Any]]:
    """The chunks as a file, and libsolv's handle of it, at the beginning.

    libsolv opens no compression but gzip by itself, and its parsers want a file.
    """
    with os.fdopen(os.memfd_create("goldpress-solv"), "w+b") as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        stream.seek(0)
        # The handle has a descriptor of its own, with the same position.
        handle = solv.xfopen_fd("goldpress-solv", stream.fileno(), "r" if chunks else "w")
        yield stream, handle
        handle.close()
