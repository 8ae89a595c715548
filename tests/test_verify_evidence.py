from __future__ import annotations

from dataclasses import replace

from goldpress.digest import canonical_json
from goldpress.verify.evidence import Check, Evidence, Subject, VerifiedMachine

GOOD = Check(control="os-x", test="test_os::test_x", outcome="passed", seconds=0.1)
BAD = replace(GOOD, outcome="failed", message="it is off")
EVIDENCE = Evidence(
    subject=Subject(image_digest=f"sha256:{'1' * 64}", disk_sha256="2" * 64),
    distribution="sandbox",
    stand_in=True,
    machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
    suite_sha256="3" * 64,
    input_digest=f"sha256:{'4' * 64}",
    checks=(GOOD,),
    faults=(),
    started="2025-01-01T00:00:00+00:00",
    ended="2025-01-01T00:01:00+00:00",
    boot_to_200_seconds=31.5,
    console_sha256="5" * 64,
    junit_sha256="6" * 64,
)


def test_every_check_passed() -> None:
    assert EVIDENCE.outcome == "passed"


def test_one_failed_check_is_a_failure() -> None:
    found = replace(EVIDENCE, checks=(GOOD, BAD))
    assert (found.outcome, found.passed, found.failed) == ("failed", 1, 1)


def test_no_check_is_a_failure() -> None:
    assert replace(EVIDENCE, checks=()).outcome == "failed"


def test_a_fault_is_a_failure() -> None:
    assert replace(EVIDENCE, faults=("the report announces 2 checks and holds 1",)).outcome == (
        "failed"
    )


def test_the_document_tells_everything() -> None:
    document = replace(EVIDENCE, checks=(GOOD, BAD)).to_document()
    canonical_json(document)
    assert document["subject"] == {
        "image_digest": f"sha256:{'1' * 64}",
        "disk_sha256": "2" * 64,
    }
    assert document["machine"]["firmware"] == "uefi"
    assert (document["stand_in"], document["distribution"]) == (True, "sandbox")
    assert (document["outcome"], document["passed"], document["failed"]) == ("failed", 1, 1)
    assert document["checks"][1] == {
        "control": "os-x",
        "test": "test_os::test_x",
        "outcome": "failed",
        "seconds": 0.1,
        "message": "it is off",
    }
