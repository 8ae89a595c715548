"""Owns actions: each change that a roll makes, what is written before it, and after.

An action is a value, and all here is pure: `intended` and `noted` are the journal before the change
and after it; `hands` makes it. Of a change whose answer was lost the next look tells: see
goldpress/fleet/tick.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from goldpress.aws.scaling import RefreshRequest
from goldpress.fleet.journal import Canary, Intent, Pointer, RollState, Where
from goldpress.fleet.plan import WHOLE_PERCENT, GroupPlan
from goldpress.fleet.sight import reference


@dataclass(frozen=True, kw_only=True)
class MakeTemplate:
    """Make the version of the launch template that has the new AMI; by its token, only once."""

    group: GroupPlan
    digest: str


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start a refresh, on or `back`; `known` are the refreshes that were there before."""

    group: GroupPlan
    request: RefreshRequest
    known: tuple[str, ...]
    back: bool = False


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Cancel the refresh that runs: what it replaced stays, and nothing goes on by itself."""

    group: GroupPlan
    why: str


@dataclass(frozen=True, kw_only=True)
class TakeBack:
    """Have AWS take back the refresh that runs; where AWS cannot, it is cancelled."""

    group: GroupPlan


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Launch and verify the machine outside the fleet."""

    group: GroupPlan
    version: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """Put the machine outside the fleet behind the group's load balancers."""

    group: GroupPlan
    targets: tuple[str, ...]
    instance: str


@dataclass(frozen=True, kw_only=True)
class Deregister:
    """Take it away from them again; it may end the requests that it has."""

    group: GroupPlan
    targets: tuple[str, ...]
    instance: str


@dataclass(frozen=True, kw_only=True)
class End:
    """End it; `again`, so that another one can be launched."""

    group: GroupPlan
    token: str
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Verify an instance of the fleet."""

    group: GroupPlan
    instance: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """Let consumers of a region take another AMI, or (`back`) the one before."""

    region: str
    pointer: Pointer
    back: bool = False

    @property
    def ami(self) -> str:
        """What they take then."""
        return self.pointer.before if self.back else self.pointer.after


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Hold the digest."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Propose:
    """Propose the channel's revert."""

    why: str


Action: TypeAlias = (
    MakeTemplate
    | Start
    | Cancel
    | TakeBack
    | Launch
    | Register
    | Deregister
    | End
    | Sample
    | Point
    | Hold
    | Propose
)


def name_of(action: Action) -> str:
    """What it is about, as `RollState.left` names what could not be done."""
    match action:
        case Hold():
            return "hold"
        case Propose():
            return "proposal"
        case Point():
            return f"pointer {action.region}"
        case Sample():
            return "verify"
        case Launch() | Register() | Deregister() | End():
            return "canary"
        case _:
            return action.group.key


def told(action: Action) -> str:  # noqa: C901, PLR0911 - one line a kind
    """It in a line."""
    match action:
        case MakeTemplate(group=group):
            return (
                f"{group.key}: {group.template_name} version {group.from_version} with "
                f"{group.to_ami} in place of {group.from_ami}"
            )
        case Start(group=group, request=request, back=back):
            stops = [row for row in request.preferences.checkpoints if row < WHOLE_PERCENT]
            until = f", until {stops[0]} percent are new" if stops else ""
            return f"{group.key}: {'back ' if back else ''}to {request.template.text}{until}"
        case Cancel(group=group, why=why):
            return f"{group.key}: its refresh is cancelled: {why}"
        case TakeBack(group=group):
            return f"{group.key}: its refresh is taken back to version {group.from_version}"
        case Launch(group=group, version=version):
            return f"canary: a machine of {reference(group, version).text} in {group.region}"
        case Register(instance=instance, targets=targets):
            return f"canary: {instance} behind {len(targets)} target groups"
        case Deregister(instance=instance):
            return f"canary: {instance} leaves them"
        case End(group=group):
            return f"canary: its machine in {group.region} is ended"
        case Sample(group=group, instance=instance):
            return f"{group.key}: {instance} is verified"
        case Point():
            return f"{action.region}: consumers take {action.ami or 'nothing'}"
        case Hold(why=why):
            return f"the digest is held: {why}"
        case Propose():
            return "the channel's revert is proposed"


def intended(action: Action, state: RollState, now: float) -> RollState:  # noqa: PLR0911 - one case a kind
    """The journal before it."""
    match action:
        case MakeTemplate(group=group):
            return state.with_group(group.key, intent=Intent(call="template", at=now))
        case Start(group=group, known=known, back=back):
            intent = Intent(call="start-back" if back else "start", at=now, known=known)
            return state.with_group(group.key, intent=intent)
        case Cancel(group=group):
            return state.with_group(group.key, intent=Intent(call="cancel", at=now))
        case TakeBack(group=group):
            return state.with_group(group.key, intent=Intent(call="roll-back", at=now))
        case Launch(token=token):
            attempt = state.canary.attempt
            canary = Canary(stage="launching", token=token, since=now, attempt=attempt)
            return replace(state, canary=canary)
        case Register():
            # Registered, as far as the way back is concerned, before it is.
            return replace(state, canary=replace(state.canary, stage="registered", since=now))
        case Point():
            return _pointed(action, state, state.pointers[action.region].where or "moving")
        case _:
            return state


def noted(  # noqa: C901, PLR0911, PLR0912 - one case a kind
    action: Action, state: RollState, came: str, now: float
) -> RollState:
    """The journal after it; `came` is what `act` returned."""
    state = state.without_left(name_of(action))
    match action:
        case MakeTemplate(group=group):
            return state.with_group(
                group.key, state="template", to_version=came, since=now, intent=None
            )
        case Start(group=group, back=back):
            return started(state, group.key, came, now, back=back) if came else state
        case TakeBack(group=group):
            return state.with_group(group.key, state="rolling-back", since=now)
        case Launch():
            instance, _, proof = came.partition(" ")
            canary = replace(
                state.canary, stage="proven", instance=instance, proof=proof, since=now
            )
            return replace(state, canary=canary)
        case Register():
            return replace(state, canary=replace(state.canary, since=now))
        case Deregister():
            return replace(state, canary=replace(state.canary, stage="drained", since=now))
        case End(again=True):
            return replace(state, canary=Canary(attempt=state.canary.attempt + 1, since=now))
        case End():
            return replace(state, canary=replace(state.canary, stage="ended", since=now))
        case Sample():
            return replace(state, sample=came)
        case Point():
            return _pointed(action, state, "back" if action.back else "moved")
        case Hold():
            return replace(state, held=came)
        case Propose():
            return replace(state, proposed=came)
        case _:
            return state


def started(state: RollState, key: str, refresh: str, now: float, *, back: bool) -> RollState:
    """The journal once a refresh is known to be this roll's."""
    return state.with_group(
        key,
        state="rolling-back" if back else "started",
        refresh=refresh,
        back=back,
        since=now,
        intent=None,
        why="",
        short="",
    )


def _pointed(action: Point, state: RollState, where: Where) -> RollState:
    pointer = replace(state.pointers[action.region], where=where)
    return replace(state, pointers={**state.pointers, action.region: pointer})
