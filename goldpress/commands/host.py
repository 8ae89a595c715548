"""Owns the tasks of this machine: the programs that are needed, and what it can do."""

from __future__ import annotations

from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command


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
