"""Owns the acts of a rehearsal: a good release, the way back by hand, a bad one; what was seen.

Each is done as people and CI do it, by the same code. On which scene, see `scene`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goldpress import drifting, holds, progress
from goldpress.ami import Ami
from goldpress.digest import short
from goldpress.errors import GoldpressError, RollError
from goldpress.fleet.ending import Done, Ending, watched
from goldpress.fleet.screen import Watching
from goldpress.machine import loghost
from goldpress.rehearsal.fleet import Fleet
from goldpress.rehearsal.project import (
    IMAGE,
    Release,
    update,
)
from goldpress.rehearsal.seen import Seen
from goldpress.rehearsal.steps import CHANNEL, Steps
from goldpress.rehearsal.traffic import Failure, Load, Report
from goldpress.rolling import Roller
from goldpress.statements.signing import trust_here

SIZE = 2
#: From what the gate says until nothing new goes to a machine: two calls, and a beat.
SETTLED_SECONDS = 5.0
#: What systemd says of nginx when a machine that is replaced has served its last request.
LAST_LINE = "Stopped nginx.service"
MOST_ERRORS = 3
#: Of the end of a machine's journal, so many entries are looked through.
END = 400


@dataclass(kw_only=True)
class Story:
    """A fleet, the way of releases to it, and its traffic. `source` is the project of the images.

    `promote` brings a release into the channel, and returns its AMI.
    """

    source: Path
    steps: Steps
    fleet: Fleet
    load: Load
    promote: Callable[[Steps, Path, Release], Ami]
    amis: dict[str, Ami] = field(default_factory=dict)
    #: How many failures were judged: each counts in one act, whenever its request began.
    judged: int = 0

    @property
    def roller(self) -> Roller:
        """Who rolls the channel: as `./inv roll staging --sandbox`."""
        shown = Watching(console=progress.CONSOLE, now=time.time)
        return Roller.of(
            self.steps.ws, CHANNEL, IMAGE, endpoint=self.steps.endpoint, say=shown.say,
            watch=shown.seen,
        )  # fmt: skip

    def roll(self) -> Ending:
        """`roll staging --watch`. Raises as a tick does."""
        again = self.roller.roll
        return watched(again(), again, now=time.time, sleep=time.sleep)

    def good(self, wanted: Release) -> Iterator[Seen]:
        """A release that is good reaches every machine, and nobody notices."""
        before = self.fleet.members()
        ami = self._promoted(wanted)
        began = time.time()
        ending = self.roll()
        seconds = time.time() - began
        after = self.fleet.members()
        report = self.load.report()
        yield Seen.of(
            f"release {wanted.name} is rolled", isinstance(ending, Done), f"{ending}",
            f"in {seconds:.0f} s",
        )  # fmt: skip
        yield Seen.of(
            f"every machine runs release {wanted.name}",
            set(after.values()) == {ami.ami} and not before.keys() & after.keys(),
            f"{after}",
            f"{len(after)} machines, each a new one",
        )
        failed = self._failed(report)
        yield Seen.of(
            "no request failed",
            not failed and report.slow > 0,
            shown(failed, began),
            f"{report.requests} requests, {report.slow} of them of 20 s",
        )
        yield Seen.of(
            "users saw the old release, and then the new one",
            f"200 {wanted.body}" in report.answers,
            f"{report.answers}",
            ", ".join(f"{count} {said}" for said, count in report.answers.items()),
        )
        yield from self._last_lines(before)

    def bad(self, wanted: Release, before: Release) -> Iterator[Seen]:
        """A release that serves errors reaches one machine, and goes back by itself."""
        ami = self._promoted(wanted)
        began = time.time()
        ending = self.roll()
        seconds = time.time() - began
        members = self.fleet.members()
        failure = self.roller.status()[1].failure
        at = failure.at if failure else 0.0
        yield Seen.of(
            f"release {wanted.name} goes back by itself",
            not isinstance(ending, Done) and failure is not None and not failure.by_hand,
            f"{ending}",
            f"{failure.why if failure else ''}; {seconds:.0f} s from its begin to its end",
        )
        yield Seen.of(
            f"every machine runs release {before.name}",
            set(members.values()) == {self.amis[before.name].ami} and len(members) == SIZE,
            f"{members}",
            f"{len(members)} machines",
        )
        exposed = sum(found == ami.ami for found in self.fleet.launched().values())
        yield Seen.of(
            f"at most one machine of the fleet ever ran release {wanted.name}",
            exposed <= 1,
            f"{exposed}",
            "the canary alone did" if not exposed else f"{exposed}, and the canary",
        )
        yield from self._failed_requests(wanted, began, at)
        held = holds.held(self.steps.ws.store, trust_here(self.steps.ws), ami.image)
        yield Seen.of("its digest is held", held is not None, "it is not", held.why if held else "")
        self.steps.github.hub.notice()
        pulls = [row for row in self.steps.github.hub.pulls if row.state == "open"]
        yield Seen.of(
            "the revert is proposed", len(pulls) == 1, f"{pulls}", pulls[0].title if pulls else ""
        )
        yield from self.refused(ami.image)

    def back(self, wanted: Release, to: Release) -> Iterator[Seen]:
        """A person takes back a roll that went well; nobody notices that either."""
        began = time.time()
        again = self.roller.roll
        first = self.roller.rollback("a rehearsal of going back")
        ending = watched(first, again, now=time.time, sleep=time.sleep)
        seconds = time.time() - began
        members = self.fleet.members()
        report = self.load.report()
        yield Seen.of(
            f"rollback: every machine runs release {to.name} again",
            set(members.values()) == {self.amis[to.name].ami} and len(members) == SIZE,
            f"{members}; {ending}",
            f"{len(members)} machines, in {seconds:.0f} s",
        )
        failed = self._failed(report)
        yield Seen.of(
            "rollback: no request failed",
            not failed,
            shown(failed, began),
            f"{report.requests} requests so far",
        )
        held = holds.held(
            self.steps.ws.store, trust_here(self.steps.ws), self.amis[wanted.name].image
        )
        yield Seen.of(
            f"rollback: release {wanted.name} is held",
            held is not None,
            "it is not",
            held.why if held else "",
        )
        self.steps.github.hub.notice()
        for pull in [row for row in self.steps.github.hub.pulls if row.state == "open"]:
            self.steps.merged(pull)
        update(self.steps.ws.project)
        found = self.steps.promote()
        yield Seen.of(
            f"rollback: the revert is merged, release {to.name} is in force",
            found.digest == self.amis[to.name].image,
            found.digest,
            short(found.digest),
        )

    def refused(self, digest: str) -> Iterator[Seen]:
        """Nothing launches a held digest: each refusal."""
        ways: dict[str, Callable[[], object]] = {
            "roll": self.roll_again,
            "drift --heal": self._heal,
            "promote": self.steps.promote,
            "launch": lambda: holds.refuse_launch(self.steps.ws, digest),
        }
        for name, way in ways.items():
            try:
                way()
            except GoldpressError as error:
                refusal = "held" in str(error)
                yield Seen.of(f"{name} refuses it", refusal, str(error), error.message)
            else:
                yield Seen(name=f"{name} refuses it", holds=False, told="it did not")

    def roll_again(self) -> None:
        """`roll staging` once more. Raises RollError when a person is needed."""
        ending = self.roller.roll()
        if not isinstance(ending, Done):
            raise RollError(getattr(ending, "why", str(ending)))

    def _heal(self) -> None:
        ws, endpoint = self.steps.ws, self.steps.endpoint
        for row in drifting.drift(ws, CHANNEL, image=IMAGE, endpoint=endpoint):
            drifting.heal(
                ws, row, lambda of, rows: Roller(ws=ws, channel=of, endpoint=endpoint).heal(rows)
            )

    def _promoted(self, wanted: Release) -> Ami:
        found = self.promote(self.steps, self.source, wanted)
        self.amis[wanted.name] = found
        return found

    def _failed_requests(self, wanted: Release, began: float, at: float) -> Iterator[Seen]:
        """`began` is when the roll did, `at` when the gate said so (Unix time)."""
        report = self.load.report()
        failed = self._failed(report)
        mine = [row for row in failed if wanted.body in row.error]
        other = [row for row in failed if wanted.body not in row.error]
        yield Seen.of(
            "no request failed but those that its machine answered",
            not other and report.slow > 0,
            shown(other, began),
            f"{len(mine)} of {report.requests} requests",
        )
        late = [row for row in mine if row.began > at + SETTLED_SECONDS]
        yield Seen.of(
            "none of them after the gate",
            bool(mine) and not late,
            f"{len(late)} of {len(mine)}, {max((row.began - at for row in mine), default=0):.0f} s",
            f"the last one {max((row.began - at for row in mine), default=0):.1f} s after it",
        )

    def _failed(self, report: Report) -> tuple[Failure, ...]:
        """The requests that failed since they were last judged, whether or not a roll was on."""
        found = report.failures[self.judged :]
        self.judged = len(report.failures)
        return found

    def _last_lines(self, replaced: dict[str, str]) -> Iterator[Seen]:
        machines = self.fleet.machines()
        arrived = 0
        for instance in replaced:
            directory = Path(machines[instance]["directory"])
            kept = list(loghost.entries(directory / "journal.export"))[-END:]
            arrived += any(LAST_LINE in row.get("MESSAGE", "") for row in kept)
        yield Seen.of(
            "the last lines of each replaced machine are at the log host",
            arrived == len(replaced),
            f"of {arrived} of {len(replaced)}",
            f"of {arrived} machines",
        )


def shown(failed: Sequence[Failure], began: float) -> str:
    """What failed, and when from the begin of a roll (Unix time): a busy machine does by itself."""
    if not failed:
        return "no slow request"
    first, last = (f"{row.began - began:+.0f} s" for row in (failed[0], failed[-1]))
    errors = ", ".join(sorted({row.error for row in failed})[:MOST_ERRORS])
    return f"{len(failed)} failed, from {first} to {last} of the roll's begin: {errors}"
