"""Owns reading the groups of a channel's fleets, as a layout to simulate: it only looks.

What a group's traffic is, and when its alarms ring, is not asked: those are made up. So are the
times of a boot; the rest (sizes, types, zones, Spot's share, health checks, delays, terms) is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from goldpress.aws.sts import caller
from goldpress.aws.targets import TargetGroup
from goldpress.channel import Channel
from goldpress.emulator.checks import Rules
from goldpress.errors import MissingError
from goldpress.fleet.observed import Observed, observe
from goldpress.fleet.place import Place, Reach, place_of, reach_of
from goldpress.looking import publisher
from goldpress.simulation.layout import REQUESTS, Layout, Shape
from goldpress.terms import Fleet
from goldpress.workspace import Workspace

INSTANCE = "instance"


def read(
    ws: Workspace,
    channel: Channel,
    *,
    endpoint: str = "",
    reach: Reach | None = None,
    own: str = "",
) -> Layout:
    """The groups of a channel's fleets as they are now, reached by its `readers`.

    `endpoint` is the embedded cloud's URL; empty: AWS. With `reach`, that calls in every account,
    of which `own` publishes. Raises CloudError; MissingError for a channel without fleets, a group
    that is not there, or one without launch template.
    """
    name = f"{channel.image}/{channel.name}"
    if not channel.policy.fleets:
        raise MissingError(
            f"{name} has no fleets: there is nothing to simulate",
            hint="without --from-account a fleet is made up",
        )
    if reach is None:
        access = publisher(ws, channel.image, endpoint=endpoint)
        own = caller(access, channel.policy.regions[0]).account
        reach = reach_of(channel.policy.readers, own=own, access=access)
    shapes: list[Shape] = []
    for fleet in channel.policy.fleets:
        shapes += _shapes(place_of(fleet, own=own, reach=reach), fleet)
    if not any(row.desired for row in shapes):
        raise MissingError(
            f"{name}: none of its {len(shapes)} groups is to have an instance",
            hint="without --from-account a fleet is made up",
        )
    return Layout(
        channel=channel,
        owner=own,
        groups=tuple(shapes),
        source=f"the {len(shapes)} groups of {name}, as they are now",
    )


def _shapes(place: Place, fleet: Fleet) -> Iterator[Shape]:
    for observed in observe(place, fleet.groups, targets=False).values():
        group = observed.group
        if observed.template is None:
            raise MissingError(
                f"{group.key}: it has no launch template, so it cannot be rolled",
                hint="make one from its launch configuration, and give it to the group",
            )
        found = place.targets.groups(group.target_groups)
        rules = tuple(_rules(row) for row in found if row.kind == INSTANCE)
        yield shape_of(observed, rules, fleet.alarms)


def shape_of(observed: Observed, rules: tuple[Rules, ...], alarms: tuple[str, ...]) -> Shape:
    """A group as it is simulated. Pure."""
    group = observed.group
    split: Mapping[str, Any] = (group.mixed or {}).get("InstancesDistribution") or {}
    types = group.overrides
    kind = observed.template.type if observed.template else ""
    # Where neither names one (types by their attributes), members have some.
    seen = sorted({row.type for row in group.members if row.type})
    return Shape(
        account=group.account,
        region=group.region,
        name=group.name,
        min=group.min,
        max=group.max,
        desired=group.desired,
        kind=kind or (types or seen or [UNKNOWN])[0],
        types=types if group.mixed is not None else (),
        base=int(split.get("OnDemandBaseCapacity") or 0),
        on_demand=int(split.get("OnDemandPercentageAboveBaseCapacity", 100)),
        zones=tuple(sorted({row.zone.removeprefix(group.region) for row in group.members}))
        or ("a",),
        grace=group.grace_seconds,
        warmup=group.warmup_seconds,
        elb="ELB" in group.health_check.split(","),
        rules=rules,
        requests=REQUESTS * group.desired if rules else 0.0,
        alarms=alarms,
    )


#: What an empty group without a type of its own is of: nothing of it runs.
UNKNOWN = "m6i.large"


def _rules(found: TargetGroup) -> Rules:
    return Rules(
        port=found.port,
        path=found.check_path or "/",
        interval=float(found.interval_seconds),
        healthy=found.healthy_count,
        unhealthy=found.unhealthy_count,
        delay=float(found.delay_seconds),
    )
