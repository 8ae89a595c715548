"""Owns the tasks around rolls: roll.plan, roll.adopt, drift, quarantine."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def plan(
    _c: Context, channel: str, image: str = "", sandbox: bool = False, json: bool = False
) -> None:
    """What `roll` would do: groups, waves, times, every write; it changes nothing.

    It fails when something keeps a group from being rolled; each finding says what to do.
    """
    from goldpress import cloud, planning
    from goldpress.fleet.findings import refuse_failed, table
    from goldpress.fleet.shown import plan_tables
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    found = planning.planned(ws, planning.channel_of(ws, channel, image), endpoint=endpoint)
    if json:
        show(found.document())
    else:
        progress.result(plan_tables(found.plan))
        progress.result(table(found.findings))
    refuse_failed(found.findings)


@command
def adopt(
    _c: Context, group: str, channel: str = "", yes: bool = False, sandbox: bool = False
) -> None:
    """Move a group from `$Latest`, `$Default` or a parameter to the version it launches now.

    GROUP is its name, or account/region/name; it is shown, and done with --yes. Nothing that runs
    changes; without this AWS cannot roll the group back.
    """
    from goldpress import adoption, cloud
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    done = adoption.adopt(ws, group, channel=channel, endpoint=endpoint, confirmed=yes)
    show(done.document())
    progress.note(done.text)
    if done.needed and not yes:
        progress.note("nothing was changed; --yes does it")


@command
def drift(
    _c: Context,
    channel: str = "",
    image: str = "",
    heal: bool = False,
    sandbox: bool = False,
    json: bool = False,
) -> None:
    """Every instance that is not what its channel has in force: another AMI, by hand, too old.

    Of all channels, or --channel. --heal refreshes just the groups that drifted. It fails when
    something drifted and was not healed.
    """
    from goldpress import cloud, drifting
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    found = list(drifting.drift(ws, channel, image=image, endpoint=endpoint))
    if json:
        show([row.document() for row in found])
    else:
        progress.result(drifting.table(found))
    if heal:
        from goldpress.rolling import Roller

        found = [
            drifting.heal(
                ws, row, lambda of, rows: Roller(ws=ws, channel=of, endpoint=endpoint).heal(rows)
            )
            for row in found
        ]
    if error := drifting.failure(found):
        raise error


@command
def quarantine(
    _c: Context,
    instance: str,
    why: str = "",
    detach: bool = False,
    release: bool = False,
    sandbox: bool = False,
) -> None:
    """Take an instance (i-...) out of service for a look, keeping its disks; --why=...

    Its group launches another. --detach takes it out of the group for good; --release puts it back.
    """
    from goldpress import cloud, quarantining
    from goldpress.workspace import sandbox_said, workspace

    if release and (why or detach):
        raise DocumentError("--release takes neither --why nor --detach")
    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    done = (
        quarantining.release(ws, instance, endpoint=endpoint)
        if release
        else quarantining.quarantine(ws, instance, why=why, detach=detach, endpoint=endpoint)
    )
    show(done.document())


tasks = Collection("roll")
tasks.add_task(plan)
tasks.add_task(adopt)
