"""Owns what people see of a roll: one live screen on a terminal, lines with their time elsewhere.

Where $GITHUB_STEP_SUMMARY names a file, the same goes there as Markdown, at the end of a tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, RenderableType
from rich.console import Group as Rows
from rich.live import Live
from rich.table import Table
from rich.text import Text

from goldpress.digest import short
from goldpress.errors import GoldpressError
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.fleet.journal import GroupRoll, RollState
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import RollPlan, count_of
from goldpress.fleet.shown import lasting
from goldpress.fleet.sight import Sight, new_of, new_serving

SUMMARY = "GITHUB_STEP_SUMMARY"
BAR = 30
#: A rate is of so many seconds of the past.
RATE_SECONDS = 600.0
MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class View:
    """What is shown: a roll, what was seen of it at `now` (Unix time), and how the tick ended."""

    plan: RollPlan
    state: RollState
    sight: Sight
    now: float
    ending: Ending | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Instances of a group: of the old version, new ones that serve, and those that do not serve.

    `wanted` is what the group is to have, `goal` how many are to be new by the wave under way.
    """

    old: int
    new: int
    unhealthy: int
    wanted: int
    goal: int

    @property
    def bar(self) -> Text:
        """It as a bar: new, old, unhealthy."""
        total = max(1, self.old + self.new + self.unhealthy)
        bad = -(-self.unhealthy * BAR // total)
        new = min(BAR - bad, round(self.new * BAR / total))
        text = Text()
        text.append("█" * new, style="green")
        text.append("░" * (BAR - bad - new), style="dim")
        text.append("!" * bad, style="bold red")
        return text


def counts(plan: RollPlan, state: RollState, key: str, seen: Observed) -> Counts:
    """The instances of a group."""
    group, roll = plan.group(key), state.group(key)
    members = [row for row in seen.group.members if not row.state.startswith("Terminat")]
    serving = {row.id for row in seen.serving()}
    new = {row.id for row in new_of(seen, group, roll)}
    at = min(state.wave, len(plan.waves) - 1)
    share = max(
        (row.share for wave in plan.waves[: at + 1] for row in wave.groups if row.key == key),
        default=0,
    )
    return Counts(
        old=sum(row.id in serving and row.id not in new for row in members),
        new=sum(row.id in serving and row.id in new for row in members),
        unhealthy=sum(row.id not in serving for row in members),
        wanted=seen.group.desired,
        goal=count_of(seen.group.desired, share),
    )


def replaced(plan: RollPlan, state: RollState, sight: Sight) -> tuple[int, int]:
    """How many instances of the new version serve, and how many there are to be in the end."""
    done = sum(
        new_serving(seen, plan.group(key), state.group(key)) for key, seen in sight.groups.items()
    )
    return done, sum(seen.group.desired for seen in sight.groups.values())


def soak_left(plan: RollPlan, state: RollState, now: float) -> float:
    """Seconds of soaking that are ahead, this wave's too."""
    total = 0.0
    for index, wave in enumerate(plan.waves):
        if index > state.wave or (index == state.wave and not state.open_since):
            total += wave.soak_minutes * MINUTE
        elif index == state.wave:
            total += max(0.0, state.open_since + wave.soak_minutes * MINUTE - now)
    return total


@dataclass(kw_only=True)
class Rate:
    """How fast instances are replaced; of the last ten minutes, or since the roll began."""

    past: deque[tuple[float, int]] = field(default_factory=deque)

    def seen(self, now: float, count: int) -> None:
        """So many were new at this time."""
        self.past.append((now, count))
        while len(self.past) > 2 and now - self.past[1][0] >= RATE_SECONDS:  # noqa: PLR2004 - two make a rate
            self.past.popleft()

    def per_minute(self, state: RollState) -> float | None:
        """Instances a minute; None for nothing to tell by."""
        if not self.past:
            return None
        first, start = self.past[0] if len(self.past) > 1 else (state.began, 0)
        last, count = self.past[-1]
        if last - first < 1 or count <= start:
            return None
        return (count - start) * MINUTE / (last - first)


def next_action(state: RollState, ending: Ending | None) -> str:
    """What a person is to do next."""
    match ending:
        case Person(hint=hint):
            return hint
        case Waiting(until=until) if until == float("inf"):
            return f"`./inv roll.resume {state.channel}`"
        case Done():
            return "nothing"
    return (
        f"nothing: the next `./inv roll {state.channel}` goes on; to stop it: roll.pause, "
        f"roll.abort, `./inv rollback {state.channel}`"
    )


def facts(view: View, rate: Rate) -> Iterator[tuple[str, str]]:
    """What is told beside the groups: name and value."""
    plan, state, sight, now, ending = view.plan, view.state, view.sight, view.now, view.ending
    yield "phase", state.phase + (f", {state.failure.why}" if state.failure else "")
    wave = plan.waves[state.wave] if state.wave < len(plan.waves) else None
    yield "wave", f"{state.wave + 1} of {len(plan.waves)}: {wave.name}" if wave else "all ended"
    if plan.canary:
        stage = state.canary.stage or "not begun"
        yield "canary", f"{stage} {state.canary.instance}".strip()
    done, total = replaced(plan, state, sight)
    speed = rate.per_minute(state)
    pace = f", {speed:.1f} a minute" if speed else ""
    yield "new", f"{done} of {total} instances{pace}"
    if state.phase == "rolling":
        moving = (total - done) * MINUTE / speed if speed else None
        soaks = soak_left(plan, state, now)
        known = moving if moving is not None else max(0.0, plan.seconds - (now - state.began))
        ahead = known + (soaks if moving is not None else 0.0)
        yield "time left", f"about {lasting(ahead)}, {lasting(soaks)} of it soaking"
    for row in state.gates:
        yield "gate", row
    for name, why in sorted(state.left.items()):
        yield "left", f"{name}: {why}"
    for key, why in sorted(sight.unseen.items()):
        yield "not seen", f"{key}: {why}"
    if state.held:
        yield "held", state.held
    if state.proposed:
        yield "revert", state.proposed
    if ending is not None:
        yield "now", told(ending)
    yield "next for a person", next_action(state, ending)


def told(ending: Ending) -> str:
    """How the tick ended, in a line."""
    match ending:
        case Done():
            return f"done: {ending.told}"
        case Waiting():
            return ending.text
        case Person():
            return f"needs a person: {ending.why}"


def screen(view: View, rate: Rate) -> RenderableType:
    """All of it at once."""
    plan, state, sight = view.plan, view.state, view.sight
    shown = Table(title=_title(plan), title_justify="left", pad_edge=False)
    for name in ("wave", "group", "state", "", "new", "old", "not serving"):
        shown.add_column(name, overflow="fold")
    for wave, key, roll in _rows(plan, state):
        seen = sight.groups.get(key)
        if seen is None:
            shown.add_row(wave, key, roll.state, Text("not seen", style="yellow"), "", "", "")
            continue
        found = counts(plan, state, key, seen)
        bad = Text(str(found.unhealthy), style="bold red" if found.unhealthy else "dim")
        shown.add_row(
            wave, key, roll.state, found.bar, f"{found.new}/{found.goal}", str(found.old), bad
        )
    below = Table.grid(padding=(0, 2))
    for name, value in facts(view, rate):
        style = "bold red" if name in {"left", "not seen"} or " bad: " in value else ""
        below.add_row(Text(name, style="bold"), Text(value, style=style))
    return Rows(shown, below)


def summary(view: View, rate: Rate) -> str:
    """The same as Markdown, for a job's summary."""
    plan, state, sight = view.plan, view.state, view.sight
    rows = [f"### {_title(plan)}", "", "| wave | group | state | new | old | not serving |"]
    rows.append("|---|---|---|---|---|---|")
    for wave, key, roll in _rows(plan, state):
        seen = sight.groups.get(key)
        if seen is None:
            rows.append(f"| {_cell(wave)} | {_cell(key)} | {roll.state} | not seen | | |")
            continue
        found = counts(plan, state, key, seen)
        numbers = f"{found.new} of {found.goal} | {found.old} | {found.unhealthy}"
        rows.append(f"| {_cell(wave)} | {_cell(key)} | {roll.state} | {numbers} |")
    rows += ["", "| | |", "|---|---|"]
    found_facts = facts(view, rate)
    rows += [f"| {name} | {_cell(value)} |" for name, value in found_facts]
    return "\n".join([*rows, ""])


@dataclass(kw_only=True)
class Watching:
    """Shows a roll while it is driven; `say` and `seen` are what a driver calls."""

    console: Console
    now: Callable[[], float]
    summary_path: Path | None = None
    rate: Rate = field(default_factory=Rate)
    live: Live | None = None
    last: View | None = None

    def say(self, line: str) -> None:
        """A line that stays, with its time."""
        moment = datetime.fromtimestamp(self.now(), UTC).strftime("%H:%M:%S")
        self.console.print(f"{moment}  {line}", markup=False)

    def seen(self, plan: RollPlan, state: RollState, sight: Sight, ending: Ending | None) -> None:
        """The roll is so now."""
        view = View(plan=plan, state=state, sight=sight, now=self.now(), ending=ending)
        self.rate.seen(view.now, replaced(plan, state, sight)[0])
        self.last = view
        if self.live is not None:
            self.live.update(screen(view, self.rate), refresh=True)
        elif ending is not None:
            for name, value in facts(view, self.rate):
                self.say(f"{name}: {value}")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Live on a terminal until the block ends; then, if asked for, the summary is written.

        So it is, with the reason, where the block raises a GoldpressError.
        """
        why = ""
        try:
            with self._living():
                yield
        except GoldpressError as error:
            why = str(error)
            raise
        finally:
            self.write_summary(why)

    @contextmanager
    def _living(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, auto_refresh=False, transient=False) as live:
            self.live = live
            try:
                yield
            finally:
                live.refresh()
                self.live = None

    def write_summary(self, why: str = "") -> None:
        """Append what was seen last to the job's summary, and `why` nothing more came of it."""
        if self.summary_path is None:
            return
        text = summary(self.last, self.rate) if self.last is not None else ""
        if why:
            text += f"\n**Needs a person:** {' '.join(why.split())}\n"
        if not text:
            return
        with self.summary_path.open("a", encoding="utf-8") as stream:
            stream.write(text)


def _rows(plan: RollPlan, state: RollState) -> Iterator[tuple[str, str, GroupRoll]]:
    for wave in plan.waves:
        for row in wave.groups:
            yield f"{wave.name} {row.share} %", row.key, state.group(row.key)


def _title(plan: RollPlan) -> str:
    before = f" in place of {short(plan.previous)}" if plan.previous else ""
    return f"{plan.image}/{plan.channel}: {short(plan.digest)}{before}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
