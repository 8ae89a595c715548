"""Owns evidence: which checks were made on which machine from which disk, and how each ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

EVIDENCE_KIND = "evidence"
SCHEMA = 6
#: How often a copy is booted: what a first boot leaves behind may spoil the second.
BOOTS = 2
#: Kinds of machines that are launched from an AMI. One boot is enough of them: the local copy of
#: the same bytes, in whose evidence theirs has its ground, was booted `BOOTS` times.
LAUNCHED = frozenset({"ec2", "ec2-emulated"})
LAUNCHED_BOOTS = 1


def boots_of(kind: str) -> int:
    """How often a machine of this kind is booted to prove anything."""
    return LAUNCHED_BOOTS if kind in LAUNCHED else BOOTS


def reference(image: str, distribution: str) -> str:
    """The name in the store that stands for the last evidence of an image."""
    return f"{image}.{distribution}"


Outcome = Literal["passed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was tested: the image's digest (``sha256:...``) and its raw disk's sha256.

    `ami` is the id of the AMI that was launched; empty for a local copy of the disk.
    """

    image_digest: str
    disk_sha256: str
    ami: str = ""

    def reference(self, image: str, distribution: str) -> str:
        """The name in the store of the last evidence: the AMI's own, or the image's."""
        return self.ami or reference(image, distribution)


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
class Boot:
    """One boot of the copy and its run of the suite; times are UTC in ISO 8601.

    `host_key` is the fingerprint that its console announced and its sshd answered with. `faults`
    are what spoils the run as a whole (nothing ran, pytest ended early).
    """

    number: int
    host_key: str
    checks: tuple[Check, ...]
    faults: tuple[str, ...]
    started: str
    ended: str
    boot_to_200_seconds: float
    console_sha256: str
    junit_sha256: str

    @property
    def good(self) -> bool:
        """Whether at least one check ran, every one passed, and there is no fault."""
        passed = [check.outcome == "passed" for check in self.checks]
        return bool(passed) and all(passed) and not self.faults

    @property
    def seconds(self) -> float:
        """How long the suite took, looking at the machine included."""
        return round(sum(check.seconds for check in self.checks), 1)

    def to_document(self) -> dict[str, Any]:
        """The JSON value of this boot."""
        checks = [asdict(check) for check in self.checks]
        told = {"checks": checks, "faults": list(self.faults), "seconds": self.seconds}
        return {**asdict(self), **told}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The result of one suite on a tree, and on every boot of one copy of its disk.

    The outcome is "passed" only when every check of the tree passed, the copy was booted as often
    as `boots_of` its kind says, and each boot was good. For an AMI the tree's part is the evidence
    `rests_on` (its digest): that the same image passed as a local copy. `not_exercised` are the
    controls that this distribution cannot show, and why: such evidence is for a rehearsal.
    """

    subject: Subject
    distribution: str
    stand_in: bool
    machine: VerifiedMachine
    suite_sha256: str
    input_digest: str
    not_exercised: Mapping[str, str]
    offline: tuple[Check, ...]
    boots: tuple[Boot, ...]
    rests_on: str = ""

    @property
    def checks(self) -> Iterator[Check]:
        """Every check: of the tree, then of each boot."""
        yield from self.offline
        for boot in self.boots:
            yield from boot.checks

    @property
    def passed(self) -> int:
        """How many checks passed, of the tree and over all boots."""
        return sum(check.outcome == "passed" for check in self.checks)

    @property
    def failed(self) -> int:
        """How many did not."""
        return sum(1 for _ in self.checks) - self.passed

    @property
    def outcome(self) -> Outcome:
        """Whether this proves anything."""
        numbers = [boot.number for boot in self.boots]
        needed = list(range(1, boots_of(self.machine.kind) + 1))
        whole = numbers == needed and all(boot.good for boot in self.boots)
        return "passed" if whole and self._grounded else "failed"

    @property
    def _grounded(self) -> bool:
        """Whether the tree was proven: here, or for what was launched in another evidence."""
        if self.machine.kind in LAUNCHED:
            return bool(self.rests_on and self.subject.ami)
        return bool(self.offline) and all(check.outcome == "passed" for check in self.offline)

    def to_document(self) -> dict[str, Any]:
        """The JSON document as it is stored."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "not_exercised": dict(self.not_exercised),
            "offline": [asdict(check) for check in self.offline],
            "boots": [boot.to_document() for boot in self.boots],
            "outcome": self.outcome,
            "passed": self.passed,
            "failed": self.failed,
        }
