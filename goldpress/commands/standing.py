"""Owns the tasks that tell what is so: status, affected, audit."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show


@command
def status(_c: Context, sandbox: bool = False, json: bool = False) -> None:
    """Every channel: digest and age, evidence, AMIs, who approved it, fleets and their drift."""
    from goldpress import cloud, standing
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    states = standing.standing(ws, endpoint=endpoint)
    if json:
        show([row.document() for row in states])
    else:
        progress.result(standing.table(states))
    if error := standing.failure(states):
        raise error


@command
def affected(_c: Context, cve: str, sandbox: bool = False, json: bool = False) -> None:
    """Which images, channels and instances carry a CVE, and the fix that the mirror has."""
    from goldpress import affected as finding
    from goldpress import cloud
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    found = finding.affected(ws, cve, endpoint=endpoint)
    if json:
        show(found.document())
    else:
        progress.result(finding.table(found))
    if error := found.failure():
        raise error


@command
def audit(
    _c: Context,
    from_: str,
    to: str = "",
    csv: str = "",
    sandbox: bool = False,
    json: bool = False,
) -> None:
    """Every change of a channel from a day to another, who approved it, on which evidence.

    And whether anything else was launched, as far as AWS can show that: it fails when something
    was. --csv=FILE keeps the changes; without --to it ends where CloudTrail is complete.
    """
    from datetime import UTC, datetime

    from goldpress import audited, auditing, cloud
    from goldpress.workspace import sandbox_said, workspace

    now = datetime.now(UTC)
    start = auditing.parse_time(from_, option="--from")
    end = auditing.parse_time(to, option="--to", is_end=True) if to else auditing.complete(now)
    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    found = auditing.audit(ws, start, end, endpoint=endpoint, now=now)
    if csv:
        Path(csv).write_text(audited.text(found))
    if json:
        show(found.document())
    else:
        progress.result(audited.table(found))
    if error := found.failure():
        raise error
