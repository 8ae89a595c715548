"""Owns the journal of a roll: what was meant, what was seen, and what is left to be done.

    journals/roll/<image>/<channel>.json   the one roll of a channel: under way, or the last one

Before each change of AWS its intent is written, after it what came of it: whoever goes on finds
out by looking whether a change that was meant has happened. The plan itself is a document of the
store; the journal names it by its digest.

A roll changes nothing of a group but by instance refreshes: not its sizes, its processes, nor what
is protected. What it makes beside that, and has to end again, is the machine outside the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from goldpress.errors import DocumentError
from goldpress.fleet.plan import RollPlan
from goldpress.store.journal import Journal
from goldpress.store.objects import Objects

PREFIX = "journals/roll/"
LEASES = "leases/roll/"

#: Servers of AWS tell of a change at different times; after so long, it was not made.
SHOWN_SECONDS = 15.0

#: How far a group is. Going on: `template` has its version, `started` has a refresh that runs,
#: `checkpoint` has as many new instances as its wave asks for and is being cancelled, `cancelled`
#: stays so until its next wave, `done` is wholly new and looked at. Going back: `rolling-back`,
#: `rolled-back`. `failed`: AWS could neither go on nor back.
GroupState = Literal[
    "pending", "template", "started", "checkpoint", "cancelled", "done", "rolling-back",
    "rolled-back", "failed",
]  # fmt: skip
#: How far a roll is.
Phase = Literal["rolling", "going-back", "aborting", "done", "rolled-back", "aborted"]
OVER: frozenset[Phase] = frozenset({"done", "rolled-back", "aborted"})
#: What was meant and not yet seen.
Call = Literal["template", "start", "cancel", "roll-back", "start-back"]
#: How far the machine outside the fleet is.
Stage = Literal["", "launching", "proven", "registered", "drained", "ended"]
#: How far a region's consumers are: `moving` and `moved` to the new AMI, `back` to the one before.
Where = Literal["", "moving", "moved", "back"]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A change that is about to be made; `known` are refreshes that were there before."""

    call: Call
    at: float
    known: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GroupRoll:
    """How far one group is. `refresh` is the id of the last refresh that is this roll's.

    `share` is the percentage that a wave has seen replaced, `since` when its state began (Unix
    time), `lost` the instances of the new version that were seen to fail. `back` says that
    `refresh` leads to the version before, `earlier` that a roll which did not end had done it.
    `short`: why AWS could launch nothing for `refresh`, which was not the image's fault.
    """

    state: GroupState = "pending"
    to_version: str = ""
    refresh: str = ""
    share: int = 0
    since: float = 0.0
    intent: Intent | None = None
    back: bool = False
    earlier: bool = False
    lost: tuple[str, ...] = ()
    why: str = ""
    short: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "intent": asdict(self.intent) if self.intent else None}

    @property
    def touched(self) -> bool:
        """Whether instances of it may have been replaced, or are about to be."""
        starts = self.intent is not None and self.intent.call == "start"
        return bool(self.refresh) or self.earlier or starts

    @property
    def moving(self) -> bool:
        """Whether AWS is changing it by a refresh of this roll, as far as the journal knows."""
        starts = self.intent is not None and self.intent.call in {"start", "start-back"}
        return starts or self.state in {"started", "checkpoint", "rolling-back"}

    def may_show(self, now: float) -> bool:
        """Whether a change was meant so shortly ago that AWS may not show it yet."""
        return self.intent is not None and now < self.intent.at + SHOWN_SECONDS


@dataclass(frozen=True, kw_only=True)
class Canary:
    """The machine outside the fleet; `token` is what it is launched with, `proof` its evidence.

    `attempt` counts those whose launch or verification nobody saw the end of.
    """

    stage: Stage = ""
    attempt: int = 0
    token: str = ""
    instance: str = ""
    since: float = 0.0
    proof: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why the roll goes back, since when; `by_hand` when a person asked for it."""

    why: str
    at: float
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What a region's consumers took before (empty: nothing), and are to take: AMIs."""

    before: str
    after: str
    where: Where = ""


@dataclass(frozen=True, kw_only=True)
class RollState:
    """A roll. `plan` is its plan's digest, `began` Unix time, as every moment here.

    `wave` is the index of the wave under way; `open_since` since when all its gates are open, 0 for
    not yet; `gates` what they said last; `sample` the evidence of the wave's verified instance (a
    digest). `waits_since`: since when data is missing. `paused`: by whom and why. `heals`: it only
    brings drifted groups to what is in force, so there is nothing to go back to. After a failure
    `held` is what the hold says, `proposed` where the revert is; `left` what could not be done yet,
    by what it is.
    """

    plan: str
    image: str
    channel: str
    digest: str
    previous: str
    began: float
    phase: Phase = "rolling"
    wave: int = 0
    wave_since: float = 0.0
    open_since: float = 0.0
    waits_since: float = 0.0
    gates: tuple[str, ...] = ()
    sample: str = ""
    canary: Canary = Canary()
    groups: Mapping[str, GroupRoll] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    failure: Failure | None = None
    held: str = ""
    proposed: str = ""
    paused: str = ""
    heals: bool = False
    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done for it."""
        return self.phase in OVER

    def group(self, key: str) -> GroupRoll:
        """How far a group is."""
        return self.groups.get(key) or GroupRoll()

    def with_group(self, key: str, **changes: Any) -> RollState:
        """The same with another state of one group."""
        return replace(self, groups={**self.groups, key: replace(self.group(key), **changes)})

    def with_left(self, what: str, why: str) -> RollState:
        """The same with something that could not be done, and why."""
        return replace(self, left={**self.left, what: why})

    def without_left(self, what: str) -> RollState:
        """The same once something that was left has been done."""
        return replace(self, left={k: v for k, v in self.left.items() if k != what})

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **vars(self),
            "canary": asdict(self.canary),
            "failure": asdict(self.failure) if self.failure else None,
            "groups": {key: row.document() for key, row in sorted(self.groups.items())},
            "pointers": {key: asdict(row) for key, row in sorted(self.pointers.items())},
            "left": dict(sorted(self.left.items())),
        }


@dataclass(kw_only=True)
class RollJournal:
    """The journal in the store; `state` is None when the channel was never rolled."""

    journal: Journal
    state: RollState | None

    @classmethod
    def read(cls, objects: Objects, image: str, channel: str) -> RollJournal:
        """Raises DocumentError for a journal of another form."""
        journal = Journal.read(objects, journal_key(image, channel))
        where = f"{objects.name}/{journal.key}"
        state = parse_state(journal.values, where=where) if journal.values else None
        return cls(journal=journal, state=state)

    def write(self, state: RollState, *, fence: int) -> None:
        """Write it down if anything changed. Raises ConflictError when someone else wrote."""
        if state == self.state:
            return
        # Compared as a whole: what is not said any more has to go.
        values = dict.fromkeys(self.journal.values)
        self.journal.write(**{**values, **state.document(), "fence": fence})
        self.state = state


def journal_key(image: str, channel: str) -> str:
    """The key of a channel's journal."""
    return f"{PREFIX}{image}/{channel}.json"


def lease_key(image: str, channel: str) -> str:
    """The key of a channel's lease."""
    return f"{LEASES}{image}/{channel}.json"


def begun(plan: RollPlan, *, digest: str, now: float, pointers: Mapping[str, Pointer]) -> RollState:
    """The journal of a plan (`digest`: of its document) that nothing was done of yet."""
    groups = {
        row.key: GroupRoll(
            state="template" if row.to_version else "pending", to_version=row.to_version, since=now
        )
        for row in plan.groups
    }
    return RollState(
        plan=digest, image=plan.image, channel=plan.channel, digest=plan.digest,
        previous=plan.previous, began=now, wave_since=now, groups=groups, pointers=pointers,
    )  # fmt: skip


def parse_state(value: Mapping[str, Any], *, where: str) -> RollState:
    """The inverse of `RollState.document`. Raises DocumentError that names `where`."""
    rest = {k: v for k, v in value.items() if k != "fence"}
    try:
        failure = rest.get("failure")
        made = RollState(
            **{
                **rest,
                "canary": Canary(**rest["canary"]),
                "groups": {key: _group(row) for key, row in rest["groups"].items()},
                "pointers": {key: Pointer(**row) for key, row in rest["pointers"].items()},
                "failure": Failure(**failure) if failure else None,
                "gates": tuple(rest["gates"]),
            }
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DocumentError(
            f"{where}: not the journal of a roll: {error!r:.200}",
            hint="another version of goldpress wrote it; end the roll with that one",
        ) from None
    states = {row.state for row in made.groups.values()} - set(get_args(GroupState))
    if made.phase not in get_args(Phase) or states:
        word = next(iter(states), made.phase)
        raise DocumentError(f"{where}: not the journal of a roll: {word!r} is no state of it")
    return made


def _group(row: Mapping[str, Any]) -> GroupRoll:
    intent = row["intent"]
    made = {
        **row,
        "intent": Intent(**{**intent, "known": tuple(intent["known"])}) if intent else None,
        "lost": tuple(row["lost"]),
    }
    return GroupRoll(**made)


def known(ids: Iterable[str]) -> tuple[str, ...]:
    """Ids of refreshes as an intent has them."""
    return tuple(sorted(set(ids)))
