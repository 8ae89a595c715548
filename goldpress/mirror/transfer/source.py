"""Owns the source: the places that have the files of a repository, and what vouches for them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from goldpress.distribution import Repository
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.metalink import MAX_METALINK_BYTES, Promise, read_metalink
from goldpress.mirror.transfer.place import shown


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a repository is: base URLs or directories with the same files, best first.

    `repomd` is what a metalink vouches for, newest first: the current repomd.xml, and older ones
    that mirrors may still have. Empty: nothing vouches. `metalink` is where that was read.
    """

    places: tuple[str | Path, ...]
    repomd: tuple[Promise, ...] = ()
    metalink: str = ""

    @property
    def name(self) -> str:
        """The first place, for messages."""
        others = len(self.places) - 1
        return shown(self.places[0]) + (f" (and {others} more)" if others else "")


class Fetches(Protocol):
    """What brings a metalink: `mirror.transfer.fetch.Fetcher`."""

    def fetch(self, source: str | Path, target: Path, *, limit: int) -> object:
        """Write `source` to `target`."""


def as_source(where: Source | str | Path) -> Source:
    """A source, or one with this only place."""
    return where if isinstance(where, Source) else Source(places=(where,))


def source_of(repository: Repository, fetcher: Fetches) -> Source:
    """Where a repository of a distribution is: its base URLs, or what its metalink names.

    Raises MissingError when a metalink cannot be had or names no place, TrustError when it is not
    one, or does not come in a way that can vouch for anything.
    """
    if repository.metalink is not None:
        return source_of_metalink(repository.metalink, fetcher)
    if not repository.baseurl:
        raise MissingError(f"repository {repository.id} has neither `baseurl` nor `metalink`")
    return Source(places=repository.baseurl)


def source_of_metalink(url: str, fetcher: Fetches) -> Source:
    """The places and promises of a metalink. Raises as `source_of`."""
    if not url.startswith(("https://", "file://")):
        raise TrustError(
            f"{shown(url)}: a metalink vouches for a repository, so it has to come over https"
        )
    with tempfile.TemporaryDirectory(prefix="goldpress-") as scratch:
        path = Path(scratch) / "metalink"
        fetcher.fetch(url, path, limit=MAX_METALINK_BYTES)
        found = read_metalink([path.read_bytes()], name=shown(url))
    return Source(places=found.places, repomd=found.repomd, metalink=url)


def refreshed(source: Source, fetcher: Fetches) -> Source:
    """The source as its metalink says now; unchanged when it has none."""
    return source_of_metalink(source.metalink, fetcher) if source.metalink else source
