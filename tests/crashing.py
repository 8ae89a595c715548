"""Owns syncs and gcs as processes of their own, to be killed: ``python crashing.py``.

A nursery has everything imported and forks a child for each line of JSON on its stdin; it answers
with the child's pid, and with its exit status when it has ended.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.fspath(PROJECT), os.fspath(PROJECT / "tests")]

from gits import lock_text  # noqa: E402 - the path comes first
from rpms import distribution  # noqa: E402

from goldpress.aws.s3 import S3Objects  # noqa: E402
from goldpress.mirror import gc as module  # noqa: E402
from goldpress.mirror.gc import GRACE, collect  # noqa: E402
from goldpress.mirror.gitlocks import LockRoot, git_locks  # noqa: E402
from goldpress.mirror.roots import Needed, find_needed  # noqa: E402
from goldpress.mirror.snapshot import take_snapshot  # noqa: E402
from goldpress.mirror.sync import keep_packages  # noqa: E402
from goldpress.store import Store, graves, write_atomically  # noqa: E402
from goldpress.store.graves import Graves  # noqa: E402

#: Is there when a gc has read its roots.
READ = ".git/read"
LOCK = "images/web/locks/test-9.x86_64.json"


def store_of(job: dict[str, Any]) -> Store:
    shared = S3Objects.at(job["shared"]) if job["shared"] else None
    return Store(root=Path(job["root"]), shared=shared)


def sync(job: dict[str, Any]) -> None:
    """A snapshot, its packages, and a lock that names all of them."""
    store = store_of(job)
    sources = {"base": job["repository"]}
    snapshot = take_snapshot(store, distribution("base"), "x86_64", sources, accept=True)
    packages = [p for row in snapshot.repositories for p in row.read_packages(store)]
    wanted = [(p.sha256, p.href, p.size, p.repository) for p in packages]
    keep_packages(store, snapshot, sources, wanted)
    if job["lock"]:
        text = lock_text([p.sha256 for p in packages], snapshot.digest)
        write_atomically(Path(job["checkout"]) / LOCK, text.encode())


def age(job: dict[str, Any]) -> None:
    """All marks become older than the grace period."""

    def older(now: Graves) -> Graves:
        past = {key: at - GRACE - timedelta(hours=1) for key, at in now.marked.items()}
        return dataclasses.replace(now, marked=past)

    store_of(job).graves.change(older)


def gc(job: dict[str, Any]) -> None:
    """Delete what was marked, mark what nothing needs; with a pause before, for others."""

    def slowly(store: Store, locks: Iterable[LockRoot], *, newest: int) -> Needed:
        found = find_needed(store, locks, newest=newest)
        Path(job["checkout"], READ).touch()
        time.sleep(job["pause"])
        return found

    vars(module)["find_needed"] = slowly
    collect(store_of(job), git_locks(Path(job["checkout"])), delete=True, newest=1)


JOBS = {"sync": sync, "gc": gc, "age": age}


def main() -> None:
    # Nobody waits six minutes for a killed process of a test; its requests take milliseconds.
    graves.LEASE = graves.SLACK = timedelta(seconds=1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _child(job: dict[str, Any]) -> None:
    try:
        JOBS[job["do"]](job)
    except BaseException:  # noqa: BLE001 - the exit status tells
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
