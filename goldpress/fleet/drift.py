"""Owns drift: every way in which what runs is not what a channel has in force.

What is in force is the record's; what runs is EC2's word. Tags decide nothing, but for the one that
Auto Scaling alone can set, and goldpress's own by which an instance is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from goldpress.aws.running import Running
from goldpress.aws.scaling import Member
from goldpress.aws.volumes import Disk
from goldpress.digest import short
from goldpress.fleet.observed import Observed
from goldpress.fleet.owner import advice, owner_of
from goldpress.terms import Fleet

#: `image`: another AMI than the one in force. `held`: one that nothing may launch. `changed`: its
#: disk is not the AMI's any more. `attached`: launched by hand, and put into the group. `by-hand`:
#: in no group. `old`: longer there than the fleet allows. `template`: the group itself launches
#: something else next.
Kind = Literal["image", "held", "changed", "attached", "by-hand", "old", "template"]
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One thing that is not as it should be; `instance` is empty where it is about the group.

    `group` is ``account/region/name``, or ``account/region`` for an instance without. `ami` is what
    it runs (the group: launches), `image` that AMI's digest if the store knows it.
    """

    group: str
    fleet: str
    kind: Kind
    instance: str
    ami: str
    image: str
    why: str
    hint: str = ""

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Healing:
    """A group that is to be refreshed: with `skip_matching` only what is not the version wanted.

    Without, every instance is replaced: AWS takes one that is too old, or whose disk was changed,
    for as good as new.
    """

    group: str
    fleet: str
    skip_matching: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class InForce:
    """What a channel has in force in one region.

    `snapshot` is the AMI's EBS snapshot, `images` the digests of AMIs, `held` AMIs that nothing may
    launch, `rolled` the template version that the last roll gave each group (by key; empty: none),
    `now` aware.
    """

    digest: str
    ami: str
    snapshot: str
    root_device: str
    images: Mapping[str, str]
    held: frozenset[str]
    now: datetime
    rolled: Mapping[str, str] = field(default_factory=dict)


def of_group(
    observed: Observed, fleet: Fleet, force: InForce, disks: Iterable[Disk] = ()
) -> Iterator[Drift]:
    """What is not as it should be in a group, the group itself first.

    `disks` are those of its instances; without, nobody looks whether one was changed.
    """
    yield from _template(observed, fleet, force)
    roots = {row.instance: row for row in disks if row.device == force.root_device}
    for member in observed.group.members:
        running = observed.running.get(member.id)
        if running is None or running.ended or running.quarantine:
            continue
        seen = _Seen(observed=observed, fleet=fleet, member=member, running=running)
        yield from seen.drifts(force, roots.get(member.id))


def of_running(row: Running, fleet: Fleet, ami: str, now: datetime) -> bool:
    """Whether an instance of a fleet drifted, by what can be seen without its group."""
    if row.quarantine:
        return False
    return row.ami != ami or _age(row, now) > _most(fleet)


def by_hand(
    place: str, rows: Iterable[Running], force: InForce, *, members: Collection[str] = ()
) -> Iterator[Drift]:
    """Instances of a channel's images that no group has, but for trials and those in quarantine.

    `members` are known to be of a group, whatever their tags say.
    """
    for row in rows:
        if row.group or row.trial or row.ended or row.quarantine or row.id in members:
            continue
        yield Drift(
            group=place,
            fleet="",
            kind="by-hand",
            instance=row.id,
            ami=row.ami,
            image=force.images.get(row.ami, ""),
            why=f"launched {row.launched}, of no Auto Scaling group",
            hint="end it, or tell `./inv quarantine` why it stays: no roll reaches it",
        )


def healings(rows: Iterable[Drift]) -> tuple[Healing, ...]:
    """Which groups have to be refreshed, each once, for what can be healed so."""
    found: dict[str, list[Drift]] = {}
    for row in rows:
        if row.kind != "by-hand":
            found.setdefault(row.group, []).append(row)
    return tuple(
        Healing(
            group=key,
            fleet=drifts[0].fleet,
            skip_matching=not {"old", "changed"} & {row.kind for row in drifts},
            why="; ".join(sorted({row.kind for row in drifts})),
        )
        for key, drifts in sorted(found.items())
    )


def _template(observed: Observed, fleet: Fleet, force: InForce) -> Iterator[Drift]:
    group, version = observed.group, observed.template
    ami = version.ami if version else ""
    if version is None or ami == force.ami:
        return
    owner = owner_of(group, version)
    rolled = force.rolled.get(observed.key, "")
    if not group.template.numeric:
        why = f"it follows {group.template.version}, which launches {ami} now"
        hint = f"`./inv roll.adopt {group.name}`"
    elif rolled and rolled != version.ref.version:
        moved = (
            f"moved from version {rolled}, which the last roll gave it, to {group.template.version}"
        )
        by = owner or f"whoever set it; {version.by or 'somebody'} made that version"
        why = f"{moved}, which launches {ami}: by {by}"
        hint = advice(owner)
    else:
        why = f"its {version.ref.text} launches {ami}, not {force.ami}" + (
            f"; {owner} manages it" if owner else ""
        )
        hint = "`./inv roll` brings the image in force"
    yield Drift(
        group=observed.key,
        fleet=fleet.name,
        kind="held" if ami in force.held else "template",
        instance="",
        ami=ami,
        image=force.images.get(ami, ""),
        why=why,
        hint=hint,
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A member of a group, and what EC2 tells of it."""

    observed: Observed
    fleet: Fleet
    member: Member
    running: Running

    @property
    def ami(self) -> str:
        """What it runs: where its root volume was replaced, Auto Scaling names the new AMI."""
        return self.member.ami or self.running.ami

    @property
    def came(self) -> str:
        """How it came into the group, where that was another way than one comes now."""
        template = self.member.template
        if template is None:
            return "put into the group by hand, with no launch template; "
        return "" if template.same(self.observed.group.template) else f"of {template.text}; "

    def drift(self, kind: Kind, image: str, why: str) -> Drift:
        return Drift(
            group=self.observed.key,
            fleet=self.fleet.name,
            kind=kind,
            instance=self.member.id,
            ami=self.ami,
            image=image,
            why=why,
        )

    def drifts(self, force: InForce, root: Disk | None) -> Iterator[Drift]:
        ami, image = self.ami, force.images.get(self.ami, "")
        since = f"{self.came}launched {self.running.launched}"
        if ami in force.held:
            yield self.drift("held", image, f"runs {ami} ({short(image)}), which is held; {since}")
        elif ami != force.ami:
            what = f"of image {short(image)}" if image else "which is no image of this store"
            yield self.drift("image", image, f"runs {ami}, {what}; {since}")
        elif root is not None and root.snapshot != force.snapshot:
            had = root.snapshot or "no EBS snapshot"
            why = f"its disk was made from {had}, not from the AMI's {force.snapshot}"
            yield self.drift("changed", image, why)
        elif self.member.template is None:
            yield self.drift("attached", image, since)
        if _age(self.running, force.now) > _most(self.fleet):
            why = (
                f"launched {self.running.launched}; the fleet allows {self.fleet.max_age_days} days"
            )
            yield self.drift("old", image, why)


def _age(row: Running, now: datetime) -> timedelta:
    return now - datetime.strptime(row.launched, MOMENT).replace(tzinfo=UTC)


def _most(fleet: Fleet) -> timedelta:
    return timedelta.max if fleet.max_age_days is None else timedelta(days=fleet.max_age_days)
