"""Owns a distribution: where `rpm-mirror/<id>.yaml` says packages come from, and who signs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from goldpress.definition import Arch, Name, PackageName, Stream
from goldpress.document import Part, nearest, parse, read_yaml, shown
from goldpress.errors import DocumentError, MissingError, TrustError

FOLDER = "rpm-mirror"
#: Documents of that folder that describe no distribution.
OTHERS = ("overrides",)


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


def _one_or_more(value: Any) -> Any:
    # Strict parsing takes a tuple only from JSON itself; behind this function it sees Python's.
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Url = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]


class Repository(Part):
    """One repository; of two with the same package, the lower `priority` wins.

    It is at `baseurl` (one address, or several with the same files, best first) or where the
    `metalink` says, which vouches for `repomd.xml` too; at neither when it is made here.
    """

    id: Name
    baseurl: Annotated[tuple[Url, ...], BeforeValidator(_one_or_more)] = ()
    metalink: SecureUrl | None = None
    priority: Annotated[int, Field(ge=1, le=99)] = 99


class ArchRepositories(Part):
    """The repositories of one architecture."""

    repositories: Annotated[tuple[Repository, ...], Field(min_length=1)]


class Key(Part):
    """A signing key: its full fingerprint decides, the URL only says where to get it.

    It may sign for these repositories of its distribution, by id; for all when none is named.
    """

    fingerprint: Fingerprint
    url: SecureUrl
    repositories: tuple[Name, ...] = ()


class Distribution(Part):
    """Where packages come from. Build one with `load_distribution`.

    `extends` names the distribution that its packages need; `errata_for` the one whose packages
    its advisories are about as well; `mirror_only` why no image can be built from it ("" when one
    can). `modules` are the streams that a definition may choose, by module: none when empty.
    """

    id: Name
    name: Annotated[str, Field(min_length=1)]
    stand_in_for: Name | None = None
    extends: Name | None = None
    errata_for: Name | None = None
    mirror_only: str = ""
    platform: Annotated[str, Field(pattern=r"^el[0-9]+$")]
    arches: dict[Arch, ArchRepositories]
    keys: tuple[Key, ...] = ()
    modules: dict[PackageName, Annotated[tuple[Stream, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    stale_after_days: Annotated[int, Field(ge=1, le=3650)] = 14
    made: bool = False

    @property
    def stand_in(self) -> bool:
        """True when this is a rehearsal of another distribution, never the real one."""
        return self.stand_in_for is not None

    @property
    def repository_ids(self) -> tuple[str, ...]:
        """The ids of the repositories of all architectures, each once, in order."""
        return tuple(sorted({r.id for part in self.arches.values() for r in part.repositories}))

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
    """Who may sign: full fingerprints (40 digits, capitals), and files with just these keys.

    `repositories` tells, by fingerprint, the ids of the only repositories that a key may sign
    for; one that is not in it may sign for all.
    """

    fingerprints: tuple[str, ...]
    key_files: tuple[Path, ...]
    repositories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def may_sign(self, fingerprint: str, repository: str) -> bool:
        """Whether packages of this repository may be signed by this key."""
        only = self.repositories.get(fingerprint)
        return fingerprint in self.fingerprints and (only is None or repository in only)

    def allowed(self, repository: str) -> tuple[str, ...]:
        """The fingerprints that may sign packages of this repository."""
        return tuple(f for f in self.fingerprints if self.may_sign(f, repository))

    @classmethod
    def together(cls, parts: Iterable[Signers]) -> Signers:
        """The signers of several distributions, each still only for its own repositories.

        Raises TrustError for a key that may sign for all: with others, that would be theirs too.
        """
        files: dict[str, Path] = {}
        repositories: dict[str, tuple[str, ...]] = {}
        for part in parts:
            for fingerprint, file in zip(part.fingerprints, part.key_files, strict=True):
                if fingerprint not in part.repositories:
                    raise TrustError(f"the key {fingerprint} is not limited to any repositories")
                files.setdefault(fingerprint, file)
                known = repositories.get(fingerprint, ())
                repositories[fingerprint] = (*known, *part.repositories[fingerprint])
        return cls(
            fingerprints=tuple(files), key_files=tuple(files.values()), repositories=repositories
        )


def distribution_ids(root: Path) -> tuple[str, ...]:
    """Every distribution that the project at `root` describes, in order."""
    names = (path.stem for path in (root / FOLDER).glob("*.yaml"))
    return tuple(sorted(name for name in names if name not in OTHERS))


def load_distribution(root: Path, id: str) -> Distribution:  # noqa: A002 - the document's word
    """The distribution `id` of the project at `root`.

    Raises MissingError for an unknown one (with the nearest), DocumentError for a bad file.
    """
    path = root / FOLDER / f"{id}.yaml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", id) or not path.is_file() or id in OTHERS:
        known = distribution_ids(root)
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
    if distribution.extends == distribution.id:
        yield "extends: a distribution cannot extend itself"
    if distribution.errata_for == distribution.id:
        yield "errata_for: its own advisories are its own; name another distribution"
    if made and not distribution.stand_in:
        yield "stand_in_for: what is made on this machine has to say what it stands in for"
    if made and distribution.mirror_only:
        yield "mirror_only: what is made on this machine is there to be built from"
    if not distribution.arches:
        yield "arches: at least one is needed"
    for module, streams in distribution.modules.items():
        if len(set(streams)) != len(streams):
            yield f"modules.{module}: a stream is listed twice"
    yield from _key_contradictions(distribution)
    yield from _source_contradictions(distribution)


def _key_contradictions(distribution: Distribution) -> Iterable[str]:
    if distribution.made:
        if distribution.keys:
            yield "keys: `made: true` means a key made on this machine; none can be named here"
        return
    if not distribution.keys:
        yield "keys: at least one is needed; without it no package can be trusted"
        return
    fingerprints = [key.fingerprint for key in distribution.keys]
    if len(set(fingerprints)) != len(fingerprints):
        yield "keys: a fingerprint is listed twice"
    known = distribution.repository_ids
    for index, key in enumerate(distribution.keys):
        for name in key.repositories:
            if name not in known:
                yield f"keys[{index}].repositories: no repository is {name!r}{nearest(name, known)}"
    for name in known:
        if not any(not key.repositories or name in key.repositories for key in distribution.keys):
            yield f"keys: none may sign for the repository {name!r}"


def _source_contradictions(distribution: Distribution) -> Iterable[str]:
    for arch, part in distribution.arches.items():
        ids = [repository.id for repository in part.repositories]
        if len(set(ids)) != len(ids):
            yield f"arches.{arch}.repositories: an id is listed twice"
        for index, repository in enumerate(part.repositories):
            where = f"arches.{arch}.repositories[{index}]"
            found = bool(repository.baseurl) + bool(repository.metalink)
            if distribution.made and found:
                yield f"{where}: `made: true` means no URL; the repository is made on this machine"
            if not distribution.made and found != 1:
                yield f"{where}: needs a `baseurl` or a `metalink`, and not both"
            if len(set(repository.baseurl)) != len(repository.baseurl):
                yield f"{where}.baseurl: an address is listed twice"
