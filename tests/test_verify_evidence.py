from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from goldpress.digest import canonical_json
from goldpress.verify.evidence import Boot, Check, Evidence, Subject, VerifiedMachine

GOOD = Check(control="os-x", test="test_os::test_x", outcome="passed", seconds=0.1)
BAD = replace(GOOD, outcome="failed", message="it is off")
BOOT = Boot(
    number=1,
    host_key=f"SHA256:{'A' * 43}",
    checks=(GOOD,),
    faults=(),
    started="2025-01-01T00:00:00+00:00",
    ended="2025-01-01T00:01:00+00:00",
    boot_to_200_seconds=31.5,
    console_sha256="5" * 64,
    junit_sha256="6" * 64,
)
SECOND = replace(BOOT, number=2)
EVIDENCE = Evidence(
    subject=Subject(image_digest=f"sha256:{'1' * 64}", disk_sha256="2" * 64),
    distribution="sandbox",
    stand_in=True,
    machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
    suite_sha256="3" * 64,
    input_digest=f"sha256:{'4' * 64}",
    not_exercised={"os-crypto-policy": "the stand-in has none"},
    offline=(GOOD,),
    boots=(BOOT, SECOND),
)


def test_every_check_passed_at_both_boots() -> None:
    assert (EVIDENCE.outcome, EVIDENCE.passed, EVIDENCE.failed) == ("passed", 3, 0)


@pytest.mark.parametrize("number", [0, 1])
def test_one_failed_check_is_a_failure(number: int) -> None:
    boots = [BOOT, SECOND]
    boots[number] = replace(boots[number], checks=(GOOD, BAD))
    found = replace(EVIDENCE, boots=tuple(boots))
    assert (found.outcome, found.passed, found.failed) == ("failed", 3, 1)


@pytest.mark.parametrize("offline", [(), (BAD,), (GOOD, BAD)])
def test_a_tree_that_was_not_checked_or_failed_is_a_failure(offline: tuple[Check, ...]) -> None:
    assert replace(EVIDENCE, offline=offline).outcome == "failed"


def test_a_boot_without_a_check_is_a_failure() -> None:
    assert replace(EVIDENCE, boots=(BOOT, replace(SECOND, checks=()))).outcome == "failed"


@pytest.mark.parametrize("boots", [(), (BOOT,), (SECOND,), (BOOT, BOOT), (SECOND, BOOT)])
def test_anything_but_a_first_and_a_second_boot_is_a_failure(boots: tuple[Boot, ...]) -> None:
    assert replace(EVIDENCE, boots=boots).outcome == "failed"


LAUNCHED = replace(
    EVIDENCE,
    subject=replace(EVIDENCE.subject, ami="ami-0123456789abcdef0"),
    machine=replace(EVIDENCE.machine, kind="ec2"),
    offline=(),
    boots=(BOOT,),
    rests_on=f"sha256:{'7' * 64}",
)


@pytest.mark.parametrize("kind", ["ec2", "ec2-emulated"])
def test_of_an_ami_one_boot_and_what_it_rests_on_are_enough(kind: str) -> None:
    found = replace(LAUNCHED, machine=replace(LAUNCHED.machine, kind=kind))
    assert (found.outcome, found.passed) == ("passed", 1)
    document = found.to_document()
    assert (len(document["boots"]), document["machine"]["kind"]) == (1, kind)
    assert (document["rests_on"], document["subject"]["ami"]) == (found.rests_on, found.subject.ami)


@pytest.mark.parametrize(
    "changes",
    [
        {"rests_on": ""},
        {"subject": EVIDENCE.subject},
        {"boots": ()},
        {"boots": (BOOT, SECOND)},
        {"boots": (SECOND,)},
        {"boots": (replace(BOOT, checks=(BAD,)),)},
        {"machine": EVIDENCE.machine},  # a local copy has to be booted twice, whatever it rests on
    ],
)
def test_anything_less_of_an_ami_is_a_failure(changes: dict[str, Any]) -> None:
    assert replace(LAUNCHED, **changes).outcome == "failed"


def test_evidence_is_named_by_what_was_tested() -> None:
    assert EVIDENCE.subject.reference("web", "sandbox") == "web.sandbox"
    assert LAUNCHED.subject.reference("web", "sandbox") == "ami-0123456789abcdef0"


def test_a_fault_is_a_failure() -> None:
    spoiled = replace(SECOND, faults=("the report announces 2 checks and holds 1",))
    assert replace(EVIDENCE, boots=(BOOT, spoiled)).outcome == "failed"


def test_the_document_tells_everything() -> None:
    document = replace(EVIDENCE, boots=(BOOT, replace(SECOND, checks=(GOOD, BAD)))).to_document()
    canonical_json(document)
    assert document["subject"] == {
        "image_digest": f"sha256:{'1' * 64}",
        "disk_sha256": "2" * 64,
        "ami": "",
    }
    assert document["machine"]["firmware"] == "uefi"
    assert (document["stand_in"], document["distribution"]) == (True, "sandbox")
    assert (document["outcome"], document["passed"], document["failed"]) == ("failed", 3, 1)
    assert document["not_exercised"] == {"os-crypto-policy": "the stand-in has none"}
    assert [check["control"] for check in document["offline"]] == ["os-x"]
    assert [boot["number"] for boot in document["boots"]] == [1, 2]
    assert [boot["seconds"] for boot in document["boots"]] == [0.1, 0.2]
    assert document["boots"][1]["checks"][1] == {
        "control": "os-x",
        "test": "test_os::test_x",
        "outcome": "failed",
        "seconds": 0.1,
        "message": "it is off",
    }
