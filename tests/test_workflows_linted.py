"""The workflows as others see them: zizmor and actionlint, which `./inv check` runs."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from pressing import PROJECT
from workflow import WORKFLOWS

from goldpress.host.checks import LINTERS
from goldpress.host.run import Completed, run


def linter(name: str, *words: str | Path, cwd: Path = PROJECT) -> Completed:
    """One of the programs that `./inv check` runs."""
    program = Path(sys.executable).with_name(name)
    assert name in {row[0] for row in LINTERS}
    return run([program, *words], cwd=cwd, check=False, merge=True)


def zizmor(path: Path) -> Completed:
    return linter("zizmor", "--offline", "--no-progress", path)


def broken(directory: Path, name: str, old: str, new: str) -> Path:
    """A git checkout of the workflows in which one has `new` in place of `old`; its path."""
    shutil.copytree(PROJECT / ".github", directory / ".github")
    run(("git", "init", "-q", directory))
    path = directory / ".github/workflows" / f"{name}.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_zizmor_finds_nothing() -> None:
    done = zizmor(PROJECT / ".github")
    assert done.returncode == 0, done.text


def test_one_finding_of_zizmor_is_ignored_and_it_says_why() -> None:
    rows = [row.strip() for path in WORKFLOWS for row in path.text.splitlines() if "zizmor:" in row]
    (row,) = rows
    assert row.startswith("pull_request_target: # zizmor: ignore[dangerous-triggers] nothing of")


def test_zizmor_finds_what_is_wrong(tmp_path: Path) -> None:
    injected = "${{ github.event.pull_request.title }}"
    path = broken(tmp_path, "promotion-check", "$PULL", injected)
    done = zizmor(path)
    assert done.returncode != 0
    assert "template-injection" in done.text


def test_actionlint_finds_nothing() -> None:
    # By paths too: told of none, it looks for them by itself, and could find none.
    for words in ((), tuple(workflow.path for workflow in WORKFLOWS)):
        done = linter("actionlint", *words)
        assert (done.returncode, done.text) == (0, "")


def test_no_finding_of_actionlint_is_ignored() -> None:
    assert ("actionlint",) in LINTERS
    assert list((PROJECT / ".github").glob("actionlint.*")) == []
    assert not any("actionlint" in path.text for path in WORKFLOWS)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("check", 'tools: "true"', 'tool: "true"', 'input "tool" is not defined in action'),
        ("promote", "inputs.channel", "inputs.chanel", 'property "chanel" is not defined'),
        ("promote-prod", "channel: prod", "x: prod", 'input "channel" is required by'),
        ("rebuild", "steps.app.", "steps.ap.", 'property "ap" is not defined in object type'),
        ("reproduce", "matrix.channel", "matrix.chanel", 'property "chanel" is not defined'),
        ("reproduce", "ubuntu-24.04", "ubuntu-42.04", 'label "ubuntu-42.04" is unknown'),
        ("rebuild", '"23 2 * * *"', '"23 25 * * *"', "invalid CRON format"),
        (
            "promotion-check", "$PULL", "${{ github.event.pull_request.title }}",
            '"github.event.pull_request.title" is potentially untrusted',
        ),
    ],
)  # fmt: skip
def test_actionlint_finds_what_is_wrong(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    broken(tmp_path, name, old, new)
    done = linter("actionlint", cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.text
    # And in nothing else.
    assert set(re.findall(r"^\.github/workflows/([\w-]+)\.yml:", done.text, re.MULTILINE)) == {name}


def test_where_there_are_no_workflows_actionlint_fails(tmp_path: Path) -> None:
    done = linter("actionlint", cwd=tmp_path)
    assert done.returncode != 0
    assert "no project was found" in done.text
