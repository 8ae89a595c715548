"""Owns a difference: what changed between two snapshots or two locks, by source package.

It says what is known and from where. Where nothing says which CVEs a change is about, that is no
sign that it is about none: `consulted` is empty then, and people read "no CVE data".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from goldpress.mirror.difference.evr import EvrOrder, evr_order
from goldpress.mirror.metadata.changelog import sorted_cves

Kind = Literal["added", "removed", "up", "down", "rebuilt"]
#: In the order in which they are shown: what needs a look comes first.
KINDS: tuple[Kind, ...] = ("down", "removed", "up", "added", "rebuilt")
NO_DATA = "no CVE data"


class Package(Protocol):
    """What a package has in a lock as well as in a snapshot; `size` in bytes."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def release(self) -> str: ...  # noqa: D102
    @property
    def arch(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def repository(self) -> str: ...  # noqa: D102
    @property
    def source_rpm(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One package on one side; `stream` is ``module:stream``, or "" when it is not modular."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    sha256: str
    size: int
    repository: str
    source_rpm: str
    stream: str

    @classmethod
    def of(cls, package: Package, stream: str) -> Build:
        """A package as the difference keeps it."""
        return cls(
            name=package.name,
            epoch=package.epoch,
            version=package.version,
            release=package.release,
            arch=package.arch,
            sha256=package.sha256,
            size=package.size,
            repository=package.repository,
            source_rpm=package.source_rpm,
            stream=stream,
        )

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``, the epoch only when there is one, as rpm shows it."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{epoch}{self.version}-{self.release}"

    @property
    def order(self) -> EvrOrder:
        """The key by which builds of one package sort."""
        return evr_order(self.epoch, self.version, self.release)

    @property
    def source(self) -> str:
        """The name of its source package; its own when the metadata does not say."""
        return self.source_rpm.rsplit("-", 2)[0] if self.source_rpm else self.name

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "evr": self.evr,
            "sha256": self.sha256,
            "size": self.size,
            "repository": self.repository,
            "stream": self.stream or None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One package that is not the same on both sides."""

    kind: Kind
    name: str
    arch: str
    before: Build | None
    after: Build | None

    @property
    def present(self) -> Build:
        """The newer side, or the older one of what was removed."""
        found = self.after or self.before
        if found is None:
            raise AssertionError("a change has a side")
        return found

    @property
    def same_name_other_bytes(self) -> bool:
        """Whether upstream gave other bytes the same name, epoch, version, release and arch."""
        return bool(self.before and self.after and self.before.order == self.after.order)

    @property
    def size(self) -> int:
        """By how many bytes the packed package grew; negative when it shrank."""
        after = self.after.size if self.after else 0
        return after - (self.before.size if self.before else 0)

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "arch": self.arch,
            "before": self.before.document() if self.before else None,
            "after": self.after.document() if self.after else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Cve:
    """A CVE, who names it (``changelog``, or an advisory's id), and how severe ("" unknown)."""

    id: str
    by: tuple[str, ...]
    severity: str

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {"id": self.id, "by": list(self.by), "severity": self.severity or None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What is known of the CVEs of one source package.

    `fixed` are named by what is new in it; `reopened` by what an older build has no more.
    `consulted` tells what was asked: ``changelog``, and distributions with advisories on it;
    empty means that nothing is known. `complete` is false when more may have been fixed.
    """

    fixed: tuple[Cve, ...] = ()
    reopened: tuple[Cve, ...] = ()
    consulted: tuple[str, ...] = ()
    complete: bool = True
    rebuild: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """The changes of one source package; `stream` is its module stream after them, or "".

    `findings` is None when there is no older and newer build to compare: what is only added or
    removed names no CVE.
    """

    name: str
    stream: str
    changes: tuple[Change, ...]
    findings: Findings | None

    @property
    def size(self) -> int:
        """By how many bytes its packed packages grew."""
        return sum(change.size for change in self.changes)

    @property
    def without_data(self) -> bool:
        """Whether nothing says which CVEs the changes are about."""
        return self.findings is not None and not self.findings.consulted

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        found = self.findings or Findings()
        return {
            "source": self.name,
            "stream": self.stream or None,
            "size": self.size,
            "changes": [change.document() for change in self.changes],
            "cves": {
                "data": _data(self),
                "consulted": list(found.consulted),
                "fixed": [cve.document() for cve in found.fixed],
                "reopened": [cve.document() for cve in found.reopened],
            },
        }


def _data(source: Source) -> str:
    if source.findings is None:
        return "not applicable"
    if source.without_data:
        return "none"
    return "complete" if source.findings.complete else "incomplete"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two that were compared: its name, digest, and what all its packages weigh."""

    name: str
    digest: str
    packages: int
    size: int

    def document(self) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "name": self.name,
            "digest": self.digest,
            "packages": self.packages,
            "size": self.size,
        }


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed, by source package: not modular first, then by module stream, by name.

    `remarks` are sentences about what else a reader has to know: what changed besides packages,
    and what is not known about CVEs.
    """

    before: Side
    after: Side
    sources: tuple[Source, ...]
    remarks: tuple[str, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every changed package."""
        return tuple(change for source in self.sources for change in source.changes)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The ids of all CVEs that something new names."""
        return _ids(found.fixed for found in self._findings)

    @property
    def reopened(self) -> tuple[str, ...]:
        """The ids of all CVEs whose fix is gone with a newer build."""
        return _ids(found.reopened for found in self._findings)

    @property
    def _findings(self) -> tuple[Findings, ...]:
        return tuple(source.findings for source in self.sources if source.findings)

    def count(self, kind: Kind) -> int:
        """How many packages changed in this way."""
        return sum(change.kind == kind for change in self.changes)

    @property
    def new_bytes(self) -> int:
        """How many bytes of packages the newer side has that the older did not."""
        return sum(change.after.size for change in self.changes if change.after)


def _ids(groups: Iterable[tuple[Cve, ...]]) -> tuple[str, ...]:
    return sorted_cves(cve.id for group in groups for cve in group)


def document(difference: Difference) -> dict[str, Any]:
    """A difference as plain JSON values; sizes in bytes."""
    return {
        "before": difference.before.document(),
        "after": difference.after.document(),
        "packages": {kind: difference.count(kind) for kind in KINDS},
        "new_bytes": difference.new_bytes,
        "cves": {"fixed": list(difference.fixed), "reopened": list(difference.reopened)},
        "sources": [source.document() for source in difference.sources],
        "remarks": list(difference.remarks),
    }
