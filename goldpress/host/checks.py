"""Owns running the project's own linters and tests, with their output going straight through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from goldpress.errors import CommandError
from goldpress.host.run import CLEAN_ENVIRONMENT

LINTERS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("mypy", "verify"),  # apart: a suite has a conftest of its own, as tests/ has
    ("lint-imports", "--no-cache"),
)


def _through(project: Path, *words: str) -> None:
    """Run a program of this environment. Raises CommandError when it fails."""
    program = Path(sys.executable).with_name(words[0])
    path = f"{program.parent}:{CLEAN_ENVIRONMENT['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run((program, *words[1:]), cwd=project, env=environment, check=False)
    if done.returncode != 0:
        raise CommandError(f"{' '.join(words)}: exit status {done.returncode}")


def check(project: Path) -> None:
    """Every linter. Raises CommandError at the first that finds something."""
    for words in LINTERS:
        _through(project, *words)


def bench(project: Path, name: str) -> None:
    """Run a benchmark of tests/bench. Raises CommandError."""
    _through(project, "python", str(project / "tests" / "bench" / f"{name}.py"))


def run_tests(project: Path, *, markers: str, only: str) -> None:
    """The tests with these markers. Raises CommandError, also when none was collected."""
    words = ["pytest", "-m", markers]
    _through(project, *words, *(["-k", only] if only else []))
