"""Owns the task of the rehearsal of everything: demo."""

from __future__ import annotations

from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show


@command
def demo(_c: Context, json: bool = False) -> None:
    """The whole story on this machine alone: press, boot, publish, promote, roll, break, recover.

    Two real machines serve requests all the time. It ends with what was seen, and fails when
    something of it does not hold.
    """
    from dataclasses import asdict

    from goldpress.rehearsal import scene, seen
    from goldpress.workspace import workspace

    rows = scene.tell(workspace())
    if json:
        show([asdict(row) for row in rows])
    else:
        progress.result(seen.table(rows))
    seen.refuse_failed(rows)
