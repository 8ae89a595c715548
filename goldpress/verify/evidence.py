"""Owns evidence: which checks were made on which machine from which disk, and how each ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

EVIDENCE_KIND = "evidence"
SCHEMA = 1

Outcome = Literal["passed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was tested: the image's digest (``sha256:...``) and its raw disk's sha256."""

    image_digest: str
    disk_sha256: str


@dataclass(frozen=True, kw_only=True)
class VerifiedMachine:
    """Where it was tested."""

    kind: str
    firmware: str
    accelerator: str
    uuid: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: the control it proves, how it ended, its seconds, and why it did not pass."""

    control: str
    test: str
    outcome: Outcome
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The result of one suite on one machine; times are UTC in ISO 8601.

    `faults` are what spoils the run as a whole (nothing ran, pytest ended early). The outcome is
    "passed" only when at least one check ran, every one passed, and there is no fault.
    """

    subject: Subject
    distribution: str
    stand_in: bool
    machine: VerifiedMachine
    suite_sha256: str
    input_digest: str
    checks: tuple[Check, ...]
    faults: tuple[str, ...]
    started: str
    ended: str
    boot_to_200_seconds: float
    console_sha256: str
    junit_sha256: str

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.outcome == "passed" for check in self.checks)

    @property
    def failed(self) -> int:
        """How many did not."""
        return len(self.checks) - self.passed

    @property
    def outcome(self) -> Outcome:
        """Whether this proves anything."""
        return "passed" if self.passed and not self.failed and not self.faults else "failed"

    def to_document(self) -> dict[str, Any]:
        """The JSON document as it is stored."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "checks": [asdict(check) for check in self.checks],
            "faults": list(self.faults),
            "outcome": self.outcome,
            "passed": self.passed,
            "failed": self.failed,
        }
