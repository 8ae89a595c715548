"""The tasks around rolls: what each prints, where, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fleeted import Fleeted
from invoke.context import Context
from promotable import ACCOUNT

from goldpress.commands import rolling

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def inv(
    fleeted: Fleeted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a task on the fleets; its exit status, and what it printed where."""
    access = fleeted.cloud.access(ACCOUNT)
    monkeypatch.setattr("goldpress.workspace.workspace", lambda: fleeted.site.ws)
    for module in ("planning", "adoption", "quarantining", "rolling"):
        monkeypatch.setattr(f"goldpress.{module}.publisher", lambda *_, **__: access)
    monkeypatch.setenv("COLUMNS", "240")

    def call(task: Any, *args: Any, **given: Any) -> tuple[int, str, str]:
        status = 0
        capsys.readouterr()
        try:
            task(Context(), *args, **given)
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_plan_is_shown_and_kept_and_nothing_is_changed(fleeted: Fleeted, inv: Run) -> None:
    status, out, _ = inv(rolling.plan, "staging")
    assert status == 0
    for part in ("web-a", "StartInstanceRefresh", "expected: ", "no alarms", "waves"):
        assert part in out
    status, out, _ = inv(rolling.plan, "staging", json=True)
    value = json.loads(out)
    assert (status, len(value["plan"]["groups"])) == (0, 2)
    assert fleeted.written() == []


def test_a_plan_with_a_bad_finding_is_shown_and_fails(fleeted: Fleeted, inv: Run) -> None:
    fleeted.scaling("SuspendProcesses", AutoScalingGroupName="web-a", ScalingProcesses=["Launch"])
    status, out, err = inv(rolling.plan, "staging")
    assert status == 1
    assert "Launch is suspended" in out
    assert "error: 123456789012/us-east-1/web-a: processes: Launch is suspended" in err
    assert "resume-processes" in err


def test_adopt_shows_and_does_it_with_yes(fleeted: Fleeted, inv: Run) -> None:
    template = fleeted.group("web-a")["LaunchTemplate"]["LaunchTemplateId"]
    fleeted.scaling(
        "UpdateAutoScalingGroup", AutoScalingGroupName="web-a",
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Default"},
    )  # fmt: skip
    status, out, err = inv(rolling.adopt, "web-a")
    assert (status, json.loads(out)["from"], json.loads(out)["to"]) == (0, "$Default", "1")
    assert "nothing was changed; --yes does it" in err
    assert fleeted.written() == []
    assert inv(rolling.adopt, "web-a", yes=True)[0] == 0
    assert fleeted.group("web-a")["LaunchTemplate"]["Version"] == "1"


def test_drift_fails_where_something_drifted(inv: Run) -> None:
    status, out, err = inv(rolling.drift)
    assert status == 1
    assert "web-a" in out
    assert "findings; the first:" in err
    status, out, _ = inv(rolling.drift, json=True)
    assert (status, json.loads(out)[0]["drifted"]) == (1, 3)


def test_drift_heals_by_a_roll_of_its_groups(fleeted: Fleeted, inv: Run) -> None:
    status, _, err = inv(rolling.drift, heal=True)
    assert status == 0, err
    assert "autoscaling:StartInstanceRefresh" in fleeted.written()
    assert "begins" in err


def test_quarantine_and_release_print_what_they_did(fleeted: Fleeted, inv: Run) -> None:
    one = fleeted.members("web-a")[0]
    status, out, err = inv(rolling.quarantine, one)
    assert (status, out) == (1, "")
    assert "--why: say why" in err
    status, out, _ = inv(rolling.quarantine, one, why="odd")
    assert (status, json.loads(out)["way"]) == (0, "standby")
    fleeted.settle()
    status, out, _ = inv(rolling.quarantine, one, release=True)
    assert (status, json.loads(out)["instance"]) == (0, one)
    status, _, err = inv(rolling.quarantine, one, release=True, why="odd")
    assert status == 1
    assert "--release takes neither" in err
