"""Owns the tasks that judge the code: lint, types, layers, tests."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress.commands.command import PROJECT, command


@command
def check(_c: Context) -> None:
    """Lint, formatting, types and layers."""
    from goldpress.host import checks

    checks.check(PROJECT)


@command
def everything(_c: Context, only: str = "") -> None:
    """All checks and all tests but the long ones: a real build, boot and verification too."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.check(PROJECT)
    if only:
        checks.run_tests(PROJECT, markers="not long", only=only)
    else:
        checks.run_lanes(
            PROJECT,
            shown="real and not beside and not long",
            beside=("not real and not long", "real and beside and not long"),
        )


@command
def longer(_c: Context, only: str = "") -> None:
    """The tests that need longer, and root: Ctrl-C in every stage, full disks."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.run_tests(PROJECT, markers="long", only=only)


tasks = Collection("test")
tasks.add_task(everything, name="all", default=True)
tasks.add_task(longer, name="long")
