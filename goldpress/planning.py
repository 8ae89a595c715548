"""Owns planning a roll: from a channel's record to what will be done to each of its groups.

What is wrong with a group is a finding; the plan is made in any case, and shown with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress import ami as amis
from goldpress import holds
from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.aws.sts import caller
from goldpress.channel import Channel, load_channel
from goldpress.definition import Definition
from goldpress.digest import short
from goldpress.errors import CloudError, MissingError, TrustError
from goldpress.fleet import plan as plans
from goldpress.fleet.findings import Finding
from goldpress.fleet.making import Aim, Subject, budget, make_plan
from goldpress.fleet.observed import observe
from goldpress.fleet.place import Caller, Place, Reach, places, reach_of
from goldpress.fleet.plan import RollPlan
from goldpress.fleet.preflight import judge
from goldpress.fleet.preflight_facts import Facts, Wish, gather
from goldpress.fleet.preflight_group import no_way_back
from goldpress.looking import publisher
from goldpress.promotion import record
from goldpress.promotion.record import Promotion
from goldpress.statements.chain import Chain, chain
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.workspace import Workspace

#: Where nobody measured it, on an instance of AWS.
BOOT_SECONDS = 90
STOP = "stop_seconds"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a channel has in force, and who reaches its fleets.

    `images` are the image digests of every AMI of the store, `held` the AMIs that nothing may
    launch.
    """

    channel: Channel
    promotion: Promotion
    places: Mapping[str, Place]
    images: Mapping[str, str]
    held: frozenset[str]
    trust: Trust
    owner: Caller


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan, and what was found of its groups; `places` by fleet."""

    plan: RollPlan
    findings: tuple[Finding, ...]
    places: Mapping[str, Place]

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "plan": self.plan.document(),
            "id": self.plan.id,
            "seconds": self.plan.seconds,
            "floor_seconds": self.plan.floor_seconds,
            "writes": [vars(row) for row in self.plan.writes],
            "findings": [row.document() for row in self.findings],
        }


def channel_of(ws: Workspace, name: str, image: str = "") -> Channel:
    """The channel that is meant, of `image` or the only one that has it. Raises MissingError."""
    found = sorted((ws.project / "images").glob(f"*/channels/{name}.yaml"))
    images = [image] if image else [path.parents[1].name for path in found]
    if not images:
        raise MissingError(f"no image has a channel {name!r}", hint="`./inv status` lists them")
    if len(images) > 1:
        raise MissingError(
            f"{', '.join(images)} have a channel {name!r}", hint="say which one with --image"
        )
    return load_channel(ws.project, images[0], name)


def known_of(
    ws: Workspace,
    channel: Channel,
    *,
    endpoint: str = "",
    reach: Reach | None = None,
    only_looks: bool = False,
) -> Known:
    """What is in force, and who reaches its fleets: `rollers`, or `readers` where it `only_looks`.

    `endpoint` is the embedded cloud's URL; empty: AWS. With `reach`, that calls in every account.
    Raises MissingError when nothing was promoted, TrustError for what was promoted in another
    cloud, CloudError.
    """
    trust = trust_here(ws)
    promotion = record.current(ws.store, trust, channel.image, channel.name)
    if promotion is None:
        raise MissingError(
            f"{channel.image}/{channel.name}: nothing was promoted to it",
            hint=f"`./inv promote {channel.name}`",
        )
    if reach is None:
        access = publisher(ws, channel.image, endpoint=endpoint)
        _same_cloud(promotion, access)
        own = caller(access, promotion.regions[0]).account
        if own != promotion.account:
            raise TrustError(
                f"{channel.image}/{channel.name} was promoted in account {promotion.account}; "
                f"these credentials are of {own}",
                hint="take the credentials (or AWS_PROFILE) that publish",
            )
        roles = channel.policy.readers if only_looks else channel.policy.rollers
        reach = reach_of(roles, own=own, access=access)
    every = images_of(ws)
    held = {row.image for row in holds.all_held(ws.store, trust)}
    return Known(
        channel=channel,
        promotion=promotion,
        places=places(channel.policy, own=promotion.account, reach=reach),
        images=every,
        held=frozenset(ami for ami, image in every.items() if image in held),
        trust=trust,
        owner=reach(promotion.account),
    )


def prepare(
    ws: Workspace, channel: Channel, *, endpoint: str = "", reach: Reach | None = None
) -> Prepared:
    """The plan of a roll, with every finding. Nothing is changed.

    Raises as `known_of`; PromotionError (`not-held`) for a digest that is held; MissingError for a
    group that is not there, or an AMI without record.
    """
    found = known_of(ws, channel, endpoint=endpoint, reach=reach)
    holds.refuse_held(ws.store, found.trust, found.promotion.digest)
    definition = ws.definition(channel.image)
    aim = _aim(ws, found)
    subjects: list[Subject] = []
    findings: list[Finding] = []
    for fleet in channel.policy.fleets:
        place = found.places[fleet.name]
        wish = _wish(found, aim, fleet.region, definition)
        for observed in observe(place, fleet.groups).values():
            facts = gather(place, fleet, observed, wish)
            findings += judge(facts)
            targets = facts.target_groups
            subjects.append(
                Subject(
                    fleet=fleet,
                    observed=observed,
                    target_groups=() if isinstance(targets, CloudError) else targets,
                    way_back=_may_go_back(facts),
                )
            )
    plan = make_plan(channel, aim, subjects)
    return Prepared(plan=plan, findings=(*findings, *budget(channel, plan)), places=found.places)


def _may_go_back(facts: Facts) -> bool:
    try:
        return not no_way_back(facts)
    except CloudError:
        # Nobody knows: a finding tells it, and keeps the group from being rolled.
        return False


def planned(
    ws: Workspace, channel: Channel, *, endpoint: str = "", reach: Reach | None = None
) -> Prepared:
    """The same, and the plan is kept in the store."""
    prepared = prepare(ws, channel, endpoint=endpoint, reach=reach)
    plans.keep(ws.store, prepared.plan)
    return prepared


def images_of(ws: Workspace) -> Mapping[str, str]:
    """The image digest of every AMI that the store has a record of."""
    return {row.ami: row.image for row in documents(ws)}


def documents(ws: Workspace) -> Iterator[Ami]:
    """Every AMI that the store has a record of, the newest of a series first."""
    for name in ws.store.names(amis.KIND):
        yield from amis.newest_first(ws.store, name)


def _aim(ws: Workspace, found: Known) -> Aim:
    promotion = found.promotion
    return Aim(
        digest=promotion.digest,
        previous=promotion.previous,
        since=promotion.since,
        emulated=promotion.emulated,
        amis={region: amis.find(ws.store, ami) for region, ami in promotion.amis.items()},
        images=found.images,
        boot_seconds=boot_seconds(chain(ws.store, promotion.digest, found.trust)),
    )


def boot_seconds(statements: Chain) -> int:
    """How long the image took to serve on a launched instance, the slowest; else `BOOT_SECONDS`.

    What a local machine without hardware virtualisation takes says nothing about EC2.
    """
    boots = [boot.boot_to_200_seconds for row in statements.trials for boot in row.evidence.boots]
    return round(max(boots)) if boots else BOOT_SECONDS


def _wish(found: Known, aim: Aim, region: str, definition: Definition) -> Wish:
    ami = aim.amis.get(region)
    if ami is None:
        raise MissingError(
            f"{short(aim.digest)} was not promoted in {region}, where the channel has a fleet",
            hint=f"`./inv promote {found.channel.name}` again: the channel's regions have changed",
        )
    if ami.image != aim.digest:
        raise TrustError(f"{ami.ami} is of {ami.image}, not of {aim.digest}, by its record")
    stop = definition.parameters.get(STOP)
    return Wish(
        ami=ami,
        boot_seconds=aim.boot_seconds,
        stop_seconds=stop if isinstance(stop, int) else None,
        held=found.held,
        owner=found.owner,
    )


def _same_cloud(promotion: Promotion, access: Access) -> None:
    if promotion.emulated == access.emulated:
        return
    here = "the embedded cloud" if access.emulated else "AWS"
    raise TrustError(
        f"{promotion.image}/{promotion.channel} was promoted in "
        f"{'the embedded cloud' if promotion.emulated else 'AWS'}, not in {here}",
        hint="add --sandbox for the embedded cloud, or leave it out",
    )
