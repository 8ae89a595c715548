"""A press that is cut off, by a person or a full disk, leaves nothing half-made."""

from __future__ import annotations

import os
import re
import signal
import subprocess  # noqa: TID251 - a signal in the middle of a press is the test
import sys
import textwrap
from pathlib import Path

import pytest
from pressing import PROJECT, apart, sandbox_press

from goldpress.host.run import run
from goldpress.press import Press

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

#: Presses the sandbox's image with stages of its own: what `tasks.py` does, without its summary.
PROGRAM = textwrap.dedent(
    """
    import dataclasses, sys
    sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
    from pathlib import Path
    from pressing import sandbox_press
    from goldpress.errors import GoldpressError
    press = sandbox_press()
    ws = dataclasses.replace(press.workspace, apart=Path(sys.argv[2]))
    try:
        print(dataclasses.replace(press, workspace=ws).press().digest)
    except GoldpressError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    """
)
STAGES = ("check packages", "install", "initrd", "SELinux policy", "root filesystem", "disk")


def argv(directory: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, os.fspath(PROJECT), os.fspath(directory)]


def halves(directory: Path) -> list[str]:
    """What is neither a finished product nor bookkeeping."""
    return [
        os.fspath(p)
        for p in (directory / "stages").glob("*/*")
        if p.is_dir() and not (p / "product.json").exists()
    ]


@pytest.fixture(scope="module")
def press() -> Press:
    return sandbox_press()


def test_interrupted_in_every_stage_then_finished(press: Press, tmp_path: Path) -> None:
    whole = press.press().digest
    with apart(press, tmp_path / "apart"):
        for stage in STAGES:
            with subprocess.Popen(
                argv(tmp_path / "apart"), stderr=subprocess.PIPE, text=True, start_new_session=True
            ) as child:
                assert child.stderr is not None
                for line in child.stderr:
                    if re.match(rf"  …  {stage}", line):
                        break
                else:
                    pytest.fail(f"the stage {stage!r} was never announced")
                os.killpg(child.pid, signal.SIGINT)
                said = child.stderr.read()
                assert child.wait(60) == 130, f"{stage}: {said}"
            assert halves(tmp_path / "apart") == []
        done = run(argv(tmp_path / "apart"), check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.text.strip() == whole


@pytest.mark.parametrize("mib", [150, 500, 900])
def test_a_full_disk_is_said_and_nothing_is_left(press: Press, tmp_path: Path, mib: int) -> None:
    press.press()  # so that only the stages apart need room
    assert os.geteuid() == 0, "needs root: a small file system is mounted"
    small = tmp_path / "small"
    small.mkdir()
    run(("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", small))
    try:
        done = run(argv(small), check=False)
        said = done.stderr.decode()
        assert done.returncode == 1, said
        assert re.search(r"No space left on device|needs at least|Disk Requirements", said), said
        assert "Traceback" not in said
        assert halves(small) == []
    finally:
        run(("umount", small))
