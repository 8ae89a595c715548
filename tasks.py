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
    """Press, boot and verify an image; --sandbox rehearses it on this machine."""
    from goldpress.build import build

    show(build(image, sandbox=sandbox, twice=twice))


@command
def lock(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Resolve an image's packages against the newest snapshot, and write its lock."""
    from goldpress.build import chosen
    from goldpress.locking import lock as make_lock

    ws, definition, distribution = chosen(image, sandbox=sandbox)
    made = make_lock(ws, definition, distribution)
    path = ws.lock_path(definition, distribution)
    show({"lock": os.fspath(path), "digest": made.digest, "packages": len(made.packages)})


ns = Collection(setup, doctor, build_image, lock)
