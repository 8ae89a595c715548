"""What people see of a roll: the live screen, lines with their time, the job's summary."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rolled import SECOND, Rolled, small, three

from goldpress.emulator.settings import Model
from goldpress.fleet import screen
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.fleet.look import Looking
from goldpress.fleet.screen import Counts, Rate, View, Watching
from goldpress.fleet.sight import Sight


def view(fleet: Rolled, ending: Ending | None = None) -> View:
    look = Looking(place=fleet.seat, limits=fleet.limits, now=fleet.now)
    sight = look(fleet.plan, fleet.state)
    return View(plan=fleet.plan, state=fleet.state, sight=sight, now=fleet.now(), ending=ending)


def drawn(shown: View, rate: Rate | None = None) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(screen.screen(shown, rate or Rate()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_screen_tells_groups_gates_time_and_what_is_next(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    while not fleet.state.open_since:
        ending = fleet.tick()
        assert isinstance(ending, Waiting)
        fleet.cloud.advance(ending.until - fleet.now())
    rate = Rate()
    rate.seen(fleet.now(), 2)
    text = drawn(view(fleet, ending), rate)
    row = next(line for line in text.splitlines() if "first 50 %" in line)
    assert f"{'█' * 15}{'░' * 15}" in row
    assert "2/2" in row
    assert "gate" in text
    assert "healthy open: a: 4 of 4 serve, 2 of 2 are new" in text
    assert "2 of 12 instances" in text
    assert "time left" in text
    assert "next for a person" in text
    assert "roll.pause" in text


def test_bars_show_new_old_and_what_does_not_serve() -> None:
    bar = Counts(old=1, new=1, unhealthy=1, wanted=3, goal=3).bar
    assert bar.plain == f"{'█' * 10}{'░' * 10}{'!' * 10}"
    assert Counts(old=999, new=0, unhealthy=1, wanted=1000, goal=0).bar.plain.count("!") == 1
    assert len(Counts(old=0, new=0, unhealthy=0, wanted=0, goal=0).bar.plain) == 30


def test_what_failed_is_on_the_screen_with_the_next_thing_to_do(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(serves=500))
    person = fleet.person()
    text = drawn(view(fleet, person))
    assert "phase" in text
    assert "rolled-back, canary: " in text
    assert "held" in text
    assert "merge the revert (branch goldpress/prod), then `./inv promote prod`" in text


def test_a_group_that_cannot_be_seen_is_not_shown_as_empty(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    shown = view(fleet)
    key = fleet.groups[2].key
    sight = Sight(
        groups={k: v for k, v in shown.sight.groups.items() if k != key},
        unseen={key: f"no answer from {SECOND}"},
    )
    blind = View(plan=shown.plan, state=shown.state, sight=sight, now=shown.now)
    assert f"{key}: no answer from {SECOND}" in drawn(blind)
    assert f"| rest 100 % | {key} | pending | not seen | | |" in screen.summary(blind, Rate())


def test_the_rate_is_of_the_last_ten_minutes(tmp_path: Path) -> None:
    state = three(tmp_path).state
    rate = Rate()
    assert rate.per_minute(state) is None
    for minute in range(30):
        rate.seen(state.began + minute * 60, minute * 2 if minute < 15 else 28 + minute)
    assert rate.per_minute(state) == 1.0
    once = Rate()
    once.seen(state.began + 600, 20)
    assert once.per_minute(state) == 2.0
    still = Rate()
    still.seen(state.began + 600, 0)
    assert still.per_minute(state) is None


def test_off_a_terminal_there_are_lines_with_their_time_and_a_summary(tmp_path: Path) -> None:
    fleet = small(tmp_path / "store")
    out = io.StringIO()
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    watching = Watching(console=Console(file=out, width=200), now=fleet.now, summary_path=path)
    with watching.shown():
        watching.say("web: to web version 2 [bold]")
        shown = view(fleet)
        watching.seen(shown.plan, shown.state, shown.sight, None)
        watching.seen(shown.plan, shown.state, shown.sight, Done(told="all of it"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "22:43:20  web: to web version 2 [bold]"
    assert "22:43:20  now: done: all of it" in lines
    text = path.read_text()
    assert text.startswith("before\n### web/prod: ")
    assert "| all 100 % | 111111111111/us-east-1/web | pending | 0 of 4 | 4 | 0 |" in text
    assert "| now | done: all of it |" in text


def test_without_a_summary_to_write_nothing_is_written(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    watching = Watching(console=Console(file=io.StringIO()), now=fleet.now)
    shown = view(fleet)
    watching.seen(shown.plan, shown.state, shown.sight, None)
    watching.write_summary()
    empty = Watching(
        console=Console(file=io.StringIO()), now=fleet.now, summary_path=tmp_path / "s"
    )
    empty.write_summary()
    assert not (tmp_path / "s").exists()


def test_on_a_terminal_it_is_one_live_screen(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    out = io.StringIO()
    console = Console(file=out, width=160, height=60, force_terminal=True)
    watching = Watching(console=console, now=fleet.now)
    shown = view(fleet)
    with watching.shown():
        watching.seen(shown.plan, shown.state, shown.sight, Waiting(until=fleet.now(), why="x"))
    assert "░" in out.getvalue()
    assert watching.live is None


def test_how_a_tick_ended_is_told_in_a_line(tmp_path: Path) -> None:
    state = small(tmp_path).state
    waiting = Waiting(until=0.0, why="web soaks")
    assert screen.told(waiting) == "waiting until 1970-01-01 00:00:00 UTC: web soaks"
    assert screen.told(Person(why="it burns", hint="look")) == "needs a person: it burns"
    paused = Waiting(until=float("inf"), why="paused: ann")
    assert screen.told(paused) == "paused: ann"
    assert screen.next_action(state, paused) == "`./inv roll.resume prod`"
    assert screen.next_action(state, Done(told="x")) == "nothing"
    assert screen.next_action(state, waiting).startswith("nothing: the next `./inv roll prod`")
