"""Owns the supply of an image: its distributions, where they are, and who may sign for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from goldpress.definition import Definition
from goldpress.distribution import FOLDER, Distribution, Signers, load_distribution
from goldpress.errors import DocumentError, MissingError
from goldpress.mirror.transfer.fetch import Fetcher, fetching
from goldpress.mirror.transfer.source import Source, source_of
from goldpress.mirror.trust.keys import bring_keys, signers_of
from goldpress.sandbox.make import make_sandbox
from goldpress.workspace import Workspace

#: Metalinks that are asked at the same time.
_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Supply:
    """Where each repository of an image's distributions is, by id, and who may sign for it."""

    sources: Mapping[str, Source | str | Path]
    signers: Signers

    def of(self, distribution: Distribution, arch: str) -> dict[str, Source | str | Path]:
        """The sources of one distribution's repositories."""
        return {r.id: self.sources[r.id] for r in distribution.repositories(arch)}

    @classmethod
    def together(cls, several: Iterable[Self]) -> Self:
        """Those of several distributions as one."""
        rows = tuple(several)
        sources = {id_: source for row in rows for id_, source in row.sources.items()}
        return cls(sources=sources, signers=together(row.signers for row in rows))


def distributions(
    ws: Workspace, definition: Definition, distribution: Distribution
) -> tuple[Distribution, ...]:
    """The image's distribution, then those of its `with:`.

    What is made on this machine has everything by itself. Raises MissingError for an unknown one,
    DocumentError when they do not go together.
    """
    if distribution.made:
        return (distribution,)
    extra = tuple(load_distribution(ws.project, id_) for id_ in definition.extra)
    faults = [
        f"with: {row.id} extends {row.extends or 'nothing'}, not {distribution.id}"
        for row in extra
        if row.extends != distribution.id
    ]
    found = (distribution, *extra)
    owners = Counter(r.id for row in found for r in row.repositories(definition.arch))
    faults += [
        f"with: more than one of {', '.join(row.id for row in found)} has a repository {id_!r}"
        for id_, count in owners.items()
        if count > 1
    ]
    if faults:
        path = f"images/{definition.name}/image.yaml"
        raise DocumentError(
            "\n".join(f"{path}: {fault}" for fault in faults),
            hint=f"correct `with:`, or the distributions in {FOLDER}/",
        )
    return found


def supply(
    ws: Workspace,
    found: Sequence[Distribution],
    arch: str,
    *,
    refresh: bool = False,
    fetcher: Fetcher | None = None,
) -> Supply:
    """Where the repositories of these distributions are, and their signers.

    The sandbox is made when it is not there. For others, keys are fetched and accepted by
    fingerprint, and metalinks are asked.
    """
    first = found[0]
    if first.made:
        made = make_sandbox(ws.sandbox, refresh=refresh)
        signers = Signers(
            fingerprints=(made.fingerprint,),
            key_files=(made.key,),
            repositories={made.fingerprint: first.repository_ids},
        )
        return Supply(sources={r.id: made.root for r in first.repositories(arch)}, signers=signers)
    with fetching(fetcher) as fetch:
        signers = bring_signers(ws, found, fetcher=fetch)
        return Supply(sources=_sources(found, arch, fetch), signers=signers)


def _sources(found: Iterable[Distribution], arch: str, fetcher: Fetcher) -> dict[str, Source]:
    repositories = [r for row in found for r in row.repositories(arch)]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        sources = pool.map(lambda repository: source_of(repository, fetcher), repositories)
        return {r.id: source for r, source in zip(repositories, sources, strict=True)}


def bring_signers(
    ws: Workspace, found: Iterable[Distribution], *, fetcher: Fetcher | None = None
) -> Signers:
    """Who may sign; keys that are not kept yet are fetched and accepted by fingerprint."""
    with fetching(fetcher) as fetch:
        return together(bring_keys(row, ws.store, fetcher=fetch) for row in found)


def kept_signers(ws: Workspace, found: Iterable[Distribution]) -> Signers:
    """Who may sign, with the keys that are kept. Raises MissingError when one was not brought."""
    return together(signers_of(row, ws.store) for row in found)


def together(several: Iterable[Signers]) -> Signers:
    """Those of several distributions; each key signs for the repositories that it did before."""
    fingerprints: list[str] = []
    files: list[Path] = []
    repositories: dict[str, tuple[str, ...]] = {}
    for row in several:
        fingerprints += row.fingerprints
        files += row.key_files
        for fingerprint, ids in row.repositories.items():
            repositories[fingerprint] = (*repositories.get(fingerprint, ()), *ids)
    return Signers(
        fingerprints=tuple(dict.fromkeys(fingerprints)),
        key_files=tuple(dict.fromkeys(files)),
        repositories=repositories,
    )


def check_buildable(found: Iterable[Distribution]) -> None:
    """Raises MissingError when no image can be built from one of them yet."""
    for row in found:
        if row.mirror_only:
            raise MissingError(
                f"{row.name} can be mirrored and locked, but no image can be built from it yet: "
                f"{row.mirror_only}"
            )
