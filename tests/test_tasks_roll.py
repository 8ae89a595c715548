"""The tasks of rolls: what each prints, where, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleeted import Fleeted
from invoke.context import Context
from promotable import held
from test_rolling import Channel

from goldpress import rolling
from goldpress.commands import roll
from goldpress.rolling import Roller
from tasks import ns

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def inv(
    fleeted: Fleeted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a task on the channel `staging`; its exit status, and what it printed where."""
    channel = Channel(of=fleeted)
    channel.point(fleeted.ami("a"))

    def of(_ws: Any, name: str, _image: str = "", **_given: Any) -> Roller:
        assert name == "staging"
        return channel.roller

    monkeypatch.setattr("goldpress.workspace.workspace", lambda: fleeted.site.ws)
    monkeypatch.setattr(rolling.Roller, "of", of)

    def call(task: Any, **given: Any) -> tuple[int, str, str]:
        status = 0
        capsys.readouterr()
        try:
            task(Context(), "staging", **given)
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_tick_that_waits_is_a_success_and_tells_until_when(
    inv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    status, out, err = inv(roll.roll)
    value = json.loads(out)
    assert (status, value["state"]) == (0, "waiting")
    assert value["until"] > 0
    assert "canary: a machine of" in err
    assert "next for a person: nothing: the next `./inv roll staging` goes on" in err
    assert summary.read_text().startswith("### web-")


def test_what_keeps_a_roll_from_beginning_is_in_the_summary(
    inv: Run, fleeted: Fleeted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    held(fleeted.site, fleeted.digest, "it leaks")
    status, out, err = inv(roll.roll)
    assert (status, out) == (1, "")
    assert "it leaks" in err
    text = summary.read_text()
    assert text.startswith("\n**Needs a person:** ")
    assert "it leaks" in text


def test_what_needs_a_person_fails_and_says_what_to_do(inv: Run) -> None:
    assert json.loads(inv(roll.roll, watch=True)[1])["state"] == "done"
    status, out, err = inv(roll.rollback, why="it burns", watch=True)
    value = json.loads(out)
    assert (status, value["state"]) == (1, "needs a person")
    assert value["next"].startswith("merge the revert (branch goldpress/staging)")
    assert f"error: {value['why']}\n  {value['next']}\n" in err


def test_pause_resume_status_abort(inv: Run) -> None:
    inv(roll.roll)
    status, out, err = inv(roll.pause, why="ann looks")
    assert (status, json.loads(out)["paused"]) == (0, "ann looks")
    assert "`./inv roll.resume staging` goes on" in err
    assert json.loads(inv(roll.roll)[1]) == {
        "state": "waiting", "until": None,
        "why": "paused: ann looks; `./inv roll.resume staging` goes on",
    }  # fmt: skip
    assert json.loads(inv(roll.status, json=True)[1])["paused"] == "ann looks"
    assert "web-a" in inv(roll.status)[1]
    assert json.loads(inv(roll.resume)[1])["paused"] == ""
    status, out, _ = inv(roll.abort)
    assert (status, json.loads(out)["state"]) == (0, "done")
    status, _, err = inv(roll.abort)
    assert status == 1
    assert "no roll is under way; the last one is aborted" in err


def test_without_a_roll_there_is_nothing_to_tell(inv: Run) -> None:
    for task in (roll.status, roll.rollback, roll.pause, roll.resume):
        status, out, err = inv(task)
        assert (status, out) == (1, "")
        assert "staging was never rolled" in err


def test_the_tasks_have_the_names_that_are_told() -> None:
    names = set(ns.task_names)
    assert {
        "rollback", "roll.tick", "roll.status", "roll.pause", "roll.resume", "roll.abort",
        "roll.plan", "roll.adopt",
    } <= names  # fmt: skip
    assert ns.collections["roll"].default == "tick"
