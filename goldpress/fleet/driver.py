"""Owns driving a roll: it looks, writes down what that teaches, decides, and makes each change.

Every change is between two writes of the journal, under a lease. It may die anywhere: whoever
comes next looks, and finds all of it. What cannot be seen or done is told, and keeps only what
depends on it from being done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from goldpress.aws.errors import is_permanent
from goldpress.errors import (
    CloudError,
    ConflictError,
    GoldpressError,
    MachineError,
    MissingError,
    VerifyError,
)
from goldpress.fleet import back, tick
from goldpress.fleet.actions import (
    Action,
    Launch,
    Sample,
    intended,
    name_of,
    noted,
    told,
)
from goldpress.fleet.ending import Ending, Person, Waiting
from goldpress.fleet.hands import Hands, act
from goldpress.fleet.journal import RollJournal, RollState
from goldpress.fleet.learning import Terms, failing, learned
from goldpress.fleet.plan import RollPlan
from goldpress.fleet.sight import Sight

RETRY_SECONDS = 60.0
#: Every look either ends the tick or leads to a change; more in one tick are a fault of ours.
MOST_LOOKS = 1000


class Held(Protocol):
    """A lease: `fence` grows with every holder."""

    @property
    def fence(self) -> int:
        """The number of this holder."""

    def renew(self) -> None:
        """To be called before every change. Raises ConflictError when it is lost."""


Look = Callable[[RollPlan, RollState], Sight]
Watcher = Callable[[RollPlan, RollState, Sight, Ending | None], None]


def nobody(_plan: RollPlan, _state: RollState, _sight: Sight, _ending: Ending | None) -> None:
    """Nobody watches."""


@dataclass(kw_only=True)
class Driver:
    """One tick of one roll. `look` sees what is so, `say` tells people a line."""

    plan: RollPlan
    journal: RollJournal
    lease: Held
    hands: Hands
    look: Look
    terms: Terms
    now: Callable[[], float]
    say: Callable[[str], None]
    watch: Watcher = nobody
    troubles: dict[str, tuple[str, bool]] = field(default_factory=dict)

    @property
    def state(self) -> RollState:
        """The journal as it is."""
        if self.journal.state is None:
            raise ValueError("no roll was begun")
        return self.journal.state

    def run(self) -> Ending:
        """Do everything that is due. Raises ConflictError when somebody else drives it.

        Raises what no action may raise: an error of ours, or the end of this process.
        """
        for _ in range(MOST_LOOKS):
            sight = self.look(self.plan, self.state)
            state = self.settled(sight)
            terms = replace(self.terms, tried=frozenset(self.troubles))
            due = tick.next_actions(self.plan, state, sight, self.now(), terms)
            if not isinstance(due, tuple):
                ending = self.ending(due)
                self.watch(self.plan, state, sight, ending)
                return ending
            self.watch(self.plan, state, sight, None)
            for action in due:
                if self.state.phase != state.phase:
                    # An action before it has shown that the image is bad.
                    break
                self.carry(action)
            if self.state.phase == "rolling" and self.troubles:
                ending = self.ending(Waiting(until=self.now() + RETRY_SECONDS, why=""))
                self.watch(self.plan, self.state, sight, ending)
                return ending
        raise CloudError(
            f"{self.plan.channel}: after {MOST_LOOKS} looks something is still due",
            hint="AWS takes changes that it does not show: `./inv roll.status`, then try again",
        )

    def settled(self, sight: Sight) -> RollState:
        """What was seen, in the journal."""
        before = self.state
        state = before
        while True:
            after = learned(self.plan, state, sight, self.now(), self.terms)
            after = tick.ended(self.plan, after, sight)
            if after == state:
                break
            state = after
        self.journal.write(state, fence=self.lease.fence)
        for line in changes(before, state):
            self.say(line)
        return state

    def carry(self, action: Action) -> None:
        """Make one change between two writes. Raises ConflictError when the lease is lost."""
        self.lease.renew()
        self.journal.write(intended(action, self.state, self.now()), fence=self.lease.fence)
        self.say(told(action))
        try:
            came = act(action, self.hands)
        except (ConflictError, KeyboardInterrupt):
            raise
        except GoldpressError as error:
            self.journal.write(self.troubled(action, error), fence=self.lease.fence)
            return
        self.journal.write(noted(action, self.state, came, self.now()), fence=self.lease.fence)

    def troubled(self, action: Action, error: GoldpressError) -> RollState:
        """The journal after a change that was not made."""
        name = name_of(action)
        if isinstance(action, Launch | Sample) and isinstance(error, VerifyError | MachineError):
            what = action.instance if isinstance(action, Sample) else "canary"
            self.say(f"{what}: {error}")
            return failing(self.state, f"{what}: {error.message}", self.now())
        passing = isinstance(error, CloudError) and not is_permanent(error)
        waits = passing or (isinstance(action, Sample) and isinstance(error, MissingError))
        self.troubles[name] = (str(error), waits)
        self.say(f"{name}: {error}")
        return self.state.with_left(name, error.message)

    def ending(self, ending: Ending) -> Ending:
        """How the tick ends, with what could not be done in it."""
        if self.state.phase != "rolling" or not self.troubles or isinstance(ending, Person):
            return ending
        lasting = [row for row in self.troubles.items() if not row[1][1]]
        if lasting:
            name, (text, _) = lasting[0]
            message, _, hint = text.partition("\n")
            return Person(
                why=f"{name}: {message}", hint=hint.strip() or f"see to it, {back.RESUME}"
            )
        text = "; ".join(
            f"{name}: {why.partition(chr(10))[0]}" for name, (why, _) in self.troubles.items()
        )
        until = ending.until if isinstance(ending, Waiting) else self.now() + RETRY_SECONDS
        told_too = f"; {ending.why}" if isinstance(ending, Waiting) and ending.why else ""
        return Waiting(until=min(until, self.now() + RETRY_SECONDS), why=f"{text}{told_too}")


def changes(before: RollState, after: RollState) -> list[str]:
    """What has changed between two states of a journal, in lines for people."""
    rows: list[str] = []
    for key, roll in after.groups.items():
        old = before.group(key)
        if roll.state != old.state:
            rows.append(f"{key}: {roll.state}" + (f" ({roll.why})" if roll.why else ""))
        if new := set(roll.lost) - set(old.lost):
            rows.append(f"{key}: lost {', '.join(sorted(new))}")
    if after.wave != before.wave:
        rows.append(f"wave {before.wave + 1} has ended")
    if after.failure and after.failure != before.failure:
        rows.append(f"GOING BACK: {after.failure.why}")
    if after.paused and after.paused != before.paused:
        rows.append(f"paused: {after.paused}")
    if after.phase != before.phase:
        rows.append(f"the roll is {after.phase}")
    return rows


def left_over(state: RollState) -> Mapping[str, str]:
    """What could not be done, by what it is."""
    return dict(sorted(state.left.items()))
