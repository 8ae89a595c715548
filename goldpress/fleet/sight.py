"""Owns what a tick has seen of the fleets, as values: nothing in it is older than the tick.

What could not be seen is told as that, and never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from goldpress.aws.metrics import Traffic
from goldpress.aws.scaling import Member, Refresh, TemplateRef
from goldpress.fleet.journal import GroupRoll
from goldpress.fleet.observed import Observed
from goldpress.fleet.plan import GroupPlan
from goldpress.fleet.shortage import Shortage


@dataclass(frozen=True, kw_only=True)
class Sight:
    """All that was seen, by the keys of groups; `unseen` tells why for the others.

    `alarms` are states by the alarm's name, None for one that is not there; `canary` the states of
    the machine outside the fleet by target group, empty for one that knows nothing of it. `blind`
    tells why CloudWatch could not be asked about a group. `short` are groups whose refresh gets no
    instances for a reason that is not the image's.
    """

    groups: Mapping[str, Observed] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    alarms: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    canary: Mapping[str, str] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    short: Mapping[str, Shortage] = field(default_factory=dict)


def reference(group: GroupPlan, version: str) -> TemplateRef:
    """A version of the plan's launch template."""
    return TemplateRef(id=group.template, name=group.template_name, version=version)


def is_at(member: Member, group: GroupPlan, version: str) -> bool:
    """Whether a member was launched from this version of the plan's launch template."""
    found = member.template
    return (
        bool(version)
        and found is not None
        and (found.id, found.version) == (group.template, version)
    )


def refresh_of(seen: Observed, refresh: str) -> Refresh | None:
    """A refresh by its id; None where AWS does not (yet, any more) tell of it."""
    return next((row for row in seen.refreshes if row.id == refresh), None)


def new_of(seen: Observed, group: GroupPlan, roll: GroupRoll) -> tuple[Member, ...]:
    """The members of the plan's new version."""
    return tuple(row for row in seen.group.members if is_at(row, group, roll.to_version))


def new_serving(seen: Observed, group: GroupPlan, roll: GroupRoll) -> int:
    """How many members of the new version serve."""
    return sum(is_at(row, group, roll.to_version) for row in seen.serving())


def others_of(seen: Observed, group: GroupPlan, version: str) -> tuple[Member, ...]:
    """Members that a refresh to this version has yet to replace.

    Those in standby stay what they are unless the plan says otherwise; nor does a refresh touch
    protected ones where the plan says so; what leaves already is not counted.
    """
    wanted = group.preferences
    return tuple(
        row
        for row in seen.group.members
        if not is_at(row, group, version)
        and not row.state.startswith("Terminat")
        and not (row.standby and wanted.standby == "Ignore")
        and not (row.protected and wanted.protected == "Ignore")
    )
