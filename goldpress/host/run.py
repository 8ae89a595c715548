"""Owns running a program: argv lists, a clean environment, one pasteable line on failure."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import CommandError

TAIL_LINES = 12

#: A person's Ctrl-C reaches child and parent at once; whoever is faster, it is an interruption and
#: no failure of the child. Negative from subprocess, 128 + signal from a wrapper such as bwrap.
INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)

#: What a child sees unless told otherwise; the caller's environment is not inherited, so that
#: neither locale nor credentials nor a stray option variable can shape a product.
CLEAN_ENVIRONMENT: Mapping[str, str] = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A finished program: its exit status and what it printed, as bytes."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """stdout as text."""
        return self.stdout.decode(errors="replace")


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
    merge: bool = False,
    what: str = "",
) -> Completed:
    """Run a program to its end.

    `env` adds to the clean environment; `merge` sends stderr into stdout in order; `what` names
    the purpose in the error. With `check`, raises CommandError on a failure status; always when
    the program is missing, or `timeout` seconds have passed (the child is then killed).
    """
    line = tuple(os.fspath(a) for a in argv)
    try:
        done = subprocess.run(
            line,
            env={**CLEAN_ENVIRONMENT, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"{what or line[0]}: the program `{error.filename or line[0]}` is not installed",
            hint="run `./inv setup`, then try again; `./inv doctor` lists every tool",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            f"{what or line[0]}: no end after {timeout:g} s: {shlex.join(line)}"
        ) from error
    if done.returncode in INTERRUPTED:
        raise KeyboardInterrupt
    result = Completed(
        argv=line,
        returncode=done.returncode,
        stdout=done.stdout or b"",
        stderr=done.stderr or b"",
    )
    if check and done.returncode != 0:
        raise CommandError(failure_text(result, what=what))
    return result


def failure_text(result: Completed, *, what: str = "") -> str:
    """What failed, how it ended, its last lines of output, and a line to paste."""
    code = result.returncode
    ending = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    output = (result.stderr or result.stdout).decode(errors="replace").rstrip().splitlines()
    tail = "".join(f"\n    {row}" for row in output[-TAIL_LINES:])
    name = what or Path(result.argv[0]).name
    return f"{name}: {ending}{tail}\n    $ {shlex.join(result.argv)[:2000]}"
