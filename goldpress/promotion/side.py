"""Owns a side: one image as a proposal tells of it, its sizes, its verifications, its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldpress.digest import short
from goldpress.statements.sbom import Bill
from goldpress.statements.verification import EMULATED, LAUNCHED, LOCAL
from goldpress.verify.evidence import Evidence

#: What the machines of verifications are called.
PLACES: Mapping[str, str] = {
    LOCAL: "a local machine",
    LAUNCHED: "EC2",
    EMULATED: "the embedded cloud",
}


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One verification: on which kind of machine, which checks passed and failed, how it booted.

    A check is ``control test``. `boot_seconds` is from start to the first answer, one a boot.
    """

    machine: str
    accelerator: str
    passed: frozenset[str]
    failed: frozenset[str]
    not_exercised: frozenset[str]
    boot_seconds: tuple[float, ...]

    @property
    def place(self) -> str:
        """Where, for people."""
        return PLACES.get(self.machine, self.machine)


@dataclass(frozen=True, kw_only=True, order=True)
class Component:
    """One part of an SBOM: ``name.arch``, version and licence."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """One image. Sizes in bytes; `data_bytes` are those of blocks with data, None if not known.

    `proofs` tell each proven link of its chain of statements, and who signed it.
    """

    digest: str
    name: str
    distribution: str
    stand_in: bool
    disk_bytes: int
    data_bytes: int | None
    verified: tuple[Verified, ...]
    components: frozenset[Component]
    proofs: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The digest for people."""
        return short(self.digest)

    def on(self, machine: str) -> Verified | None:
        """Its verification on this kind of machine."""
        return next((row for row in self.verified if row.machine == machine), None)


def verified_of(evidence: Evidence) -> Verified:
    """What a verification showed."""
    ends: dict[str, set[str]] = {"passed": set(), "failed": set()}
    for check in evidence.checks:
        ends[check.outcome].add(f"{check.control} {check.test}")
    return Verified(
        machine=evidence.machine.kind,
        accelerator=evidence.machine.accelerator,
        # What failed once did not pass, however often it did.
        passed=frozenset(ends["passed"] - ends["failed"]),
        failed=frozenset(ends["failed"]),
        not_exercised=frozenset(evidence.not_exercised),
        boot_seconds=tuple(boot.boot_to_200_seconds for boot in evidence.boots),
    )


def components_of(bill: Bill) -> frozenset[Component]:
    """The parts that a bill of materials lists."""
    return frozenset(
        Component(name=f"{row.name}.{row.arch}", version=row.version, licence=row.license)
        for row in bill.components
    )
