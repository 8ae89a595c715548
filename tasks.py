"""The tasks that people and CI call: `./inv --list`. Each wires stages and prints a result."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

sys.path.insert(0, os.fspath(Path(__file__).resolve().parent))

from goldpress import progress
from goldpress.errors import GoldpressError

DEBUG = "GOLDPRESS_DEBUG" in os.environ or "--debug" in sys.argv or "-d" in sys.argv
INTERRUPTED = 130


def command(function: Callable[..., Any]) -> Any:
    """A task whose errors are one or two lines on stderr and a non-zero exit status."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except GoldpressError as error:
            if DEBUG:
                raise
            sys.stderr.write(f"error: {error}\n")
            sys.exit(1)
        except OSError as error:
            if DEBUG:
                raise
            sys.stderr.write(f"error: {error.strerror}: {error.filename or ''}\n")
            sys.exit(1)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: nothing half-made is kept; run it again to go on\n")
            sys.exit(INTERRUPTED)

    return task(run)


def show(value: Any) -> None:
    """The result: one JSON document on stdout."""
    print(json.dumps(value, indent=2))  # noqa: T201 - the result


@command
def setup(_c: Context) -> None:
    """Find the host programs that goldpress needs, and install what is missing."""
    from goldpress.host import tools

    tools.ensure()
    progress.note(f"all {len(tools.TOOLS)} tools are there")


@command
def doctor(_c: Context) -> None:
    """Show every tool, its version and purpose, and what this machine can do."""
    from goldpress.host import tools

    for name, state, purpose in tools.report():
        print(f"{name:<55} {state:<40} {purpose}")  # noqa: T201 - the result


@command
def build_image(
    _c: Context, image: str = "web", sandbox: bool = False, twice: bool = False
) -> None:
    """Press, boot and verify an image; --sandbox rehearses it, --twice proves the bytes."""
    from goldpress import build

    result = build.build(image, sandbox=sandbox)
    if twice:
        result["reproduced"] = build.reproduce(image, sandbox=sandbox)["identical"]
    show(result)


@command
def reproduce(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Press an image twice, independently, and compare the bytes."""
    from goldpress import build

    show(build.reproduce(image, sandbox=sandbox))


@command
def boot(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Boot a copy of an image, leave it running, and print how to reach it."""
    from goldpress import local

    show(local.boot(image, sandbox=sandbox))


@command
def halt(_c: Context, machine: str = "") -> None:
    """End the machine that `boot` left running (all of them, if none is named)."""
    from goldpress import local

    show({"halted": local.halt(machine)})


@command
def lock(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Resolve an image's packages against the newest snapshot, and write its lock."""
    from goldpress import locking
    from goldpress.build import chosen
    from goldpress.host import tools

    ws, definition, distribution = chosen(image, sandbox=sandbox)
    tools.ensure()
    made = locking.lock(ws, definition, distribution)
    path = ws.lock_path(definition, distribution)
    show({"lock": os.fspath(path), "digest": made.digest, "packages": len(made.packages)})


@command
def sync(_c: Context, image: str = "web", sandbox: bool = False, refresh: bool = False) -> None:
    """Take a snapshot of an image's repositories; bring its locked packages into the pool."""
    from goldpress import locking
    from goldpress.build import chosen
    from goldpress.host import tools

    ws, definition, distribution = chosen(image, sandbox=sandbox)
    tools.ensure()
    snapshot = locking.sync(ws, definition, distribution, refresh=refresh)
    show({"snapshot": snapshot.digest, "distribution": distribution.id})


@command
def check(_c: Context) -> None:
    """Lint, formatting, types and layers."""
    from goldpress.host import checks

    checks.check(Path(__file__).parent)


@command
def everything(_c: Context, only: str = "") -> None:
    """All checks and all tests but the long ones: a real build, boot and verification too."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.check(Path(__file__).parent)
    checks.run_tests(Path(__file__).parent, markers="not long", only=only)


@command
def longer(_c: Context, only: str = "") -> None:
    """The tests that need longer, and root: Ctrl-C in every stage, full disks."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.run_tests(Path(__file__).parent, markers="long", only=only)


@command
def bench_press(_c: Context) -> None:
    """How much a press costs when little changed, as ratios of a whole press."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.bench(Path(__file__).parent, "incremental")


ns = Collection(setup, doctor, build_image, reproduce, boot, halt, lock, check)
ns.add_collection(Collection("mirror", sync))
tests = Collection("test")
tests.add_task(everything, name="all", default=True)
tests.add_task(longer, name="long")
ns.add_collection(tests)
bench = Collection("bench")
bench.add_task(bench_press, name="press")
ns.add_collection(bench)
