"""Verification: the whole evidence is in it, and what it says of that is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attested import BOOTED, World, boot, world

from goldpress.digest import canonical_json, digest_of
from goldpress.errors import DocumentError
from goldpress.statements.verification import (
    Verification,
    faults,
    missing_controls,
    parse_evidence,
    parse_verification,
)
from goldpress.store import Store
from goldpress.verify.evidence import SCHEMA

FAILED = replace(BOOTED, outcome="failed", message="it is off")


@pytest.fixture
def made(tmp_path: Path) -> World:
    return world(Store(root=tmp_path))


def test_it_is_a_test_result(made: World) -> None:
    value = made.verification().predicate()
    assert value["result"] == "PASSED"
    assert value["passedTests"] == [
        "tree test_tree::test_a",
        "boot 1 test_ssh::test_b",
        "boot 2 test_ssh::test_b",
    ]
    assert value["failedTests"] == []
    suite, given, kept = value["configuration"]
    assert suite == {"name": "suite", "digest": {"sha256": "3" * 64}}
    assert f"sha256:{given['digest']['sha256']}" == digest_of(made.promises)
    assert f"sha256:{kept['digest']['sha256']}" == digest_of(value["evidence"])
    assert "launched" not in value


def test_a_failure_says_so(made: World) -> None:
    value = made.verification(boots=(boot(1), boot(2, FAILED))).predicate()
    assert (value["result"], value["failedTests"]) == ("FAILED", ["boot 2 test_ssh::test_b"])


def test_it_comes_back(made: World) -> None:
    for said in (made.verification(), made.trial(), made.verification(boots=(boot(1, FAILED),))):
        assert parse_verification(json.loads(canonical_json(said.predicate()))) == said
    assert made.trial().predicate()["launched"] == {
        "account": "123456789012",
        "region": "us-east-1",
        "ami": "ami-0123456789abcdef0",
    }


def changes() -> Iterator[Callable[[Any], Any]]:
    yield lambda value: value.update(result="FAILED")
    yield lambda value: value.update(extra=1)
    yield lambda value: value.pop("evidence")
    yield lambda value: value["passedTests"].pop()
    yield lambda value: value["failedTests"].append("x")
    yield lambda value: value["configuration"].reverse()
    yield lambda value: value.update(launched={"ami": "ami-0123456789abcdef0"})
    yield lambda value: value.update(launched=[])
    yield lambda value: value["evidence"].update(outcome="failed")
    yield lambda value: value["evidence"].update(schema=2)
    yield lambda value: value["evidence"].update(boots=value["evidence"]["boots"][:1])
    yield lambda value: value["evidence"]["boots"][0]["checks"][0].update(outcome="failed")
    yield lambda value: value["evidence"]["boots"][0]["faults"].append("x")
    yield lambda value: value["evidence"]["offline"].clear()
    yield lambda value: value["evidence"].update(offline=None)


@pytest.mark.parametrize("change", list(changes()))
def test_what_does_not_fit_together_is_refused(made: World, change: Callable[[Any], Any]) -> None:
    value = json.loads(canonical_json(made.verification().predicate()))
    change(value)
    with pytest.raises(DocumentError, match=r"^(verification|evidence): "):
        parse_verification(value)


def test_evidence_of_another_version_is_told(made: World) -> None:
    value = {**made.evidence().to_document(), "schema": 2}
    with pytest.raises(DocumentError, match=rf"evidence: its schema 2 is not {SCHEMA}"):
        parse_evidence(value)


def test_evidence_that_claims_more_than_its_checks_show_is_refused(made: World) -> None:
    value = made.evidence(boots=(boot(1), boot(2, FAILED))).to_document()
    assert parse_evidence(value).outcome == "failed"
    for changed in ({"outcome": "passed"}, {"failed": 0}, {"passed": 3}):
        with pytest.raises(DocumentError, match="its outcome or its numbers are not those of its"):
            parse_evidence({**value, **changed})


def test_each_control_is_passed_at_each_boot(made: World) -> None:
    assert not list(missing_controls(made.evidence(), made.promises))
    # One that passed at the first boot and not at the second did not pass.
    lacking = made.evidence(boots=(boot(1), boot(2, FAILED)))
    assert list(missing_controls(lacking, made.promises)) == [
        "controls without a passed check at boot 2: os-sshd"
    ]
    more = {**made.promises, "expected": {"offline": ["os-tree", "os-x"], "booted": []}}
    assert list(missing_controls(made.evidence(), more)) == [
        "controls without a passed check on the tree: os-x"
    ]


@pytest.mark.parametrize("promises", [{}, {"expected": []}, {"expected": {"offline": []}}])
def test_promises_say_what_is_expected(made: World, promises: Mapping[str, Any]) -> None:
    with pytest.raises(DocumentError, match="promises: no `expected` controls of each level"):
        list(missing_controls(made.evidence(), promises))


@pytest.mark.parametrize("name", ["image", "distribution", "stand_in", "arch", "root_hash"])
def test_the_suite_compared_with_this_image(made: World, name: str) -> None:
    found = Verification(evidence=made.evidence())
    assert not list(faults(found, made.manifest, made.promises))
    other = {**made.promises, name: "other"}
    assert list(faults(found, made.manifest, other)) == [
        f"what the suite compared with has another {name} than the manifest"
    ]


def test_what_was_launched_rests_on_the_tree_of_the_local_copy(made: World) -> None:
    found = made.trial()
    assert found.evidence.offline == ()
    assert not list(faults(found, made.manifest, made.promises))
    groundless = replace(found.evidence, rests_on="")
    assert list(faults(replace(found, evidence=groundless), made.manifest, made.promises)) == [
        "the suite did not pass: 0 of 1 checks failed"
    ]
    # Of the local copy itself nothing may lack.
    local = made.evidence(offline=())
    assert list(missing_controls(local, made.promises)) == [
        "controls without a passed check on the tree: os-tree"
    ]


def test_a_trial_is_of_the_ami_that_its_evidence_names(made: World) -> None:
    found = made.trial(subject=made.evidence().subject)
    assert "its evidence is of no AMI, not of ami-0123456789abcdef0" in list(
        faults(found, made.manifest, made.promises)
    )
    other = replace(made.evidence().subject, ami="ami-0aaaaaaaaaaaaaaaa")
    assert list(faults(made.trial(subject=other), made.manifest, made.promises)) == [
        "its evidence is of ami-0aaaaaaaaaaaaaaaa, not of ami-0123456789abcdef0"
    ]


def test_the_sums_of_a_boot_are_those_of_its_checks(made: World) -> None:
    value = made.evidence().to_document()
    value["boots"][0]["seconds"] = 9.9
    with pytest.raises(DocumentError, match="its outcome or its numbers are not those of its"):
        parse_evidence(value)
