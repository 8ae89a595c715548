"""Owns running the project's own linters and tests, with their output going straight through."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from goldpress.errors import CommandError
from goldpress.host.run import CLEAN_ENVIRONMENT

LINTERS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("mypy", "verify"),  # apart: a suite has a conftest of its own, as tests/ has
    ("lint-imports", "--no-cache"),
    ("zizmor", "--offline", "--no-progress", ".github"),
    ("actionlint",),  # it finds the workflows of a git checkout by itself
)
#: How long a child that was interrupted may take to end what it began: machines, directories.
CLEANUP_SECONDS = 60


def _argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of a program of this environment."""
    return (os.fspath(Path(sys.executable).with_name(words[0])), *words[1:])


def _environment() -> dict[str, str]:
    """The caller's, with this environment's programs first."""
    path = f"{Path(sys.executable).parent}:{CLEAN_ENVIRONMENT['PATH']}"
    return {**os.environ, "PATH": path}


def _through(project: Path, *words: str) -> None:
    """Run a program of this environment. Raises CommandError when it fails."""
    with subprocess.Popen(_argv(words), cwd=project, env=_environment()) as child:
        try:
            child.wait()
        except KeyboardInterrupt:
            # A person's Ctrl-C reached it too; `subprocess.run` would kill it in the midst.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(CLEANUP_SECONDS)
            child.terminate()
            child.wait()
            raise
    if child.returncode != 0:
        raise CommandError(f"{' '.join(words)}: exit status {child.returncode}")


def check(project: Path) -> None:
    """Every linter. Raises CommandError at the first that finds something."""
    for words in LINTERS:
        _through(project, *words)


def bench(project: Path, name: str, *words: str) -> None:
    """Run a benchmark of tests/bench. Raises CommandError."""
    _through(project, "python", str(project / "tests" / "bench" / f"{name}.py"), *words)


def run_tests(project: Path, *, markers: str, only: str) -> None:
    """The tests with these markers. Raises CommandError, also when none was collected."""
    words = ["pytest", "-m", markers]
    _through(project, *words, *(["-k", only] if only else []))


def run_lanes(project: Path, *, shown: str, beside: Sequence[str]) -> None:
    """The tests with the markers `shown`, and at the same time those with each of `beside` in turn.

    A machine without KVM keeps one core busy; the other tests have the second one. Their output
    comes when all have ended. Raises CommandError that names each that failed.
    """
    failed: list[str] = []
    with tempfile.TemporaryFile() as output, ThreadPoolExecutor(max_workers=1) as pool:
        others = [pool.submit(_quietly, project, markers, output) for markers in beside]
        try:
            _through(project, "pytest", "-m", shown)
        except CommandError as error:
            failed.append(error.message)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        for markers, status in zip(beside, [row.result() for row in others], strict=True):
            if status != 0:
                failed.append(f"pytest -m {markers}: exit status {status}")
        output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    if failed:
        raise CommandError("; ".join(failed))


def _quietly(project: Path, markers: str, output: IO[bytes]) -> int:
    """The exit status of the tests with these markers, whose output is kept."""
    with subprocess.Popen(
        _argv(("pytest", "-m", markers)),
        cwd=project,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    ) as child:
        return child.wait()
