"""Our own programs in the foreground: their status counts, and Ctrl-C lets them clean up."""

from __future__ import annotations

import os
import signal
import subprocess  # noqa: TID251 - a Ctrl-C in the middle is the test
import sys
from pathlib import Path

import pytest

from goldpress.errors import CommandError
from goldpress.host import checks

#: Tells that it runs, and when it is interrupted takes longer than an impatient parent waits.
SLOW = """\
import sys, time
from pathlib import Path
try:
    print("up", flush=True)
    time.sleep(60)
finally:
    time.sleep(1)
    Path(sys.argv[1]).touch()
"""
PARENT = "import sys; from pathlib import Path; from goldpress.host import checks; "


def project(directory: Path, text: str) -> Path:
    bench = directory / "tests" / "bench"
    bench.mkdir(parents=True)
    (bench / "slow.py").write_text(text)
    return directory


def test_a_failing_program_fails(tmp_path: Path) -> None:
    project(tmp_path, "import sys; sys.exit(int(sys.argv[1]))")
    checks.bench(tmp_path, "slow", "0")
    with pytest.raises(CommandError, match=r"^python .*/tests/bench/slow.py 3: exit status 3$"):
        checks.bench(tmp_path, "slow", "3")


def test_an_interrupted_program_cleans_up_before_its_parent_ends(tmp_path: Path) -> None:
    project(tmp_path, SLOW)
    cleaned = tmp_path / "cleaned"
    code = PARENT + "checks.bench(Path(sys.argv[1]), 'slow', sys.argv[2])"
    with subprocess.Popen(
        (sys.executable, "-c", code, str(tmp_path), str(cleaned)),
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(30) != 0
    assert cleaned.exists()


def suite(directory: Path, **tests: str) -> Path:
    """A project whose tests each have a marker: the name of the test is that of its marker."""
    (directory / "tests").mkdir(parents=True)
    rows = "".join(
        f"@pytest.mark.{name}\ndef test_{name}():\n    {body}\n" for name, body in tests.items()
    )
    (directory / "tests" / "test_all.py").write_text(
        f"import pytest, time\nfrom pathlib import Path\n{rows}"
    )
    markers = "".join(f'"{name}",' for name in tests)
    (directory / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\nmarkers = [{markers}]\n")
    return directory


def test_lanes_run_beside_each_other_and_those_of_one_in_turn(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    seen = "Path('second').exists()"
    wait = f"[time.sleep(0.05) for _ in range(800) if not {seen}]; assert {seen}"
    project = suite(
        tmp_path,
        # Ends only when the second of the other lane has begun, and that only after the first.
        shown=wait,
        first="Path('first').touch()",
        second="assert Path('first').exists(); Path('second').touch()",
    )
    checks.run_lanes(project, shown="shown", beside=("first", "second"))
    assert capfdbinary.readouterr().out.count(b"1 passed") == 3


def test_every_lane_that_fails_is_named(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    project = suite(tmp_path, shown="pass", first="raise OSError('odd')")
    with pytest.raises(CommandError) as error:
        checks.run_lanes(project, shown="shown", beside=("first", "none"))
    assert error.value.message == "; ".join(
        f"pytest -m {lane}: exit status {status}" for lane, status in (("first", 1), ("none", 5))
    )
    assert b"OSError: odd" in capfdbinary.readouterr().out
