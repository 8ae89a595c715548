"""Owns a channel's terms: where it reaches, in which waves, and what a promotion has to meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from goldpress.controls import ControlId
from goldpress.definition import Name
from goldpress.document import Part, matching, nearest
from goldpress.replacement import (
    Alarms,
    Ceilings,
    Connections,
    Limits,
    MaxAge,
    Replacing,
    connections_faults,
    replacing_faults,
)

#: What `image:` says before anything was promoted.
NONE = "none"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WHOLE_PERCENT = 100

#: Links of an image's chain of statements: what it was made from and of, the suite's results on a
#: booted machine and on a launched AMI, and the AMIs themselves.
Evidence = Literal["provenance", "sbom", "verification", "publication", "trial"]
#: What is looked at before the next wave.
Gate = Literal["healthy", "alarms", "errors", "latency", "verify"]


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is listed twice")
    return values


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("at least one is needed")
    return _unique(values)


def _moment(value: str) -> str:
    try:
        datetime.strptime(value, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{value!r} is not a time in UTC, such as 2026-12-24T18:00Z") from None
    return value


ImageName = Annotated[str, matching(rf"{NONE}|sha256:[0-9a-f]{{64}}", "an image digest, or none")]
ChannelName = Annotated[str, matching(r"[a-z0-9][a-z0-9-]*", "the name of a channel")]
Account = Annotated[str, matching(r"[0-9]{12}", "an account (12 digits, in quotes)")]
Region = Annotated[str, matching(r"[a-z]{2}(?:-[a-z]+)+-[0-9]", "a region")]
Role = Annotated[str, matching(r"arn:[a-z-]+:iam::[0-9]{12}:role/\S+", "the ARN of a role")]
#: The name of an Auto Scaling group may hold nearly anything; a channel's is a plain word.
Group = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._/@+=-]{0,254}", "the name of a group")]
Moment = Annotated[str, AfterValidator(_moment)]
Why = Annotated[str, Field(min_length=1, max_length=300)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Hours = Annotated[int, Field(ge=0, le=2160)]
Approvals = Annotated[int, Field(ge=1, le=6)]


class Fleet(Part):
    """Auto Scaling groups of one account, region and silo; no account: the one that publishes.

    `alarms` are CloudWatch's, any of which stops a roll and takes it back; `connections` what its
    database bears; no instance is to be older than `max_age_days`.
    """

    name: Name
    account: Account | None = None
    region: Region
    silo: Name
    groups: Annotated[tuple[Group, ...], AfterValidator(_some)]
    replacing: Replacing = Field(default_factory=Replacing)
    alarms: Alarms = ()
    connections: Connections | None = None
    max_age_days: MaxAge | None = None


class Wave(Part):
    """Fleets whose groups change together, up to `share` percent of each group's instances.

    Before the next wave every gate has to be open for `soak_minutes`.
    """

    name: Name
    fleets: Annotated[tuple[Name, ...], AfterValidator(_some)]
    share: Annotated[int, Field(ge=1, le=_WHOLE_PERCENT)] = _WHOLE_PERCENT
    soak_minutes: Annotated[int, Field(ge=0, le=20160)]
    gates: Annotated[tuple[Gate, ...], AfterValidator(_some)]


class Freeze(Part):
    """When nothing is promoted: from one time to another, or on days of each week (UTC)."""

    start: Moment | None = None
    end: Moment | None = None
    days: Annotated[tuple[Day, ...], AfterValidator(_unique)] = ()
    why: Why

    def covers(self, at: datetime) -> bool:
        """Whether this moment (aware) is in it; `end` is not any more."""
        moment = at.astimezone(UTC)
        if self.days:
            return DAYS[moment.weekday()] in self.days
        text = moment.strftime("%Y-%m-%dT%H:%MZ")
        return (self.start or text) <= text < (self.end or "")


class Expedite(Part):
    """The terms of an emergency fix: sooner, but with more approvals, and a reason."""

    soak_hours: Hours
    approvals: Annotated[int, Field(ge=2, le=6)]
    during_freeze: bool = False


class Policy(Part):
    """The whole file.

    `regions` is where the digest is to be available, `accounts` who may launch it besides the one
    that publishes, `readers` the role by account that may look at what runs there, `rollers` the
    one that may also change its groups. `after` is the channel that has to have held it for
    `soak_hours` before. `limits` are what gates let through, `ceilings` what no roll goes above.
    """

    image: ImageName
    regions: Annotated[tuple[Region, ...], AfterValidator(_some)]
    accounts: Annotated[tuple[Account, ...], AfterValidator(_unique)] = ()
    readers: dict[Account, Role] = Field(default_factory=dict)
    rollers: dict[Account, Role] = Field(default_factory=dict)
    after: ChannelName | None = None
    soak_hours: Hours = 0
    approvals: Approvals = 1
    evidence: Annotated[tuple[Evidence, ...], AfterValidator(_some)]
    controls: Annotated[tuple[ControlId, ...], AfterValidator(_unique)] = ()
    freeze: tuple[Freeze, ...] = ()
    expedite: Expedite | None = None
    fleets: tuple[Fleet, ...] = ()
    waves: tuple[Wave, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    ceilings: Ceilings = Field(default_factory=Ceilings)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What one promotion has to meet: hours in the earlier channel, people who approve."""

    soak_hours: int
    approvals: int
    during_freeze: bool


def contradictions(policy: Policy, name: str) -> Iterator[str]:
    """What the file of the channel `name` says that does not go together, one line each."""
    if policy.after == name:
        yield "after: is this very channel"
    if policy.soak_hours and policy.after is None:
        yield "soak_hours: there is no earlier channel to be in: `after` is not said"
    expedite = policy.expedite
    if expedite and expedite.soak_hours > policy.soak_hours:
        yield "expedite.soak_hours: is longer than without haste"
    if expedite and expedite.approvals <= policy.approvals:
        yield "expedite.approvals: haste needs more approvals than patience"
    yield from _role_faults(policy)
    for index, freeze in enumerate(policy.freeze):
        yield from _freeze_faults(freeze, f"freeze[{index}]")
    yield from _fleet_faults(policy)
    yield from _wave_faults(policy)


def _role_faults(policy: Policy) -> Iterator[str]:
    for name, roles in (("readers", policy.readers), ("rollers", policy.rollers)):
        for account, role in roles.items():
            if account not in policy.accounts:
                yield f"{name}.{account}: is not in `accounts`"
            if role.split(":")[4] != account:
                yield f"{name}.{account}: its role is of another account, {role.split(':')[4]}"


def _freeze_faults(freeze: Freeze, where: str) -> Iterator[str]:
    if freeze.days and (freeze.start or freeze.end):
        yield f"{where}: either days, or start and end"
    elif not freeze.days and not (freeze.start and freeze.end):
        yield f"{where}: needs start and end, or days"
    elif freeze.start and freeze.end and freeze.end <= freeze.start:
        yield f"{where}: ends before it starts"


def _fleet_faults(policy: Policy) -> Iterator[str]:
    seen: dict[Any, str] = {}
    names: set[str] = set()
    for index, fleet in enumerate(policy.fleets):
        where = f"fleets[{index}]"
        if fleet.name in names:
            yield f"{where}.name: {fleet.name!r} is listed twice"
        names.add(fleet.name)
        if fleet.region not in policy.regions:
            yield f"{where}.region: {fleet.region!r} is not in `regions`"
        if fleet.account is not None and fleet.account not in policy.accounts:
            yield f"{where}.account: {fleet.account!r} is not in `accounts`"
        for group in fleet.groups:
            key = (fleet.account, fleet.region, group)
            if key in seen:
                yield f"{where}.groups: {group!r} is in fleet {seen[key]!r} already"
            seen.setdefault(key, fleet.name)
        yield from (f"{where}.replacing.{row}" for row in replacing_faults(fleet.replacing))
        if fleet.connections is not None:
            yield from (
                f"{where}.connections.{row}" for row in connections_faults(fleet.connections)
            )


def _wave_faults(policy: Policy) -> Iterator[str]:
    known = {fleet.name for fleet in policy.fleets}
    reached: dict[str, int] = {}
    for index, wave in enumerate(policy.waves):
        where = f"waves[{index}]"
        if wave.name in {row.name for row in policy.waves[:index]}:
            yield f"{where}.name: {wave.name!r} is listed twice"
        if "alarms" in wave.gates:
            yield from _alarm_faults(policy, wave, where)
        for fleet in wave.fleets:
            if fleet not in known:
                yield f"{where}.fleets: there is no fleet {fleet!r}{nearest(fleet, known)}"
            elif wave.share <= reached.get(fleet, 0):
                yield f"{where}.share: fleet {fleet!r} has {reached[fleet]} percent already"
            reached[fleet] = max(wave.share, reached.get(fleet, 0))
    for fleet in sorted(known):
        if reached.get(fleet, 0) < _WHOLE_PERCENT:
            yield f"waves: fleet {fleet!r} never reaches 100 percent"


def _alarm_faults(policy: Policy, wave: Wave, where: str) -> Iterator[str]:
    """A gate that looks at no alarm would always be open."""
    for fleet in policy.fleets:
        if fleet.name in wave.fleets and not fleet.alarms:
            yield f"{where}.gates: `alarms`, but fleet {fleet.name!r} names none in its `alarms`"
