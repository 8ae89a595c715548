"""Owns running one scenario: by `roll`, or by what people do without it, on the same clock."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from goldpress.emulator.inprocess import InProcessCloud
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.operations import call
from goldpress.emulator.simulated.templates import CALLS as TEMPLATES
from goldpress.errors import GoldpressError, PromotionError
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.fleet.journal import RollState
from goldpress.fleet.plan import RollPlan
from goldpress.fleet.sight import Sight
from goldpress.rolling import Roller
from goldpress.simulation.duties import SimulatedDuties
from goldpress.simulation.exposure import Exposure
from goldpress.simulation.fleet import HOUR, Fleet
from goldpress.simulation.invariants import Invariants
from goldpress.simulation.layout import Layout
from goldpress.simulation.outcome import AT_ONCE, REFRESH, ROLL, Outcome
from goldpress.simulation.promoted import promoted
from goldpress.simulation.scenario import Scenario

#: What a scheduled workflow of GitHub can do at most.
EVERY_SECONDS = 300.0
#: A roll that has not ended by then never does.
LONGEST_SECONDS = 72 * HOUR
#: What was done is looked at for so long: nothing may undo it.
AFTER_SECONDS = HOUR
#: For so long the others' ways are looked at, at least and at most.
LEAST_SECONDS, MOST_SECONDS = 2 * HOUR, 12 * HOUR
STEP_SECONDS = 600.0
SHORTEST_SECONDS = 1.0
#: Ticks that end in need of a person, who does not come: in two hours.
MOST_ASKED = 24


@dataclass(kw_only=True, eq=False)
class Lowest:
    """The smallest share of a group's desired capacity that was ready, in percent."""

    fleet: Fleet
    percent: int = 100
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fleet.cloud.watchers.append(self.moment)

    def moment(self, _cloud: InProcessCloud) -> None:
        """Look at the groups that have changed."""
        for key, row in self.fleet.groups.items():
            members = row.group.members
            if members.revision != self._seen.get(key):
                self._seen[key] = members.revision
                found = len(members.ready) * 100 // max(1, row.group.desired)
                self.percent = min(self.percent, found)


@dataclass(kw_only=True, eq=False)
class Rolling:
    """A run of `roll`. `roller` may be another one: tests break it."""

    fleet: Fleet
    invariants: Invariants
    exposure: Exposure
    lowest: Lowest
    said: list[str] = field(default_factory=list)
    plan: RollPlan | None = None
    state: RollState | None = None
    ticks: int = 0
    asked: int = 0
    asked_for: str = ""

    def seen(self, plan: RollPlan, state: RollState, _sight: Sight, _end: Ending | None) -> None:
        """What `roll` tells those who watch."""
        self.plan, self.state = plan, state

    @property
    def roller(self) -> Roller:
        """Who rolls: a process of its own for every tick, as far as it remembers nothing."""
        made, cloud = self.fleet.promoted, self.fleet.cloud
        return Roller(
            ws=made.ws, channel=made.channel, reach=cloud.access,
            duties=lambda _plan: SimulatedDuties(fleet=self.fleet),
            now=lambda: self.fleet.now, sleep=self.sleep, say=self.said.append,
            watch=self.seen,
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        """Let time pass; less than a second adds up in who waits, as no time has passed for it."""
        if seconds >= SHORTEST_SECONDS:
            self.fleet.cloud.advance(seconds)

    def run(self) -> Ending:
        """Tick after tick, until one ends for good. Raises what `roll` raises."""
        end = self.fleet.began + LONGEST_SECONDS
        while True:
            ending = self.roller.roll()
            self.ticks += 1
            if self.state is not None and self.state.held:
                self.invariants.forbidden = True
            if self._is_last(ending) or self.fleet.now >= end:
                return ending
            until = ending.until if isinstance(ending, Waiting) else 0.0
            until = 0.0 if until == float("inf") else until
            self.fleet.cloud.advance(max(EVERY_SECONDS, until - self.fleet.now))

    def _is_last(self, ending: Ending) -> bool:
        """Whether neither a schedule nor the person who is asked for would bring it on."""
        if isinstance(ending, Done) or self.state is None or self.state.over:
            return True
        asks = isinstance(ending, Person) or ending.until == float("inf")
        if not asks:
            return False
        self.asked += 1
        self.asked_for = self.asked_for or (
            ending.why if isinstance(ending, Person) else ending.text
        )
        short = self.fleet.scenario.short
        if self.state.paused and short is not None and self.asked <= MOST_ASKED:
            # Somebody waits, as they are told, until EC2 has instances again.
            over = self.fleet.began + short[1] * HOUR + EVERY_SECONDS
            self.fleet.cloud.advance(max(EVERY_SECONDS, over - self.fleet.now))
            self.roller.resume()
            return False
        return self.asked > MOST_ASKED or isinstance(ending, Waiting)


def rolled(
    layout: Layout,
    scenario: Scenario,
    *,
    seed: int,
    tamper: Callable[[Rolling], None] = lambda _run: None,
) -> Outcome:
    """A scenario by `roll`, with every invariant. `tamper` may break something at the begin.

    Raises GoldpressError where `roll` refuses to begin.
    """
    began = time.monotonic()
    with _scratch() as name:
        fleet = Fleet(
            layout=layout, scenario=scenario, promoted=promoted(Path(name), layout), seed=seed
        )
        run = Rolling(
            fleet=fleet, invariants=Invariants(fleet=fleet), exposure=Exposure(fleet=fleet),
            lowest=Lowest(fleet=fleet),
        )  # fmt: skip
        tamper(run)
        ending = run.run()
        over = fleet.now
        fleet.cloud.advance(AFTER_SECONDS)
        return _outcome(run, ending, over, time.monotonic() - began)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: a journal is synchronised at every write."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="goldpress-simulation-", dir=where)


def _outcome(run: Rolling, ending: Ending, over: float, seconds: float) -> Outcome:
    fleet, exposure, checks = run.fleet, run.exposure, run.invariants
    state = run.state
    held = fleet.promoted.held
    taken_back = state is not None and state.phase == "rolled-back"
    failed = state.failure.at if state and state.failure else None
    first = exposure.launched
    asked = f" (a person was asked before: {run.asked_for})" if run.asked_for else ""
    why = ending.text if isinstance(ending, Waiting) else (
        ending.why if isinstance(ending, Person) else ending.told
    )  # fmt: skip
    if isinstance(ending, Done):
        ended = "done"
    elif taken_back and held:
        ended = "held"
    else:
        ended = "waiting" if isinstance(ending, Waiting) else "a person"
    return Outcome(
        scenario=fleet.scenario.name, way=ROLL, ended=ended, why=f"{why}{asked}",
        exposed=len(exposure.ever), exposed_minutes=round(exposure.minutes, 1),
        detected=None if failed is None else failed - (first or failed),
        back=(exposure.last - fleet.began if exposure.last else 0.0) if taken_back else None,
        over=over - fleet.began, floor=float(run.plan.floor_seconds) if run.plan else None,
        ticks=checks.ticks, looks=checks.looks, writes=checks.writes, driver_ticks=run.ticks,
        lost=checks.lost, lowest=run.lowest.percent, breaches=tuple(checks.breaches),
        wrong=_wrong(run, ended, held), real_seconds=round(seconds, 2),
    )  # fmt: skip


def _wrong(run: Rolling, ended: str, held: str) -> str:
    """What is wrong with how it ended; empty when nothing is."""
    fleet, scenario = run.fleet, run.fleet.scenario
    last = run.said[-1] if run.said else ""
    if scenario.bad and ended != "held":
        return f"a bad image ended {ended}, not held: {last}"
    if not scenario.bad and held:
        return f"a good image is held: {held}"
    if not scenario.bad and ended != "done":
        return f"a good image ended {ended}, not done: {last}"
    image = fleet.old if ended == "held" else fleet.new
    if ended in {"held", "done"}:
        for key, row in fleet.groups.items():
            found = image(row.shape.region)
            every = row.place.machines.every
            other = [
                m.id for m in row.group.members.every.values()
                if m.live and every[m.id].image != found
            ]  # fmt: skip
            if other:
                return f"{key}: {len(other)} instances are not {found}: {other[0]}"
    if ended == "held":
        return _relaunched(run)
    return ""


def _relaunched(run: Rolling) -> str:
    """A held digest must not be rolled again: what `roll` did wrong, empty when it refused."""
    before = len(run.fleet.cloud.calls)
    try:
        ending = run.roller.roll()
    except PromotionError:
        return ""
    again = [row for row in run.fleet.cloud.calls[before:] if row.writes]
    if isinstance(ending, Person) and not again:
        return ""
    return f"a second roll of the held digest was not refused: {ending}"


def replaced(layout: Layout, scenario: Scenario, *, seed: int, way: str) -> Outcome:
    """A scenario by another way (REFRESH, AT_ONCE), started on every group at the same time.

    It is looked at until every refresh has ended, for two hours at least and twelve at most.
    """
    began = time.monotonic()
    with _scratch() as name:
        fleet = Fleet(
            layout=layout, scenario=scenario, promoted=promoted(Path(name), layout), seed=seed
        )
        exposure, lowest = Exposure(fleet=fleet), Lowest(fleet=fleet)
        started = _start_all(fleet, way)
        over: float | None = None
        while fleet.now < fleet.began + MOST_SECONDS:
            fleet.cloud.advance(STEP_SECONDS)
            if over is None and all(row.group.refresh is None for row in fleet.groups.values()):
                over = max(
                    row.group.refreshes[-1].ended or 0.0 for row in fleet.groups.values()
                ) - fleet.began  # fmt: skip
            if over is not None and fleet.now >= fleet.began + LEAST_SECONDS:
                break
        states = sorted({row.group.refreshes[-1].status for row in fleet.groups.values()})
        failed = [
            row.group.refreshes[-1].ended for row in fleet.groups.values()
            if row.group.refreshes[-1].status == "Failed"
        ]  # fmt: skip
        first = exposure.launched
        ends = [at for at in failed if at is not None]
        return Outcome(
            scenario=scenario.name, way=way, why=f"refreshes: {', '.join(states)}",
            ended="done" if states == ["Successful"] else ", ".join(states).lower(),
            exposed=len(exposure.ever), exposed_minutes=round(exposure.minutes, 1),
            detected=min(ends) - first if ends and first is not None else None,
            back=exposure.last - fleet.began if exposure.last else None,
            over=over, floor=None, ticks=0, looks=0, writes=started, driver_ticks=0, lost=0,
            lowest=lowest.percent, real_seconds=round(time.monotonic() - began, 2),
        )  # fmt: skip


def _start_all(fleet: Fleet, way: str) -> int:
    """A new template version and a refresh for every group; how many refreshes were started."""
    percent = {REFRESH: {}, AT_ONCE: {"MinHealthyPercentage": 0}}[way]
    for key, row in fleet.groups.items():
        template = row.group.configuration.spec.id
        made = TEMPLATES["CreateLaunchTemplateVersion"](
            row.place.templates,
            {
                "LaunchTemplateId": template, "SourceVersion": "1",
                "LaunchTemplateData": {"ImageId": fleet.new(row.shape.region)},
            },
        )  # fmt: skip
        version = str(made["LaunchTemplateVersion"]["VersionNumber"])
        specification = {"LaunchTemplateId": template, "Version": version}
        mixed = row.group.configuration.mixed
        desired = {"LaunchTemplate": specification} if mixed is None else {
            "MixedInstancesPolicy": {
                **mixed, "LaunchTemplate": {
                    **mixed["LaunchTemplate"], "LaunchTemplateSpecification": specification,
                },
            }
        }  # fmt: skip
        request = {
            "AutoScalingGroupName": row.shape.name, "DesiredConfiguration": desired,
            **({"Preferences": percent} if percent else {}),
        }  # fmt: skip
        try:
            call(row.place.scaling, "StartInstanceRefresh", request)
        except ScalingError as error:
            raise GoldpressError(f"{key}: {error.message}") from error
    return len(fleet.groups)
