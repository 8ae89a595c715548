"""Owns where a case runs: one confinement that sees the image's tree and Debian's beside it.

It has a network and processes of its own: nothing on the host listens, and
when its one program ends, however that comes about, everything in it has ended. Apache and the
database share the libraries of one tree, which is a few MB in Apache's favour.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from web_database import DATA, SOCKETS
from web_debian import DATABASE_UID, DEBIAN
from web_service import IMAGE

from goldpress.errors import MachineError
from goldpress.host.confine import Confinement
from goldpress.host.run import failure_text

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parents[1]
INSIDE = "/project"

#: What both trees get, carried out inside by root. Apache sees the image's code and its php.ini
#: files where the image has them.
FURNITURE = (
    "chmod 1777 /dev/shm",
    f"install -d -o {DATABASE_UID} -g {DATABASE_UID} -m 0700 {DATA}",
    f"install -d -o {DATABASE_UID} -g {DATABASE_UID} {SOCKETS}",
    *(
        line
        for root in (IMAGE, DEBIAN)
        for line in (
            *(f"mount --rbind /{name} {root}/{name}" for name in ("dev", "proc", "run")),
            f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
        )
    ),
    *(
        f"mount --bind {IMAGE}/{name} {DEBIAN}/{name}"
        for name in ("srv", "etc/goldpress", "etc/php.d", "etc/php.ini", "usr/share/goldpress")
    ),
    f"mount --bind /kept {DEBIAN}/kept",
)


def confinement(rootfs: Path, debian: Path, work: Path) -> Confinement:
    """The two trees, Python with our code, and ``/kept``, the one thing that stays."""
    return Confinement(
        readable={
            IMAGE: rootfs / "tree",
            f"{IMAGE}/var": rootfs / "var",
            DEBIAN: debian,
            f"{INSIDE}/goldpress": PROJECT / "goldpress",
            f"{INSIDE}/bench": BENCH,
            sys.base_prefix: Path(sys.base_prefix),
        },
        writable={"/kept": work},
    )


def call(
    inside: Confinement, verb: str, job: bytes, *, timeout: float, what: str
) -> Mapping[str, Any]:
    """What `web_child.py` does with the job. Raises MachineError with what it says failed."""
    done = inside.run(
        (os.path.realpath(sys.executable), f"{INSIDE}/bench/web_child.py", verb),
        env={"PYTHONPATH": INSIDE, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=job,
        timeout=timeout,
        check=False,
        what=what,
    )
    lines = done.text.splitlines()
    try:
        result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        result = {}
    if "error" in result:
        raise MachineError(f"{what}: {result['error']}")
    if done.returncode or not lines:
        raise MachineError(failure_text(done, what=what))
    return result
