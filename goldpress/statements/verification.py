"""Owns verification: how every check of the suite ended, where (in-toto test-result, a predicate).

The whole evidence is in it: a statement proves as much as it says when the store has lost all else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.controls import LEVELS
from goldpress.digest import canonical_json, digest_of
from goldpress.errors import DocumentError
from goldpress.manifest import ImageManifest
from goldpress.statements.statement import MALFORMED
from goldpress.verify.evidence import SCHEMA, Boot, Check, Evidence, Subject, VerifiedMachine

#: The machine of a local boot, and an instance of each cloud.
LOCAL = "qemu"
LAUNCHED = "ec2"
EMULATED = "ec2-emulated"


@dataclass(frozen=True, kw_only=True)
class Launched:
    """The AMI that the verified instance was launched from."""

    account: str
    region: str
    ami: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Evidence, and for an instance the AMI that it was launched from."""

    evidence: Evidence
    launched: Launched | None = None

    def predicate(self) -> dict[str, Any]:
        """As in-toto writes it; `evidence` and `launched` are goldpress's own parts."""
        document = self.evidence.to_document()
        suite = {"name": "suite", "digest": {"sha256": self.evidence.suite_sha256}}
        given = {"name": "input", "digest": {"sha256": _hex(self.evidence.input_digest)}}
        kept = {"name": "evidence", "digest": {"sha256": _hex(digest_of(document))}}
        rows = list(named_checks(self.evidence))
        value = {
            "result": "PASSED" if self.evidence.outcome == "passed" else "FAILED",
            "configuration": [suite, given, kept],
            "passedTests": [name for name, check in rows if check.outcome == "passed"],
            "failedTests": [name for name, check in rows if check.outcome != "passed"],
            "evidence": document,
        }
        return {**value, "launched": vars(self.launched)} if self.launched else value


def named_checks(evidence: Evidence) -> Iterator[tuple[str, Check]]:
    """Every check with its name: ``tree <test>`` or ``boot 1 <test>``."""
    for check in evidence.offline:
        yield f"tree {check.test}", check
    for boot in evidence.boots:
        for check in boot.checks:
            yield f"boot {boot.number} {check.test}", check


def parse_verification(value: Mapping[str, Any]) -> Verification:
    """The inverse of `predicate`. Raises DocumentError for anything else."""
    try:
        launched = value.get("launched")
        made = Verification(
            evidence=parse_evidence(value["evidence"]),
            launched=Launched(**launched) if launched is not None else None,
        )
        same = canonical_json(made.predicate()) == canonical_json(dict(value))
    except MALFORMED as error:
        raise DocumentError(f"verification: {error!r:.100}") from None
    if not same:
        raise DocumentError("verification: what it says of its evidence is not so")
    return made


def parse_evidence(value: Mapping[str, Any]) -> Evidence:
    """Evidence from its document. Raises DocumentError for anything but what is written there."""
    try:
        if value["schema"] != SCHEMA:
            raise DocumentError(
                f"evidence: its schema {value['schema']!r:.20} is not {SCHEMA}",
                hint="verify the image again with this version",
            )
        made = Evidence(
            subject=Subject(**value["subject"]),
            distribution=value["distribution"],
            stand_in=value["stand_in"],
            machine=VerifiedMachine(**value["machine"]),
            suite_sha256=value["suite_sha256"],
            input_digest=value["input_digest"],
            not_exercised=dict(value["not_exercised"]),
            offline=tuple(Check(**row) for row in value["offline"]),
            boots=tuple(
                Boot(**{
                    # What follows from the checks is compared below.
                    **{name: part for name, part in row.items() if name != "seconds"},
                    "checks": tuple(Check(**check) for check in row["checks"]),
                    "faults": tuple(row["faults"]),
                })
                for row in value["boots"]
            ),
            rests_on=value["rests_on"],
        )  # fmt: skip
        same = canonical_json(made.to_document()) == canonical_json(dict(value))
    except MALFORMED as error:
        raise DocumentError(f"evidence: {error!r:.100}") from None
    if not same:
        raise DocumentError("evidence: its outcome or its numbers are not those of its checks")
    return made


def faults(
    found: Verification, manifest: ImageManifest, promises: Mapping[str, Any]
) -> Iterator[str]:
    """Why this does not prove the image good; `promises` is the suite's input, by its digest.

    Raises DocumentError when the promises are not what goldpress writes.
    """
    evidence = found.evidence
    if evidence.subject.image_digest != manifest.digest:
        yield f"its evidence is of another image, {evidence.subject.image_digest}"
    if evidence.subject.disk_sha256 != manifest.disk_sha256:
        yield "its evidence is of another disk"
    if evidence.stand_in != manifest.stand_in or evidence.distribution != manifest.distribution:
        yield f"its evidence is of {evidence.distribution}, not {manifest.distribution}"
    if evidence.machine.firmware != "uefi":
        yield f"the machine was booted by {evidence.machine.firmware!r}, not through its firmware"
    yield from _place_faults(found, manifest)
    if evidence.outcome != "passed":
        yield f"the suite did not pass: {evidence.failed} of {_count(evidence)} checks failed"
    if evidence.not_exercised and not manifest.stand_in:
        yield f"controls were not exercised: {', '.join(sorted(evidence.not_exercised))}"
    yield from _promise_faults(promises, manifest)
    yield from missing_controls(evidence, promises)


def _place_faults(found: Verification, manifest: ImageManifest) -> Iterator[str]:
    kind = found.evidence.machine.kind
    if found.launched is None:
        if kind != LOCAL:
            yield f"a machine of the kind {kind!r} was launched from no AMI that it names"
        return
    if found.evidence.subject.ami != found.launched.ami:
        tried = found.evidence.subject.ami or "no AMI"
        yield f"its evidence is of {tried}, not of {found.launched.ami}"
    # An image of a real distribution may be rehearsed in the embedded cloud; that counts nothing.
    if kind != EMULATED and (manifest.stand_in or kind != LAUNCHED):
        yield f"its machine is {kind!r}, not {EMULATED if manifest.stand_in else LAUNCHED!r}"


def _promise_faults(promises: Mapping[str, Any], manifest: ImageManifest) -> Iterator[str]:
    wanted = {
        "image": manifest.name,
        "distribution": manifest.distribution,
        "stand_in": manifest.stand_in,
        "arch": manifest.arch,
        "root_hash": manifest.root_hash,
    }
    for name, value in wanted.items():
        if promises.get(name) != value:
            yield f"what the suite compared with has another {name} than the manifest"


def missing_controls(evidence: Evidence, promises: Mapping[str, Any]) -> Iterator[str]:
    """The expected controls of which not every check passed, at a level or a boot.

    The tree of what was launched was looked at in the evidence that this rests on.
    """
    try:
        expected: dict[str, list[str]] = {
            level: list(promises["expected"][level]) for level in LEVELS
        }
    except (KeyError, TypeError):
        raise DocumentError("promises: no `expected` controls of each level") from None
    local = evidence.machine.kind not in {LAUNCHED, EMULATED}
    runs = [("offline", "on the tree", evidence.offline)] if local else []
    runs += [("booted", f"at boot {boot.number}", boot.checks) for boot in evidence.boots]
    for level, where, checks in runs:
        passed = {check.control for check in checks if check.outcome == "passed"}
        lacking = sorted(set(expected[level]) - passed)
        if lacking:
            yield f"controls without a passed check {where}: {', '.join(lacking)}"


def _count(evidence: Evidence) -> int:
    return evidence.passed + evidence.failed


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
