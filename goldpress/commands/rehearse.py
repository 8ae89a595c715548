"""Owns the tasks of a rehearsal by hand: rehearse.begin, release, approve, fleet, end.

What is between them are the tasks of every day: build-image, publish, propose, promote, roll.
"""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def begin(_c: Context) -> None:
    """Begin a rehearsal on this machine; evaluate what it prints: eval "$(./inv rehearse.begin)".

    GitHub is a process here, with this checkout's HEAD; the shell is then in a clone, with a store
    and a cloud of its own, and every task means the sandbox.
    """
    from goldpress.rehearsal import place
    from goldpress.workspace import workspace

    found = place.begin(workspace())
    print(found.lines_in(), end="", flush=True)  # noqa: T201 - the result
    progress.note(f"the stand-in of GitHub is at {found.site()[0]}; ann works in {found.clone}")
    progress.note(f"in another terminal: `. {found.shell}`; `./inv rehearse.end` ends it")


@command
def release(_c: Context, name: str, broken: bool = False, after: int = 0) -> None:
    """Push a release of the rehearsal's shop to `main`, as ann; a --broken one answers with 500.

    With --after=N only when a machine has answered N requests well.
    """
    from goldpress.rehearsal import deeds
    from goldpress.rehearsal.project import Release
    from goldpress.workspace import workspace

    if after and not broken:
        raise DocumentError("--after=N is of a --broken release")
    done = deeds.release(workspace(), Release(name=name, broken=broken, after=after))
    show(done.document())
    progress.note(
        f"release {name} is in main: `./inv build-image publish` makes it an image"
        if done.fresh
        else f"release {name} was in main already"
    )


@command
def approve(_c: Context, pull: str = "") -> None:
    """What two people do in a browser: ann approves the open pull request, ben merges it.

    --pull=N where several are open.
    """
    from goldpress.rehearsal import deeds
    from goldpress.workspace import workspace

    if pull and not pull.isdecimal():
        raise DocumentError(f"{pull!r} is not the number of a pull request")
    show(deeds.approve(workspace(), int(pull) if pull else None))


@command
def fleet(_c: Context, size: int = 2) -> None:
    """An Auto Scaling group of what `staging` has in force, behind a load balancer: real machines.

    It prints where the load balancer listens, and what starts traffic; --size machines.
    """
    from goldpress.rehearsal import deeds
    from goldpress.workspace import workspace

    found = deeds.fleet(workspace(), size)
    show({"url": found.url, "instances": found.members()})
    progress.note("in another terminal, until Ctrl-C:")
    progress.note(f"  {deeds.traffic_line(found.url)}")


@command
def end(_c: Context) -> None:
    """End the rehearsal: its GitHub, cloud, machines and files; eval "$(./inv rehearse.end)"."""
    from goldpress.rehearsal import place
    from goldpress.workspace import workspace

    ws = workspace()
    found = place.known(ws)
    done = place.stop(ws, found)
    told = ", ".join(f"{name} {value}" for name, value in done.items())
    progress.note(f"ended: {told}; removing {found.directory}")
    lines = found.lines_out()
    # Last: what runs here may be among it, and modules that were not loaded yet.
    place.remove(found)
    print(lines, end="", flush=True)  # noqa: T201 - the result


tasks = Collection("rehearse", begin, release, approve, fleet, end)
