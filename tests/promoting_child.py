"""Owns promotions as processes of their own, to be killed: ``python promoting_child.py``.

A nursery has everything imported and forks a child for each line of JSON on its stdin; it answers
with the child's exit status. The child kills itself at the call that the job names: the `kill`th
of its `kind` (`all` calls of AWS, the `changing` ones, or `store`: writes of a local store), before
it or right after.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.fspath(PROJECT), os.fspath(PROJECT / "tests")]

from botocore.httpsession import URLLib3Session  # noqa: E402, TID251 - every call passes here

from goldpress import promoting  # noqa: E402 - the path comes first
from goldpress.aws import ssm  # noqa: E402 - as above
from goldpress.github.api import Repository  # noqa: E402 - as above
from goldpress.github.token import Token  # noqa: E402 - as above
from goldpress.store.directory import DirectoryObjects  # noqa: E402 - as above
from goldpress.workspace import Workspace  # noqa: E402 - as above

CHANGING = re.compile(r"(Put|Modify|Enable|Create|Add)[A-Z]")


def is_changing(request: Any) -> bool:
    """Whether a request changes something: by its target, its action, or for S3 its method."""
    target = request.headers.get("X-Amz-Target", b"")
    body = request.body if isinstance(request.body, (bytes, str)) else b""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    found = re.search(r"Action=(\w+)", text)
    name = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    return bool(CHANGING.match(name or (found[1] if found else "")))


class Deadly:
    """Counts, and kills this process before or after the nth call."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.kill, self.after, self.kind = job["kill"], job["after"], job["kind"]
        self.count = 0

    def around(self, call: Callable[[], Any], *, counts: bool) -> Any:
        self.count += counts
        now = counts and self.count == self.kill
        if now and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call()
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def install(self) -> None:
        send, swap, add = URLLib3Session.send, DirectoryObjects.swap, DirectoryObjects.add
        deadly = self

        def sending(self: Any, request: Any) -> Any:
            counts = deadly.kind == "all" or (deadly.kind == "changing" and is_changing(request))
            return deadly.around(functools.partial(send, self, request), counts=counts)

        def swapping(self: Any, *given: Any, **more: Any) -> Any:
            call = functools.partial(swap, self, *given, **more)
            return deadly.around(call, counts=deadly.kind == "store")

        def adding(self: Any, *given: Any) -> Any:
            call = functools.partial(add, self, *given)
            return deadly.around(call, counts=deadly.kind == "store")

        vars_of: list[tuple[type, str, Any]] = [
            (URLLib3Session, "send", sending),
            (DirectoryObjects, "swap", swapping),
            (DirectoryObjects, "add", adding),
        ]
        for owner, name, function in vars_of:
            setattr(owner, name, function)


def promote(job: dict[str, Any]) -> None:
    ws = Workspace(
        project=Path(job["project"]), build=Path(job["build"]), store_url=job["store_url"]
    )
    repo = Repository(name=job["name"], caller=Token(secret=job["token"]), url=job["url"])
    Deadly(job).install()
    error = promoting.failure(promoting.promote(ws, job["channel"], repo=repo))
    if error is not None:
        raise error


def main() -> None:
    ssm.POLL_SECONDS = 0.02
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                promote(json.loads(line))
            except BaseException:  # noqa: BLE001 - the exit status tells
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
