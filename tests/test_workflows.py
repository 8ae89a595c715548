"""The workflows: pinned actions, no rights, and no logic but calls of `./inv`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pressing import PROJECT

from goldpress.document import read_yaml
from tasks import ns

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read_yaml(path)["jobs"].values():
        yield from job["steps"]


def test_there_are_some() -> None:
    assert {path.name for path in WORKFLOWS} >= {"check.yml", "centos.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_hash_and_says_its_version(path: Path) -> None:
    text = path.read_text()
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    for action in used:
        assert PINNED.fullmatch(action)
        name = action.partition("@")[0]
        assert re.search(rf"# {name} v[0-9.]+\n\s*- uses: {action}\n", text)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_step_only_calls_a_task(path: Path) -> None:
    for step in steps(path):
        if "run" in step:
            program, task, *_ = step["run"].split()
            assert program == "./inv"
            assert "\n" not in step["run"].strip()
            assert task in ns.task_names or task in ns.collections


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_ends(path: Path) -> None:
    value = read_yaml(path)
    assert value["permissions"] == {"contents": "read"}
    for job in value["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 120
    text = path.read_text()
    assert "secrets." not in text
    assert "pull_request_target" not in text
    # Nothing that someone outside wrote is put into a command.
    assert "${{" not in text


def test_no_private_key_leaves_the_machine() -> None:
    (upload,) = [s for s in steps(PROJECT / ".github/workflows/centos.yml") if "if" in s]
    paths = upload["with"]["path"].split()
    assert not any(
        path.startswith("build/machines") and path.endswith(("/", "*")) for path in paths
    )
    assert "build/" not in paths
    assert not any("key" in path for path in paths)
