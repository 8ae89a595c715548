"""Owns what a program costs: a process of its own, its wall time and its peak memory."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.host.run import run

#: Runs a program, and tells its status, and what it and all its children took.
WRAPPER = """\
import json, os, resource, sys, time
begin = time.perf_counter()
status = os.spawnvp(os.P_WAIT, sys.argv[2], sys.argv[2:])
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
with open(sys.argv[1], "w") as stream:
    json.dump([status, {"seconds": seconds, "cpu": cpu, "peak": used.ru_maxrss << 10}], stream)
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Wall time and CPU time in seconds; the largest memory of any of its processes in bytes."""

    seconds: float
    cpu: float
    peak: int
    output: str


def cost(argv: Sequence[str | Path], *, status: int = 0) -> Cost:
    """What the program took. Raises RuntimeError when it did not end with `status`."""
    words = [str(word) for word in argv]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        result = Path(directory, "cost.json")
        done = run([sys.executable, "-c", WRAPPER, str(result), *words], timeout=1800)
        found, measured = json.loads(result.read_text())
    if found != status:
        raise RuntimeError(f"{' '.join(words)}: {found}\n{done.text}{done.stderr!r}")
    return Cost(**measured, output=done.text)


def tree_bytes(*directories: Path) -> int:
    """The bytes of all files below, each once."""
    files = {}
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                files[status.st_dev, status.st_ino] = status.st_size
    return sum(files.values())
