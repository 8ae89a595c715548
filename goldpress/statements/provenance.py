"""Owns provenance: what an image was made from, by which tools (SLSA v1, a predicate).

It holds no time and no host, so that the same image, made again by the same tools from the same
commit, has the same provenance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.digest import canonical_json, digest_of
from goldpress.errors import DocumentError
from goldpress.lock import Lock
from goldpress.manifest import ImageManifest
from goldpress.statements.statement import MALFORMED

BUILD_TYPE = "https://goldpress.invalid/press/v1"
BUILDER = "https://goldpress.invalid/builder/v1"
SNAPSHOT = "snapshot "


@dataclass(frozen=True, kw_only=True)
class Source:
    """The checkout that was built: its commit (40 hex digits), and whether nothing was changed.

    Without git, or before the first commit, `commit` is empty.
    """

    commit: str
    clean: bool


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What an image was made from. Digests are ``sha256:...``; `snapshots` are by distribution.

    `tools` are versions by name; that of goldpress is a digest over its code.
    """

    name: str
    distribution: str
    stand_in: bool
    arch: str
    definition: str
    packages: str
    disk_sha256: str
    lock: str
    resolver: str
    snapshots: Mapping[str, str]
    source: Source
    tools: Mapping[str, str]

    def predicate(self) -> dict[str, Any]:
        """As SLSA writes it."""
        return {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "image": self.name,
                    "distribution": self.distribution,
                    "standIn": self.stand_in,
                    "arch": self.arch,
                },
                "internalParameters": {"resolver": self.resolver},
                "resolvedDependencies": list(self._dependencies()),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": dict(self.tools)},
                "byproducts": [{"name": "disk", "digest": {"sha256": self.disk_sha256}}],
            },
        }

    def _dependencies(self) -> Iterator[dict[str, Any]]:
        if self.source.commit:
            yield {
                "name": "source",
                "digest": {"gitCommit": self.source.commit},
                "annotations": {"clean": self.source.clean},
            }
        named = {"definition": self.definition, "lock": self.lock, "packages": self.packages}
        snapshots = {f"{SNAPSHOT}{name}": value for name, value in self.snapshots.items()}
        for name, digest in sorted({**named, **snapshots}.items()):
            yield {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def provenance_of(
    manifest: ImageManifest, lock: Lock, *, source: Source, tools: Mapping[str, str]
) -> Provenance:
    """The provenance of an image that was pressed from this lock."""
    return Provenance(
        name=manifest.name,
        distribution=manifest.distribution,
        stand_in=manifest.stand_in,
        arch=manifest.arch,
        definition=manifest.definition,
        packages=manifest.packages,
        disk_sha256=manifest.disk_sha256,
        lock=lock.digest,
        resolver=lock.resolver,
        snapshots=dict(lock.snapshots),
        source=source,
        tools=dict(tools),
    )


def parse_provenance(value: Mapping[str, Any]) -> Provenance:
    """The inverse of `predicate`. Raises DocumentError for anything else."""
    try:
        made = _read(value)
        same = canonical_json(made.predicate()) == canonical_json(dict(value))
    except MALFORMED as error:
        raise DocumentError(f"provenance: {error!r:.100}") from None
    if not same:
        raise DocumentError("provenance: has more or other parts than goldpress writes")
    return made


def _read(value: Mapping[str, Any]) -> Provenance:
    build, run = value["buildDefinition"], value["runDetails"]
    given = build["externalParameters"]
    rows = {row["name"]: row for row in build["resolvedDependencies"]}
    source = Source(commit="", clean=False)
    if "source" in rows:
        found = rows.pop("source")
        commit, clean = found["digest"]["gitCommit"], found["annotations"]["clean"]
        source = Source(commit=commit, clean=clean is True)
    digests = {name: f"sha256:{row['digest']['sha256']}" for name, row in rows.items()}
    return Provenance(
        name=given["image"],
        distribution=given["distribution"],
        stand_in=given["standIn"],
        arch=given["arch"],
        definition=digests.pop("definition"),
        packages=digests.pop("packages"),
        lock=digests.pop("lock"),
        disk_sha256=run["byproducts"][0]["digest"]["sha256"],
        resolver=build["internalParameters"]["resolver"],
        snapshots={name.removeprefix(SNAPSHOT): digest for name, digest in digests.items()},
        source=source,
        tools=run["builder"]["version"],
    )


def faults(found: Provenance, lock: Lock, manifest: ImageManifest) -> Iterator[str]:
    """What contradicts the image's manifest, or is missing for an image of a real distribution.

    `lock` is the one that it names.
    """
    for name in ("name", "distribution", "stand_in", "arch", "definition", "packages"):
        if getattr(found, name) != getattr(manifest, name):
            yield f"its {name} is not the manifest's"
    if found.disk_sha256 != manifest.disk_sha256:
        yield "its disk is not the manifest's"
    yield from _lock_faults(found, lock, manifest)
    if manifest.stand_in:
        return
    if not found.source.commit:
        yield "it names no commit: it was not built in a git checkout"
    elif not found.source.clean:
        yield f"files were changed since its commit {found.source.commit[:12]}"


def _lock_faults(found: Provenance, lock: Lock, manifest: ImageManifest) -> Iterator[str]:
    for name in ("distribution", "stand_in", "arch"):
        if getattr(lock, name) != getattr(manifest, name):
            yield f"the {name} of its lock is not the manifest's"
    if digest_of([[row.nevra, row.sha256] for row in lock.packages]) != manifest.packages:
        yield "the packages of its lock are not the manifest's"
    if dict(found.snapshots) != dict(lock.snapshots) or found.resolver != lock.resolver:
        yield "its snapshots are not those of its lock"
