"""Owns making the plan of a roll, from what a channel says and what its groups are now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from goldpress.ami import Ami
from goldpress.aws.scaling import Preferences, Protected, Standby
from goldpress.aws.targets import TargetGroup
from goldpress.channel import Channel
from goldpress.errors import MissingError
from goldpress.fleet.findings import Finding
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import GroupPlan, RollPlan, WaveGroup, WavePlan
from goldpress.terms import Fleet

_PROTECTED: Mapping[str, Protected] = {"refresh": "Refresh", "ignore": "Ignore"}
_STANDBY: Mapping[str, Standby] = {"ignore": "Ignore", "terminate": "Terminate"}


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is in force: `digest` since `since` (UTC), `previous` before; the AMI by region.

    `images` are the image digests of AMIs that the store knows. `boot_seconds`: from a launch to
    the first answer.
    """

    digest: str
    previous: str
    since: str
    emulated: bool
    amis: Mapping[str, Ami]
    images: Mapping[str, str]
    boot_seconds: int


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A group of a fleet as it was looked at, and its target groups.

    `way_back`: whether AWS may launch what the group has now again, by itself, when the roll fails.
    """

    fleet: Fleet
    observed: Observed
    target_groups: tuple[TargetGroup, ...] = ()
    way_back: bool = True


def make_plan(channel: Channel, aim: Aim, subjects: Sequence[Subject]) -> RollPlan:
    """The plan by which these groups, all of the channel's, get the digest in force.

    Raises MissingError for a channel without fleets, or a region without AMI.
    """
    if not channel.policy.fleets:
        raise MissingError(
            f"{channel.path}: it has no fleets: there is nothing to roll",
            hint="consumers of its pointer take the image at their next launch",
        )
    groups = tuple(_group(aim, row) for row in subjects)
    waves = tuple(_waves(channel, groups))
    ceilings = channel.policy.ceilings
    return RollPlan(
        image=channel.image,
        channel=channel.name,
        digest=aim.digest,
        previous=aim.previous,
        promotion=aim.since,
        emulated=aim.emulated,
        canary=waves[0].groups[0].key,
        groups=groups,
        waves=waves,
        ceiling=ceilings.most_unavailable(sum(row.instances for row in groups)),
        groups_at_once=ceilings.groups,
        calls_per_second=ceilings.calls_per_second,
    )


def preferences_of(fleet: Fleet) -> Preferences:
    """How instances of a fleet are replaced."""
    terms = fleet.replacing
    return Preferences(
        min_healthy=terms.min_healthy,
        max_healthy=terms.max_healthy,
        bake_seconds=terms.bake_seconds,
        warmup_seconds=terms.warmup_seconds,
        alarms=fleet.alarms,
        protected=_PROTECTED[terms.protected],
        standby=_STANDBY[terms.standby],
    )


def budget(channel: Channel, plan: RollPlan) -> tuple[Finding, ...]:
    """Whether each database bears all groups of its fleet at once, and what comes in addition."""
    return tuple(_budget(channel.policy.fleets, plan))


def _budget(fleets: Iterable[Fleet], plan: RollPlan) -> Iterator[Finding]:
    for fleet in fleets:
        terms = fleet.connections
        if terms is None:
            continue
        rows = [row for row in plan.groups if row.fleet == fleet.name]
        most = sum(row.desired for row in rows) + sum(
            sorted((row.surge for row in rows), reverse=True)[: plan.groups_at_once]
        )
        needed = most * terms.per_instance + terms.others
        ok = needed <= terms.budget
        yield Finding(
            group=f"fleet {fleet.name}",
            rule="connections",
            ok=ok,
            why=f"at most {most} instances at once take {needed} of {terms.budget} connections",
            hint=""
            if ok
            else "lower ceilings.groups or replacing.max_healthy, raise the database's budget, or "
            "let a proxy pool them",
        )


def _group(aim: Aim, subject: Subject) -> GroupPlan:
    observed, fleet = subject.observed, subject.fleet
    group, version = observed.group, observed.template
    ami = aim.amis.get(group.region)
    if ami is None:
        raise MissingError(
            f"{group.key}: {aim.digest} has no AMI in {group.region}",
            hint="publish it there, and promote it again",
        )
    slowest = max((row.healthy_seconds for row in subject.target_groups), default=0)
    warmup = fleet.replacing.warmup_seconds
    if warmup is None:
        warmup = group.warmup_seconds if group.warmup_seconds is not None else group.grace_seconds
    before = version.ami if version else ""
    return GroupPlan(
        fleet=fleet.name,
        account=group.account,
        region=group.region,
        group=group.name,
        template=group.template.id,
        template_name=group.template.name,
        from_version=version.ref.version if version else "",
        from_ami=before,
        from_image=aim.images.get(before, ""),
        to_version=version.ref.version if version and before == ami.ami else "",
        to_ami=ami.ami,
        instances=len(group.members),
        matching=len(observed.matching(ami.ami)),
        min=group.min,
        max=group.max,
        desired=group.desired,
        surge=fleet.replacing.surge(group.desired),
        boot_seconds=aim.boot_seconds + slowest + warmup,
        drain_seconds=max((row.delay_seconds for row in subject.target_groups), default=0),
        preferences=replace(preferences_of(fleet), auto_rollback=subject.way_back),
    )


def _waves(channel: Channel, groups: Sequence[GroupPlan]) -> Iterator[WavePlan]:
    for wave in channel.policy.waves:
        rows = [row for row in groups if row.fleet in wave.fleets]
        # The smallest first: what goes wrong there goes wrong for the fewest.
        rows.sort(key=lambda row: (row.desired, row.key))
        yield WavePlan(
            name=wave.name,
            groups=tuple(WaveGroup(key=row.key, share=wave.share) for row in rows),
            gates=wave.gates,
            soak_minutes=wave.soak_minutes,
        )
