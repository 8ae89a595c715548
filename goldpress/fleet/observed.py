"""Owns what a group is now: its members and their AMIs, its template version, its refreshes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from goldpress.aws.running import Running
from goldpress.aws.scaling import Group, Member, Refresh, TemplateRef, active_of
from goldpress.aws.targets import Target
from goldpress.aws.templates import TemplateVersion
from goldpress.errors import MissingError
from goldpress.fleet.place import Place

#: How many refreshes of the past are of interest.
RECENT = 20

#: Whether EC2 is asked what each member of a group runs, as its refreshes are.
Asks = Callable[[Group, Sequence[Refresh]], bool]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A group as it was looked at; `running` is what EC2 tells of its instances, by id.

    `targets` are by target group: what is registered there. `template` is the version that the
    group launches from now; None for one without launch template. `taken` are members that AWS has
    taken back, as it does with Spot instances. Unless `whole`, EC2 was asked only about members
    that Auto Scaling calls unhealthy.
    """

    group: Group
    refreshes: tuple[Refresh, ...]
    running: Mapping[str, Running]
    template: TemplateVersion | None
    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    whole: bool = True

    @property
    def key(self) -> str:
        """``account/region/name``."""
        return self.group.key

    @property
    def active(self) -> Refresh | None:
        """The refresh that is not over."""
        return active_of(self.refreshes)

    def ami_of(self, member: Member) -> str:
        """What EC2 says a member runs; empty where EC2 does not know it (any more)."""
        if not self.whole:
            raise ValueError(f"{self.key}: EC2 was not asked what its members run")
        found = self.running.get(member.id)
        return found.ami if found else ""

    def matching(self, ami: str) -> tuple[Member, ...]:
        """The members that run this AMI, whatever their state."""
        return tuple(row for row in self.group.members if self.ami_of(row) == ami)

    def serving(self, ami: str = "") -> tuple[Member, ...]:
        """The members that serve (of this AMI): in service, and healthy in every target group."""
        return tuple(row for row in self._serving if not ami or self.ami_of(row) == ami)

    @property
    def unavailable(self) -> int:
        """How many instances fewer than desired serve."""
        return max(0, self.group.desired - len(self.serving()))

    @cached_property
    def _serving(self) -> tuple[Member, ...]:
        healthy = [{row.id for row in rows if row.healthy} for rows in self.targets.values()]
        return tuple(row for row in self.group.serving if all(row.id in known for known in healthy))


def observe(
    place: Place,
    names: Iterable[str],
    *,
    targets: bool = True,
    asks: Asks = lambda _group, _refreshes: True,
) -> Mapping[str, Observed]:
    """These groups as they are, by name. Raises CloudError, MissingError for one not there.

    Where `asks` says no, EC2 is asked only about members that are unhealthy: see `Observed.whole`.
    """
    wanted = sorted(set(names))
    found = {row.name: row for row in place.groups.named(wanted)}
    if missing := [name for name in wanted if name not in found]:
        raise MissingError(
            f"{place.name} has no Auto Scaling group {missing[0]!r}",
            hint="correct `groups` of the fleet in the channel's file, by a pull request",
        )
    refreshes = {name: place.groups.refreshes(name)[:RECENT] for name in found}
    whole = {name for name, group in found.items() if asks(group, refreshes[name])}
    members = _running(place, list(found.values()), whole)
    versions = _versions(place, list(found.values()))
    return {
        name: Observed(
            group=group,
            refreshes=refreshes[name],
            running={key: row for key, row in members[name].items() if not row.ended},
            template=versions.get(group.template),
            targets=_targets(place, group) if targets else {},
            taken=frozenset(key for key, row in members[name].items() if row.taken),
            whole=name in whole,
        )
        for name, group in found.items()
    }


def observe_one(place: Place, name: str, *, targets: bool = True) -> Observed:
    """One group as it is. Raises as `observe`."""
    return observe(place, [name], targets=targets)[name]


def _running(
    place: Place, groups: Sequence[Group], whole: AbstractSet[str]
) -> Mapping[str, Mapping[str, Running]]:
    """What EC2 tells of the members of each group, by the group's name.

    The tag of Auto Scaling brings them in few answers; who is a member is Auto Scaling's word.
    """
    rows = {row.id: row for row in place.runs.of_groups(whole)}
    missing = [
        row.id
        for group in groups
        for row in group.members
        if row.id not in rows and (group.name in whole or not row.healthy)
    ]
    rows |= {row.id: row for row in place.runs.of_ids(missing)}
    return {
        group.name: {row.id: rows[row.id] for row in group.members if row.id in rows}
        for group in groups
    }


def _versions(place: Place, groups: Sequence[Group]) -> Mapping[TemplateRef, TemplateVersion]:
    refs = {group.template for group in groups if group.template.id}
    return {ref: place.templates.version(ref) for ref in refs}


def _targets(place: Place, group: Group) -> Mapping[str, tuple[Target, ...]]:
    if not group.target_groups:
        return {}
    targets = place.targets
    return {arn: targets.health(arn) for arn in group.target_groups}
