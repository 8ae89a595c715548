"""Owns what a step of a workflow hands on to those after it: lines in the file GITHUB_OUTPUT.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from goldpress.errors import DocumentError

VARIABLE = "GITHUB_OUTPUT"
#: Nothing that ends a line, or that a shell or an expression would take for more than text.
_PLAIN = re.compile(r"[A-Za-z0-9:._-]*")


def hand_on(values: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> None:
    """Let later steps know these; nothing where no workflow runs. Raises DocumentError, OSError."""
    path = environment.get(VARIABLE, "")
    if not path:
        return
    for name, value in values.items():
        if not _PLAIN.fullmatch(value):
            raise DocumentError(f"{value!r:.80} is no value of {name} for later steps")
    with Path(path).open("a") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())
