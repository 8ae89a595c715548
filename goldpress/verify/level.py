"""Owns running one level of a verify suite: pytest in a child, with the suite's own settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldpress.controls import Level
from goldpress.digest import canonical_json
from goldpress.errors import VerifyError
from goldpress.host.run import run
from goldpress.store import write_atomically

SUITE_SECONDS = 600
INPUT_VARIABLE = "GOLDPRESS_VERIFY_INPUT"


def pytest_argv(suite: Path, level: Level, report: Path, words: Sequence[str] = ()) -> list[str]:
    """The command that runs a level: the suite's configuration, no plug-in but testinfra."""
    # fmt: off
    return [
        sys.executable, "-m", "pytest", "-c", str(suite / "pytest.ini"),
        "--rootdir", str(suite), "--confcutdir", str(suite),
        "-p", "testinfra.plugin", "-p", "no:cacheprovider", *words,
        "--junitxml", str(report), "--tb", "short", "-vv", str(suite / level),
    ]
    # fmt: on


def run_level(
    suite: Path,
    level: Level,
    *,
    facts: Mapping[str, Any],
    directory: Path,
    words: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> tuple[int, Path]:
    """Run a level; returns pytest's exit status and the report's path.

    The report, pytest's output and the input stay in `directory`. Raises VerifyError without the
    level's folder, and CommandError when pytest does not end.
    """
    if not (suite / level).is_dir():
        raise VerifyError(f"the suite {suite.name}/ has no folder {level}/")
    report = directory / "verify.junit.xml"
    report.unlink(missing_ok=True)
    given = directory / "verify.input.json"
    write_atomically(given, canonical_json(dict(facts)))
    done = run(
        pytest_argv(suite, level, report, words),
        env={
            INPUT_VARIABLE: str(given),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        },
        cwd=directory,
        timeout=SUITE_SECONDS,
        check=False,
        merge=True,
        what=f"the {level} level of the verify suite",
    )
    write_atomically(directory / "verify.log", done.stdout)
    return done.returncode, report
