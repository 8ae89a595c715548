"""Owns the limited child: our own code run apart, where bytes from elsewhere are first looked at.

A parser that is led astray takes memory or time without end; in a child of its own it meets its
limits, and nothing of it is left but a file that was asked for, or an error.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import resource
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress import errors
from goldpress.errors import CommandError, GoldpressError, TrustError
from goldpress.host.run import failure_text, run

#: The child stands in the project as its parent does, whatever the directory and PYTHONPATH are.
_PROJECT = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from goldpress.host.limited import main; main()"
)
#: How long the parent waits after the child's own alarm had to ring; then it kills.
_GRACE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may take: bytes of memory, bytes of a file, seconds of a processor, seconds."""

    memory: int = 1 << 30
    output: int = 2 << 30
    cpu: int = 120
    clock: int = 600


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a child took: bytes of memory at its peak, seconds of a processor."""

    peak: int
    cpu: float


DEFAULT = Limits()


def run_limited(
    module: str, arguments: Sequence[str | os.PathLike[str]], *, what: str, limits: Limits = DEFAULT
) -> Usage:
    """Call ``main(arguments)`` of our `module` in a child under `limits`; say what it took.

    `what` names the file that is looked at. The child has a clean environment and returns nothing:
    its results are files. Raises the GoldpressError that `main` raised, TrustError when a limit
    ended it (naming `what` and the limit), CommandError when it failed in any other way.
    """
    argv = limited_argv(module, arguments, limits)
    done = run(argv, check=False, timeout=limits.clock + _GRACE_SECONDS, what=f"reading {what}")
    report = _report(done.stdout)
    if done.returncode == 0 and "peak" in report:
        return Usage(peak=report["peak"], cpu=report["cpu"])
    if "error" in report:
        kind = getattr(errors, report["error"])
        raise kind(report["message"], hint=report["hint"])
    limit = report.get("limit") or _LIMITS_BY_SIGNAL.get(-done.returncode)
    if limit is None:
        raise CommandError(failure_text(done, what=f"reading {what}"))
    raise TrustError(f"{what}: reading it {_words(limits)[limit]}; refused")


def make_limited(
    module: str,
    arguments: Sequence[str | os.PathLike[str]],
    target: Path,
    *,
    what: str,
    limits: Limits = DEFAULT,
) -> Usage:
    """The same for a child that writes one file, whose path is its last argument.

    `target` appears whole or, when the child fails, not at all. Raises as `run_limited`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        usage = run_limited(module, (*arguments, scratch), what=what, limits=limits)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return usage


def limited_argv(
    module: str, arguments: Sequence[str | os.PathLike[str]], limits: Limits
) -> tuple[str, ...]:
    """The command line of the child."""
    # -I: neither the directory that it starts in nor the environment adds code.
    head = (sys.executable, "-I", "-c", _START, os.fspath(_PROJECT))
    numbers = (limits.memory, limits.output, limits.cpu, limits.clock)
    return (*head, *(str(n) for n in numbers), module, *(os.fspath(a) for a in arguments))


#: SIGKILL is not among them: who sent it is not known.
_LIMITS_BY_SIGNAL: dict[int, str] = {
    signal.SIGXCPU: "cpu",
    signal.SIGALRM: "clock",
    signal.SIGXFSZ: "output",
    # What C code does that gets no memory: libsolv aborts, others fall over.
    signal.SIGABRT: "crash",
    signal.SIGSEGV: "crash",
}


def _words(limits: Limits) -> dict[str, str]:
    return {
        "memory": f"takes more than {limits.memory >> 20} MiB of memory",
        "crash": f"ends in a crash, or takes more than {limits.memory >> 20} MiB of memory",
        "output": f"gives more than {limits.output >> 20} MiB",
        "cpu": f"takes more than {limits.cpu} s of a processor",
        "clock": f"takes longer than {limits.clock} s",
    }


def _report(stdout: bytes) -> dict[str, Any]:
    lines = stdout.splitlines()
    try:
        value = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def main() -> None:
    """The child: take the limits from argv, then call the module's ``main``."""
    memory, output, cpu, clock, module, *arguments = sys.argv[1:]
    for kind, soft, hard in (
        (resource.RLIMIT_AS, int(memory), int(memory)),
        (resource.RLIMIT_FSIZE, int(output), int(output)),
        # At the hard limit comes SIGKILL, which tells nobody why.
        (resource.RLIMIT_CPU, int(cpu), int(cpu) + 1),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    signal.alarm(int(clock))
    report, status = _called(module, arguments)
    print(json.dumps(report), flush=True)  # noqa: T201 - stdout is the way to the parent
    # Nothing is left to be done: taking down some hundred MB of objects takes as long as parsing.
    os._exit(status)


def _called(module: str, arguments: list[str]) -> tuple[dict[str, Any], int]:
    try:
        importlib.import_module(module).main(arguments)
    except GoldpressError as error:
        name = type(error).__name__
        return {"error": name, "message": error.message, "hint": error.hint}, 1
    except MemoryError:
        return {"limit": "memory"}, 1
    except OSError as error:
        if error.errno == errno.EFBIG:
            return {"limit": "output"}, 1
        if error.errno == errno.ENOMEM:
            return {"limit": "memory"}, 1
        raise
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"peak": _peak_bytes(), "cpu": used.ru_utime + used.ru_stime}, 0


def _peak_bytes() -> int:
    """The most memory that this program had; what getrusage tells began with its parent's."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10
