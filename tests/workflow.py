"""Owns GitHub's workflows and composite actions as tests see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pressing import PROJECT

from goldpress.document import read_yaml

FOLDER = PROJECT / ".github/workflows"
SETUP = PROJECT / ".github/actions/setup/action.yml"
#: What a step of this repository is called by: at the commit that runs.
SELF = "$/"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Workflow:
    """One file of `.github/workflows`."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = read_yaml(self.path)
        return value

    @cached_property
    def triggers(self) -> dict[str, Any]:
        # A reader of YAML 1.1 takes the key `on` as a truth value.
        found = self.value.get("on", self.value.get(True))  # type: ignore[call-overload]
        assert isinstance(found, dict)
        return found

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        jobs: dict[str, dict[str, Any]] = self.value["jobs"]
        return jobs

    def steps(self) -> Iterator[dict[str, Any]]:
        for job in self.jobs.values():
            yield from job.get("steps", ())

    def permissions(self) -> dict[str, str]:
        """What the token of its one job may."""
        (job,) = self.jobs.values()
        allowed: dict[str, str] = job.get("permissions", self.value["permissions"])
        return allowed


WORKFLOWS = tuple(Workflow(path) for path in sorted(FOLDER.glob("*.yml")))
BY_NAME = {row.name: row for row in WORKFLOWS}


def setup_steps() -> list[dict[str, Any]]:
    """The steps of the composite action."""
    steps: list[dict[str, Any]] = read_yaml(SETUP)["runs"]["steps"]
    return steps


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, expression) of every ``${{ }}`` in a document."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, str(key)))
    elif isinstance(value, list):
        for part in value:
            yield from places(part, path)
    elif isinstance(value, str):
        for found in EXPRESSION.findall(value):
            yield path, found
