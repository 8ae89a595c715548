from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.verify.junit import Judgement, judge

CONTROL = '<properties><property name="control" value="os-x"/></properties>'


def judged(tmp_path: Path, *cases: str, status: int = 0, announced: int | None = None) -> Judgement:
    report = tmp_path / "report.xml"
    body = "".join(
        f'<testcase classname="test_os" name="test_{i}" time="0.5">{case}</testcase>'
        for i, case in enumerate(cases)
    )
    count = len(cases) if announced is None else announced
    report.write_text(f'<testsuites><testsuite tests="{count}">{body}</testsuite></testsuites>')
    return judge(report, status)


def test_a_check_that_ran_and_passed(tmp_path: Path) -> None:
    found = judged(tmp_path, CONTROL)
    (check,) = found.checks
    assert found.faults == ()
    assert (check.control, check.test) == ("os-x", "test_os::test_0")
    assert (check.outcome, check.seconds, check.message) == ("passed", 0.5, "")


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            "<failure message=\"AssertionError: SELinux is off&#10;assert '0' == '1'\">x</failure>",
            "SELinux is off",
        ),
        ('<failure message="assert 1 == 2">x</failure>', "assert 1 == 2"),
        ('<error message="failed on setup with no route">x</error>', "could not run: failed on"),
        ('<skipped type="pytest.skip" message="not now"/>', "was skipped: not now"),
        (
            '<skipped type="pytest.xfail" message="known"/>',
            "is expected to fail, which is no pass: known",
        ),
        ("<failure/>", "no reason given"),
    ],
)
def test_anything_else_is_a_failure(tmp_path: Path, inner: str, message: str) -> None:
    (check,) = judged(tmp_path, CONTROL + inner, status=1).checks
    assert check.outcome == "failed"
    assert check.message.startswith(message)


@pytest.mark.parametrize("inner", ["", CONTROL * 2, CONTROL.replace("os-x", "")])
def test_a_check_without_exactly_one_control_is_a_failure(tmp_path: Path, inner: str) -> None:
    (check,) = judged(tmp_path, inner).checks
    assert (check.outcome, check.message) == ("failed", "the check names no control")


def test_no_check_at_all_is_a_fault(tmp_path: Path) -> None:
    assert judged(tmp_path).faults == ("the report holds no check",)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (2, "pytest ended with 2: the run was interrupted, or the suite could not be collected"),
        (3, "pytest ended with 3: pytest failed internally"),
        (4, "pytest ended with 4: pytest was started wrongly, or a check names no control"),
        (5, "pytest ended with 5: no check was collected"),
        (-9, "pytest ended with -9: it was killed"),
        (1, "pytest ended with 1 although no check failed"),
    ],
)
def test_an_exit_status_that_does_not_fit_is_a_fault(
    tmp_path: Path, status: int, fault: str
) -> None:
    assert judged(tmp_path, CONTROL, status=status).faults == (fault,)


def test_a_report_that_lost_checks_is_a_fault(tmp_path: Path) -> None:
    found = judged(tmp_path, CONTROL, announced=2)
    assert found.faults == ("the report announces 2 checks and holds 1",)


def test_a_check_reported_twice_is_a_fault(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    case = f'<testcase classname="test_os" name="test_a" time="0">{CONTROL}</testcase>'
    report.write_text(f'<testsuite tests="2">{case * 2}</testsuite>')
    assert judge(report, 0).faults == ("reported more than once: test_os::test_a",)


def test_no_report_is_a_fault(tmp_path: Path) -> None:
    assert judge(tmp_path / "absent.xml", 0).faults == ("pytest wrote no report",)


def test_half_a_report_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text("<testsuites><testsuite")
    (fault,) = judge(tmp_path / "report.xml", 0).faults
    assert fault.startswith("pytest's report is not XML: ")
