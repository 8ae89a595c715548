"""How much a press costs when little changed, as ratios of a whole press in the same run.

Run by `./inv bench.press`; prints one JSON document. Not a test: time is no pass or fail.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from pressing import sandbox_press  # noqa: E402 - found through the path above

from goldpress.definition import load_definition  # noqa: E402 - as above
from goldpress.host.confine import remove_tree  # noqa: E402 - as above

TEMPLATE = "files/etc/nginx/nginx.conf.j2"


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main() -> None:
    """Press from nothing, again, and after one line of a template changed."""
    press = sandbox_press()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=press.workspace.build))
    try:
        ws = dataclasses.replace(press.workspace, apart=work / "apart")
        copy = work / "web"
        shutil.copytree(press.definition.directory, copy, symlinks=True)
        fresh = dataclasses.replace(press, workspace=ws, definition=load_definition(copy))
        whole = seconds(fresh.press)
        same = seconds(fresh.press)
        template = copy / TEMPLATE
        template.write_text(
            template.read_text().replace("worker_connections 2048", "worker_connections 2049")
        )
        changed = dataclasses.replace(fresh, definition=load_definition(copy))
        one_line = seconds(changed.press)
    finally:
        remove_tree(work)
    result = {
        "whole_press_seconds": round(whole, 1),
        "nothing_changed_ratio": round(same / whole, 4),
        "one_template_line_ratio": round(one_line / whole, 3),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
