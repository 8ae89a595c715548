"""Owns the plan of a roll: which group gets which AMI, in which wave, on which terms.

It is a document with a digest. What is in it was so when it was made; what changes by itself (how
many instances a group is to have, what runs) is looked at anew before each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from goldpress.aws.scaling import Preferences, parse_preferences
from goldpress.digest import digest_of
from goldpress.errors import DocumentError
from goldpress.store import Store
from goldpress.terms import Gate

KIND = "roll-plan"
VERSION = 1
WHOLE_PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """One group: from which version of its launch template (`template`, an id) to which.

    `to_version` is empty while there is none yet. `from_image` is the image digest of the AMI
    before, empty where the store does not know it. `instances`, of which `matching` run `to_ami`
    already, and the sizes are those of when the plan was made. `boot_seconds`: until a new one
    serves, with its warmup; `drain_seconds`: until one that leaves is gone.
    """

    fleet: str
    account: str
    region: str
    group: str
    template: str
    template_name: str
    from_version: str
    from_ami: str
    from_image: str
    to_version: str
    to_ami: str
    instances: int
    matching: int
    min: int
    max: int
    desired: int
    surge: int
    boot_seconds: int
    drain_seconds: int
    preferences: Preferences

    @property
    def key(self) -> str:
        """``account/region/group``: one group of all."""
        return f"{self.account}/{self.region}/{self.group}"

    @property
    def to_replace(self) -> int:
        """How many instances are not yet what they are to be."""
        return max(0, self.instances - self.matching)

    def seconds(self, share: int = WHOLE_PERCENT) -> int:
        """How long it takes to have replaced `share` percent of the group, one batch a time."""
        count = max(0, count_of(self.instances, share) - self.matching)
        batches = -(-count // self.surge)
        return batches * (self.boot_seconds + self.drain_seconds) + (
            self.preferences.bake_seconds if share == WHOLE_PERCENT and count else 0
        )

    @property
    def floor_seconds(self) -> int:
        """How long it takes at least, were everything replaced at once."""
        return self.boot_seconds if self.to_replace else 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        # All fields but one are plain: asdict would take ten times as long.
        return {**vars(self), "preferences": self.preferences.document()}


@dataclass(frozen=True, kw_only=True)
class WaveGroup:
    """A group in a wave (its `GroupPlan.key`), which has `share` percent of it replaced then."""

    key: str
    share: int


@dataclass(frozen=True, kw_only=True)
class WavePlan:
    """Groups that change together; before the next wave every gate is open for `soak_minutes`."""

    name: str
    groups: tuple[WaveGroup, ...]
    gates: tuple[Gate, ...]
    soak_minutes: int

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "groups": [asdict(row) for row in self.groups],
            "gates": list(self.gates),
            "soak_minutes": self.soak_minutes,
        }


@dataclass(frozen=True, kw_only=True)
class Write:
    """A change that the roll will make: the call of AWS, on what, and what for."""

    wave: str
    call: str
    target: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RollPlan:
    """What `roll` carries out: every group of a channel gets the digest in force.

    `promotion` is the moment since which the digest is in force (UTC), so that a digest that comes
    back is another roll; `previous` the one before. `canary` names the group whose template a
    machine outside the fleet is launched from first, empty for none. `ceiling` is how many
    instances may be out of service at once.
    """

    image: str
    channel: str
    digest: str
    previous: str
    promotion: str
    emulated: bool
    canary: str
    groups: tuple[GroupPlan, ...]
    waves: tuple[WavePlan, ...]
    ceiling: int
    groups_at_once: int
    calls_per_second: int

    @property
    def id(self) -> str:
        """The plan's own digest (``sha256:...``)."""
        return digest_of(self.document())

    def group(self, key: str) -> GroupPlan:
        """A group by its key. Raises KeyError."""
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> Mapping[str, GroupPlan]:
        return {row.key: row for row in self.groups}

    @property
    def surge(self) -> int:
        """How many instances more there are at most, over all groups of the widest wave."""
        return max((sum(self.group(r.key).surge for r in w.groups) for w in self.waves), default=0)

    @property
    def seconds(self) -> int:
        """How long it is expected to take: batches, bakes and soaks, one wave after another."""
        total = 0
        done: dict[str, int] = {}
        for wave in self.waves:
            # What an earlier wave replaced takes no time again.
            rows = [
                self.group(row.key).seconds(row.share) - done.get(row.key, 0) for row in wave.groups
            ]
            total += _in_lanes(rows, self.groups_at_once) + wave.soak_minutes * 60
            done |= {row.key: self.group(row.key).seconds(row.share) for row in wave.groups}
        return total

    @property
    def floor_seconds(self) -> int:
        """Less cannot be, by the channel's own terms: soaks, and one boot a wave."""
        boots = (
            max((self.group(row.key).floor_seconds for row in wave.groups), default=0)
            for wave in self.waves
        )
        return sum(boots) + sum(wave.soak_minutes * 60 for wave in self.waves)

    @property
    def writes(self) -> tuple[Write, ...]:
        """Every change that it will make on AWS, in order, where nothing goes wrong."""
        return tuple(_writes(self))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "plan_version": VERSION,
            **{row.name: getattr(self, row.name) for row in fields(self)},
            "groups": [row.document() for row in self.groups],
            "waves": [row.document() for row in self.waves],
        }


def parse_plan(value: Mapping[str, Any]) -> RollPlan:
    """The inverse of `document`. Raises DocumentError for anything else."""
    rest = dict(value)
    if rest.pop("plan_version", None) != VERSION:
        raise DocumentError(
            "roll plan: its plan_version is not one that I know",
            hint="another version of goldpress made it; end the roll with that one",
        )
    try:
        made = RollPlan(
            **{
                **rest,
                "groups": tuple(_group(row) for row in rest["groups"]),
                "waves": tuple(_wave(row) for row in rest["waves"]),
            }
        )
    except (TypeError, KeyError, ValueError) as error:
        raise DocumentError(f"roll plan: {error!r:.200}") from None
    if digest_of(made.document()) != digest_of(dict(value)):
        raise DocumentError("roll plan: not in the form that I know")
    return made


def keep(store: Store, plan: RollPlan) -> str:
    """Store a plan, the newest of its channel from now on; returns its digest."""
    digest = store.put_document(KIND, plan.document())
    store.enter(KIND, f"{plan.image}/{plan.channel}", digest)
    return digest


def load(store: Store, digest: str) -> RollPlan:
    """A plan by its digest. Raises MissingError, DocumentError."""
    return parse_plan(store.get_document(KIND, digest))


def count_of(instances: int, share: int) -> int:
    """How many instances so many percent are: at least one of them, a part counts as a whole."""
    return -(-instances * share // WHOLE_PERCENT)


def checkpointed(preferences: Preferences, share: int) -> Preferences:
    """The preferences of a refresh that stops when `share` percent of the group are replaced.

    It waits there for two days, the longest that AWS can, within which it is to be cancelled. 100
    has to follow: without it AWS ends the refresh at `share` as Successful, and a refresh that ends
    so moves the group itself to the new version: scale-outs would launch it, and no later refresh
    could be taken back to the one before.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
    """
    if share == WHOLE_PERCENT:
        return replace(preferences, checkpoints=())
    return replace(preferences, checkpoints=(share, WHOLE_PERCENT))


def _in_lanes(seconds: Sequence[int], lanes: int) -> int:
    """How long jobs take of which so many run at once, the longest first."""
    ends = [0] * max(1, lanes)
    for row in sorted(seconds, reverse=True):
        first = ends.index(min(ends))
        ends[first] += max(0, row)
    return max(ends)


def _writes(plan: RollPlan) -> Iterable[Write]:
    if plan.canary:
        yield Write(
            wave="canary",
            call="ec2:RunInstances",
            target=plan.canary,
            why="one instance outside the fleet, verified, registered, and ended again",
        )
    made: set[tuple[str, ...]] = set()
    for wave in plan.waves:
        for row in wave.groups:
            group = plan.group(row.key)
            # Groups with the same version of the same template share the new one.
            source = (group.account, group.region, group.template, group.from_version)
            if not group.to_version and source not in made:
                yield Write(
                    wave=wave.name,
                    call="ec2:CreateLaunchTemplateVersion",
                    target=f"{group.template_name} ({group.template}) in {group.region}",
                    why=f"version {group.from_version} with {group.to_ami} in place of "
                    f"{group.from_ami}",
                )
            made.add(source)
            count = count_of(group.instances, row.share)
            yield Write(
                wave=wave.name,
                call="autoscaling:StartInstanceRefresh",
                target=group.key,
                why=f"{count} of {group.instances} instances to {group.to_ami}",
            )
            if row.share < WHOLE_PERCENT:
                yield Write(
                    wave=wave.name,
                    call="autoscaling:CancelInstanceRefresh",
                    target=group.key,
                    why=f"at its checkpoint of {row.share} percent: nothing goes on by itself",
                )


def _group(row: Mapping[str, Any]) -> GroupPlan:
    return GroupPlan(**{**row, "preferences": parse_preferences(row["preferences"])})


def _wave(row: Mapping[str, Any]) -> WavePlan:
    return WavePlan(
        **{
            **row,
            "groups": tuple(WaveGroup(**group) for group in row["groups"]),
            "gates": tuple(row["gates"]),
        }
    )
