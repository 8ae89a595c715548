"""Owns a distribution: where `rpm-mirror/<id>.yaml` says packages come from, and who signs them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from goldpress.definition import Arch, Name
from goldpress.document import Part, nearest, parse, read_yaml, shown
from goldpress.errors import DocumentError, MissingError

FOLDER = "rpm-mirror"


def _fingerprint(value: str) -> str:
    # 40 digits: OpenPGP version 4, the newest that the host's rpm can verify.
    if not re.fullmatch(r"[0-9A-F]{40}", value):
        raise ValueError(f"{value!r} is not a fingerprint: 40 digits 0-9 and A-F, without spaces")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"(?:https?|file)://\S+", value):
        raise ValueError(f"{value!r} is not an http(s) or file URL")
    return value


def _secure_url(value: str) -> str:
    if not re.fullmatch(r"(?:https|file)://\S+", value):
        raise ValueError(
            f"{value!r} is not an https or file URL; what vouches for others needs one"
        )
    return value


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]


class Repository(Part):
    """One repository; of two with the same package, the lower `priority` wins."""

    id: Name
    baseurl: Url | None = None
    priority: Annotated[int, Field(ge=1, le=99)] = 99


class ArchRepositories(Part):
    """The repositories of one architecture."""

    repositories: Annotated[tuple[Repository, ...], Field(min_length=1)]


class Key(Part):
    """A signing key: its full fingerprint decides, the URL only says where to get it."""

    fingerprint: Fingerprint
    url: SecureUrl


class Distribution(Part):
    """Where packages come from. Build one with `load_distribution`."""

    id: Name
    name: Annotated[str, Field(min_length=1)]
    stand_in_for: Name | None = None
    platform: Annotated[str, Field(pattern=r"^el[0-9]+$")]
    arches: dict[Arch, ArchRepositories]
    keys: tuple[Key, ...] = ()
    made: bool = False

    @property
    def stand_in(self) -> bool:
        """True when this is a rehearsal of another distribution, never the real one."""
        return self.stand_in_for is not None

    def repositories(self, arch: str) -> tuple[Repository, ...]:
        """The repositories of an architecture. Raises MissingError when it has none."""
        for known, part in self.arches.items():
            if known == arch:
                return part.repositories
        raise MissingError(
            f"{self.name} has no repositories for {arch}",
            hint=f"`{FOLDER}/{self.id}.yaml` names {', '.join(sorted(self.arches)) or 'none'}",
        )


@dataclass(frozen=True, kw_only=True)
class Signers:
    """Who may sign: full fingerprints (40 digits, capitals), and files with just these keys."""

    fingerprints: tuple[str, ...]
    key_files: tuple[Path, ...]


def load_distribution(root: Path, id: str) -> Distribution:  # noqa: A002 - the document's word
    """The distribution `id` of the project at `root`.

    Raises MissingError for an unknown one (with the nearest), DocumentError for a bad file.
    """
    path = root / FOLDER / f"{id}.yaml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", id) or not path.is_file():
        known = sorted(p.stem for p in (root / FOLDER).glob("*.yaml"))
        raise MissingError(
            f"unknown distribution {id!r}{nearest(id, known)}",
            hint=f"`{FOLDER}/` describes: {', '.join(known) or 'none'}",
        )
    name = shown(path)
    distribution = parse(Distribution, read_yaml(path), name=name)
    faults = list(_contradictions(distribution, path.stem))
    if faults:
        raise DocumentError("\n".join(f"{name}: {fault}" for fault in faults))
    return distribution


def _contradictions(distribution: Distribution, stem: str) -> Iterable[str]:
    made = distribution.made
    if distribution.id != stem:
        yield f"id: is {distribution.id!r}, but the file is {stem + '.yaml'!r}"
    if distribution.stand_in_for == distribution.id:
        yield "stand_in_for: a distribution cannot stand in for itself"
    if made and not distribution.stand_in:
        yield "stand_in_for: what is made on this machine has to say what it stands in for"
    if made and distribution.keys:
        yield "keys: `made: true` means a key made on this machine; none can be named here"
    if not made and not distribution.keys:
        yield "keys: at least one is needed; without it no package can be trusted"
    fingerprints = [key.fingerprint for key in distribution.keys]
    if len(set(fingerprints)) != len(fingerprints):
        yield "keys: a fingerprint is listed twice"
    if not distribution.arches:
        yield "arches: at least one is needed"
    yield from _source_contradictions(distribution)


def _source_contradictions(distribution: Distribution) -> Iterable[str]:
    made = distribution.made
    for arch, part in distribution.arches.items():
        ids = [repository.id for repository in part.repositories]
        if len(set(ids)) != len(ids):
            yield f"arches.{arch}.repositories: an id is listed twice"
        for index, repository in enumerate(part.repositories):
            where = f"arches.{arch}.repositories[{index}]"
            if made and repository.baseurl:
                yield f"{where}: `made: true` means no URL; the repository is made on this machine"
            if not made and not repository.baseurl:
                yield f"{where}: needs a `baseurl`"
