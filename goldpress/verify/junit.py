"""Owns judging a JUnit report: a check is passed only if it ran and passed.

A skip, an expected failure, an error while setting up, and a report without checks are failures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from goldpress.verify.evidence import Check

MESSAGE_LENGTH = 2000
#: What pytest's exit status means, beside 0.
EXITS = {
    1: "a check failed",
    2: "the run was interrupted, or the suite could not be collected",
    3: "pytest failed internally",
    4: "pytest was started wrongly, or a check names no control",
    5: "no check was collected",
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The checks of a report, and what spoils the run as a whole."""

    checks: tuple[Check, ...]
    faults: tuple[str, ...]


def judge(report: Path, exit_status: int) -> Judgement:
    """Read a JUnit report written by pytest, together with pytest's exit status. Never raises."""
    faults: list[str] = []
    if exit_status not in {0, 1}:
        meaning = EXITS.get(exit_status, "it was killed")
        faults.append(f"pytest ended with {exit_status}: {meaning}")
    try:
        # The report comes from a child that we started on our own suite.
        root = ET.parse(report).getroot()  # noqa: S314
    except FileNotFoundError:
        return Judgement(checks=(), faults=(*faults, "pytest wrote no report"))
    except ET.ParseError as error:
        return Judgement(checks=(), faults=(*faults, f"pytest's report is not XML: {error}"))
    checks = tuple(check(case) for case in root.iter("testcase"))
    if not checks:
        faults.append("the report holds no check")
    announced = sum(int(suite.get("tests", "0")) for suite in root.iter("testsuite"))
    if announced != len(checks):
        faults.append(f"the report announces {announced} checks and holds {len(checks)}")
    if exit_status == 1 and all(c.outcome == "passed" for c in checks):
        faults.append("pytest ended with 1 although no check failed")
    names = [c.test for c in checks]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        faults.append(f"reported more than once: {', '.join(doubled)}")
    return Judgement(checks=checks, faults=tuple(faults))


def check(case: Any) -> Check:
    """One test case of the report."""
    module = case.get("classname", "").replace(".", "/")
    controls = [
        prop.get("value", "") for prop in case.iter("property") if prop.get("name") == "control"
    ]
    why = reason(case)
    if not why and (len(controls) != 1 or not controls[0]):
        why = "the check names no control"
    return Check(
        control=controls[0] if controls and controls[0] else "(none)",
        test=f"{module}::{case.get('name', '')}",
        outcome="failed" if why else "passed",
        seconds=round(float(case.get("time", "0")), 3),
        message=why[:MESSAGE_LENGTH],
    )


def reason(case: Any) -> str:
    """Why a test case is no pass, in one line; empty for a pass."""
    for tag, word in (("error", "could not run"), ("failure", ""), ("skipped", "was skipped")):
        found = case.find(tag)
        if found is None:
            continue
        text = first_line(found.get("message") or found.text or "no reason given")
        if found.get("type") == "pytest.xfail":
            word = "is expected to fail, which is no pass"  # noqa: PLW2901
        return f"{word}: {text}" if word else text
    return ""


def first_line(text: str) -> str:
    """The message in one line: what the check says itself, else the assertion it made."""
    said, _, _ = text.strip().removeprefix("AssertionError: ").partition("\nassert ")
    return re.sub(r"\s+", " ", said).strip()
