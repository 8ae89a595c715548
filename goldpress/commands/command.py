"""Owns what every task does alike: errors in a line or two, an exit status, a result on stdout."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.tasks import task

from goldpress.errors import GoldpressError

DEBUG = "GOLDPRESS_DEBUG" in os.environ or "--debug" in sys.argv or "-d" in sys.argv
INTERRUPTED = 130
#: Where `tasks.py` is.
PROJECT = Path(__file__).resolve().parents[2]


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
            about = f": {error.filename}" if error.filename else ""
            sys.stderr.write(f"error: {error.strerror or error}{about}\n")
            sys.exit(1)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: nothing half-made is kept; run it again to go on\n")
            sys.exit(INTERRUPTED)

    return task(run)


def show(value: Any) -> None:
    """The result: one JSON document on stdout."""
    print(json.dumps(value, indent=2), flush=True)  # noqa: T201 - the result
