"""The table of controls: what held with them, and what did not without."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from suites import web_controls

from goldpress.controls import Controls
from goldpress.verify import table
from goldpress.verify.guard import Findings

VALUE = {
    "controls": {
        "os-one": {
            "protects": "this | that",
            "value": "1",
            "source": ["CIS 1.1", "goldpress"],
            "level": "both",
            "files": ["/etc/one"],
            "waivers": [
                {"rule": "CIS 1.2", "reason": "why", "owner": "us", "expires": "2027-01-31"}
            ],
        },
        "os-two": {
            "protects": "two",
            "value": "2",
            "source": ["us"],
            "level": "offline",
            "files": ["/etc/two"],
        },
    },
    "duties": {"boot-three": {"says": "it runs", "level": "booted", "remedy": "start it"}},
}
CONTROLS = Controls.model_validate_json(json.dumps(VALUE))


def check(control: str, outcome: str = "passed") -> dict[str, str]:
    return {"control": control, "outcome": outcome}


def evidence(**changes: Any) -> dict[str, Any]:
    boot = {"checks": [check("os-one"), check("boot-three")]}
    good = {
        "offline": [check("os-one"), check("os-two")],
        "boots": [boot, boot],
        "not_exercised": {},
    }
    return {**good, **changes}


def results(document: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    return [(r.control, r.offline, r.booted) for r in table.rows(CONTROLS, document, {})]


RED: Findings = {
    "offline": {"os-one": "failed", "os-two": "failed"},
    "booted": {"os-one": "failed", "boot-three": "passed"},
}


def test_results_of_the_last_verification() -> None:
    assert results(evidence()) == [
        ("os-one", "passed", "passed"),
        ("os-two", "passed", ""),
        ("boot-three", "", "passed"),
    ]


def test_without_a_verification_nothing_is_said_to_hold() -> None:
    assert results(None) == [("os-one", "-", "-"), ("os-two", "-", ""), ("boot-three", "", "-")]


def test_what_is_not_exercised_is_not_passed() -> None:
    found = results(evidence(not_exercised={"os-two": "it has none"}))
    assert found[1] == ("os-two", "not exercised", "")


@pytest.mark.parametrize(
    "second",
    [
        [check("os-one", "failed"), check("boot-three")],
        [check("boot-three")],
        [check("os-one"), check("os-one"), check("boot-three")],
    ],
)
def test_one_boot_that_did_not_pass_it_once_is_a_failure(second: list[dict[str, str]]) -> None:
    boots = [evidence()["boots"][0], {"checks": second}]
    found = results(evidence(boots=boots))
    assert found[0] == ("os-one", "passed", "FAILED")
    assert found[2] == ("boot-three", "", "passed")


def test_no_boot_is_a_failure() -> None:
    assert results(evidence(boots=[]))[2] == ("boot-three", "", "FAILED")


def bare(found: Findings, document: dict[str, Any] | None = None) -> list[str]:
    return [row.bare for row in table.rows(CONTROLS, document, found)]


def test_without_them_controls_fail_and_duties_do_not() -> None:
    assert bare(RED) == ["fails", "fails", "passes"]


def test_what_was_not_compared_at_all_its_levels_is_not_said_to_fail() -> None:
    assert bare({}) == ["-", "-", "-"]
    assert bare({"offline": RED["offline"]}) == ["-", "fails", "-"]
    assert bare(RED, evidence(not_exercised={"os-two": "it has none"}))[1] == "not exercised"


@pytest.mark.parametrize("level", ["offline", "booted"])
def test_a_control_that_holds_without_being_there_is_told(
    level: Literal["offline", "booted"],
) -> None:
    assert bare({**RED, level: {**RED[level], "os-one": "passed"}})[0] == "HOLDS"


def test_a_duty_that_fails_for_want_of_a_control_is_told() -> None:
    assert bare({**RED, "booted": {**RED["booted"], "boot-three": "failed"}})[2] == "FAILS"


def test_the_table_for_people_and_as_markdown() -> None:
    found = table.rows(CONTROLS, evidence(), RED)
    assert table.text(found).splitlines() == [
        "control     offline  booted  bare    value",
        "os-one      passed   passed  fails   1",
        "os-two      passed           fails   2",
        "boot-three           passed  passes",
    ]
    assert table.markdown(table.COLUMNS, (row.cells for row in found)).splitlines()[:3] == [
        "| control | offline | booted | bare | value | source | protects |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| os-one | passed | passed | fails | 1 | CIS 1.1, goldpress | this \\| that |",
    ]


def test_the_web_image_has_a_row_for_each() -> None:
    controls = web_controls()
    assert [row.control for row in table.rows(controls, None, {})] == list(controls.every)
