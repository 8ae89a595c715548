"""Owns hands: what makes the changes of a roll, in AWS and by those who know more than fleets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from goldpress.aws.autoscaling import NO_WAY_BACK, refresh_runs
from goldpress.aws.errors import cause_code
from goldpress.aws.scaling import RefreshRequest
from goldpress.digest import short
from goldpress.errors import CloudError
from goldpress.fleet.actions import (
    Action,
    Cancel,
    Deregister,
    End,
    Hold,
    Launch,
    MakeTemplate,
    Point,
    Propose,
    Register,
    Sample,
    Start,
    TakeBack,
)
from goldpress.fleet.place import Place
from goldpress.fleet.plan import GroupPlan
from goldpress.fleet.sight import reference


class Duties(Protocol):
    """What a roll asks of those who know more than fleets: verifiers, signers, git."""

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        """Launch a machine of this template version outside the fleet, and verify it.

        A token is used once. Returns the instance's id and the digest of the evidence; the
        instance runs on. Raises VerifyError or MachineError for a machine that is not good, which
        is ended then; CloudError.
        """

    def end(self, group: GroupPlan, token: str) -> None:
        """End whatever `prove` made. Raises CloudError."""

    def sample(self, group: GroupPlan, instance: str) -> str:
        """Verify an instance of a group; the digest of the evidence.

        Raises VerifyError or MachineError when it is not good, MissingError or CloudError when it
        cannot be verified.
        """

    def hold(self, why: str) -> str:
        """Hold the plan's digest; what the hold says. Raises GoldpressError."""

    def propose(self, why: str) -> str:
        """Propose the channel's revert; where it is. Raises GoldpressError."""

    def point(self, region: str, ami: str) -> None:
        """Let consumers of a region take this AMI. Raises CloudError."""


@dataclass(frozen=True, kw_only=True)
class Hands:
    """By whom changes are made: `place` tells where a group is (CloudError: nobody may there)."""

    place: Callable[[GroupPlan], Place]
    duties: Duties


def act(action: Action, hands: Hands) -> str:  # noqa: C901, PLR0912 - one case a kind
    """Make it; what came of it, in a word that `noted` understands. Raises GoldpressError."""
    came = ""
    match action:
        case MakeTemplate(group=group, digest=digest):
            made = hands.place(group).templates.create(
                reference(group, group.from_version),
                ami=group.to_ami,
                digest=digest,
                description=f"goldpress {short(digest)}",
            )
            came = made.ref.version
        case Start(group=group, request=request):
            came = _started(hands.place(group), request)
        case Cancel(group=group):
            hands.place(group).groups.cancel(group.group)
        case TakeBack(group=group):
            _take_back(hands.place(group), group.group)
        case Launch(group=group, version=version, token=token):
            came = " ".join(hands.duties.prove(group, version, token))
        case Register(group=group, targets=targets, instance=instance):
            for arn in targets:
                hands.place(group).targets.register(arn, [instance])
        case Deregister(group=group, targets=targets, instance=instance):
            for arn in targets:
                hands.place(group).targets.deregister(arn, [instance])
        case End(group=group, token=token):
            hands.duties.end(group, token)
        case Sample(group=group, instance=instance):
            came = hands.duties.sample(group, instance)
        case Point():
            hands.duties.point(action.region, action.ami)
        case Hold(why=why):
            came = hands.duties.hold(why)
        case Propose(why=why):
            came = hands.duties.propose(why)
    return came


def _started(place: Place, request: RefreshRequest) -> str:
    try:
        return place.groups.start(request)
    except CloudError as error:
        # Whose the one is that runs, the next look tells.
        if refresh_runs(error):
            return ""
        raise


def _take_back(place: Place, group: str) -> None:
    try:
        place.groups.roll_back(group)
    except CloudError as error:
        if cause_code(error) != NO_WAY_BACK:
            raise
        # What it replaced is replaced again by a refresh to the version before.
        place.groups.cancel(group)
