"""Owns the tasks of rolls: roll and its pause, resume, abort and status; rollback.

A tick ends `done` or `waiting until ...` with exit status 0; when it needs a person, with 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from goldpress import progress
from goldpress.commands import rolling
from goldpress.commands.command import command, show
from goldpress.commands.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from goldpress.fleet.ending import Ending
    from goldpress.rolling import Roller


@command
def roll(
    _c: Context, channel: str, image: str = "", sandbox: bool = False, watch: bool = False
) -> None:
    """Bring what a channel has in force to its fleets: one tick, which does all that is due.

    It ends `done`, `waiting until ...` (exit status 0) or in need of a person (1), and can be run
    again at any time, by anybody; --watch repeats it until it has ended.
    """
    _carried(channel, image, lambda roller: roller.roll(), sandbox=sandbox, watch=watch)


@command
def rollback(
    _c: Context,
    channel: str,
    image: str = "",
    why: str = "taken back by hand",
    sandbox: bool = False,
    watch: bool = False,
) -> None:
    """Take back a channel's roll, under way or ended: its digest is held, everything goes back.

    What is out of reach is told, and left for the next time; the rest is done. --why=..., --watch.
    """

    def first(roller: Roller) -> Ending:
        return roller.rollback(why)

    _carried(channel, image, first, sandbox=sandbox, watch=watch)


@command
def status(
    _c: Context, channel: str, image: str = "", sandbox: bool = False, json: bool = False
) -> None:
    """How the roll of a channel stands, and what is so now; nothing is changed."""
    from goldpress.fleet import screen

    roller = _roller(channel, image, sandbox=sandbox)
    plan, state, sight = roller.status()
    if json:
        show(state.document())
        return
    rate = screen.Rate()
    now = roller.now()
    rate.seen(now, screen.replaced(plan, state, sight)[0])
    progress.result(screen.screen(screen.View(plan=plan, state=state, sight=sight, now=now), rate))


@command
def pause(_c: Context, channel: str, image: str = "", why: str = "", sandbox: bool = False) -> None:
    """Let nothing new begin in a roll; what AWS is doing just now ends. --why=..."""
    state = _roller(channel, image, sandbox=sandbox).pause(why or "by hand")
    show(state.document())
    progress.note(f"paused; `./inv roll.resume {channel}` goes on")


@command
def resume(_c: Context, channel: str, image: str = "", sandbox: bool = False) -> None:
    """Go on with a roll that was paused, or that waited for a person."""
    show(_roller(channel, image, sandbox=sandbox).resume().document())
    progress.note(f"the next `./inv roll {channel}` goes on")


@command
def abort(
    _c: Context, channel: str, image: str = "", why: str = "by hand", sandbox: bool = False
) -> None:
    """Stop a roll where it is: what was replaced stays, nothing goes on, nothing is held."""
    _carried(channel, image, lambda roller: roller.abort(why), sandbox=sandbox, watch=True)


def _roller(channel: str, image: str, *, sandbox: bool, **given: Any) -> Roller:
    from goldpress import cloud
    from goldpress.rolling import Roller
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    return Roller.of(ws, channel, image, endpoint=endpoint, **given)


def _carried(
    channel: str,
    image: str,
    first: Callable[[Roller], Ending],
    *,
    sandbox: bool,
    watch: bool,
) -> None:
    """Do the first tick, with `watch` those after it, and end as the last one."""
    import os
    import time
    from dataclasses import replace
    from pathlib import Path

    from goldpress.fleet.ending import conclude, watched
    from goldpress.fleet.screen import SUMMARY, Watching

    path = os.environ.get(SUMMARY, "")
    shown = Watching(
        console=progress.CONSOLE, now=time.time, summary_path=Path(path) if path else None
    )
    roller = replace(_roller(channel, image, sandbox=sandbox), say=shown.say, watch=shown.seen)
    with shown.shown():
        ending = first(roller)
        if watch:
            ending = watched(ending, roller.roll, now=roller.now, sleep=roller.sleep)
    conclude(ending, show=show)


#: roll.plan and roll.adopt are among them.
tasks = rolling.tasks
tasks.add_task(roll, name="tick", default=True)
tasks.add_task(status)
tasks.add_task(pause)
tasks.add_task(resume)
tasks.add_task(abort)
tasks.add_task(simulate)
