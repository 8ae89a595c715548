"""Owns the fleet that is simulated: its groups, and the channel whose terms they are rolled on.

It is made up from a few numbers (`made_up`), or read from an account: goldpress/simulation/reading.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from goldpress.channel import Channel, channel_path, parse_channel
from goldpress.emulator.checks import Rules
from goldpress.errors import DocumentError

IMAGE, CHANNEL = "simulated", "simulated"
REGIONS = (
    "us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "ap-southeast-2", "ap-northeast-1",
    "us-east-2", "eu-north-1", "ca-central-1", "sa-east-1", "ap-south-1", "eu-west-3",
)  # fmt: skip
MOST_ACCOUNTS = 9
ZONES = ("a", "b", "c")
#: What the groups' instance types are, in turn: a bad image may only fail on one of them.
TYPES = ("m6i.large", "c6i.large", "r6i.large")
#: Groups of one account and region, where there are enough instances for them.
GROUPS = 2
#: How much the sizes of groups differ: sigma of a log-normal distribution.
SIZES_SIGMA = 0.6
#: Requests a minute to each instance.
REQUESTS = 60.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One group: sizes, instance types, zones, and what decides when an instance of it serves.

    `types` are overrides of a mixed instances policy, of which the percentage `on_demand` above
    `base` is no Spot; empty: every one is a `kind`. `rules` are its target groups', empty for a
    group behind none; `requests` a minute come to each of those. `alarms` are those of its fleet
    that look at it.
    """

    account: str
    region: str
    name: str
    min: int
    max: int
    desired: int
    kind: str
    types: tuple[str, ...] = ()
    base: int = 0
    on_demand: int = 100
    zones: tuple[str, ...] = ZONES
    grace: int = 300
    warmup: int | None = 60
    elb: bool = True
    rules: tuple[Rules, ...] = (Rules(path="/healthz", interval=10, healthy=2),)
    requests: float = 0.0
    alarms: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """``account/region/name``: one group of all."""
        return f"{self.account}/{self.region}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A fleet; `owner` is the account that publishes, `source` where all this is from, in words."""

    channel: Channel
    owner: str
    groups: tuple[Shape, ...]
    source: str

    @property
    def instances(self) -> int:
        """How many instances it is to have."""
        return sum(row.desired for row in self.groups)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Each account and region, once."""
        return tuple(dict.fromkeys((row.account, row.region) for row in self.groups))


def made_up(
    *, instances: int, regions: int, accounts: int, seed: int, spot: bool = False
) -> Layout:
    """So many instances in groups of different sizes, behind load balancers, with alarms.

    Waves: a tenth of the first place, all of it, its region, the rest. With `spot` half of each
    group are Spot instances, but for its first one. Raises DocumentError for numbers that do not go
    together.
    """
    if not 1 <= regions <= len(REGIONS):
        raise DocumentError(f"--regions: 1 to {len(REGIONS)} are known, not {regions}")
    if not 1 <= accounts <= MOST_ACCOUNTS:
        raise DocumentError(f"--accounts: 1 to {MOST_ACCOUNTS}, not {accounts}")
    names = [str(number) * 12 for number in range(1, accounts + 1)]
    places = [(name, region) for region in REGIONS[:regions] for name in names]
    if instances < len(places):
        raise DocumentError(
            f"--instances: {instances} do not do for {len(places)} places",
            hint=f"take {len(places)} or more, or fewer regions and accounts",
        )
    groups = min(GROUPS, instances // len(places))
    rows = [(*place, f"web-{letter}") for place in places for letter in "abcdefgh"[:groups]]
    sizes = _sizes(instances, len(rows), seed)
    shapes = tuple(
        Shape(
            account=account, region=region, name=name, min=max(1, size // 2), max=2 * size,
            desired=size, kind=TYPES[index % len(TYPES)], types=TYPES if spot else (),
            base=1 if spot else 0, on_demand=50 if spot else 100, requests=REQUESTS * size,
            alarms=(f"{name}-errors",),
        )
        for index, ((account, region, name), size) in enumerate(zip(rows, sizes, strict=True))
    )  # fmt: skip
    return Layout(
        channel=parse_channel(_channel(places, groups).encode(), path=channel_path(IMAGE, CHANNEL)),
        owner=names[0],
        groups=shapes,
        source=f"{len(rows)} made-up groups in {regions} regions and {accounts} accounts",
    )


def _sizes(instances: int, groups: int, seed: int) -> list[int]:
    """Sizes of so many groups, at least one each, that are so many instances altogether."""
    chance = random.Random(f"{seed} sizes")  # noqa: S311 - a simulation
    weights = [chance.lognormvariate(0.0, SIZES_SIGMA) for _ in range(groups)]
    spare, total = instances - groups, sum(weights)
    sizes = [1 + int(spare * weight / total) for weight in weights]
    for index in range(instances - sum(sizes)):
        sizes[index % groups] += 1
    return sizes


def _channel(places: list[tuple[str, str]], groups: int) -> str:
    """The channel's file: a fleet for each place."""
    fleets = {place: f"{place[1]}-{place[0][0]}" for place in places}
    regions = list(dict.fromkeys(region for _, region in places))
    names = [f"web-{letter}" for letter in "abcdefgh"[:groups]]
    first = fleets[places[0]]
    region = [name for place, name in fleets.items() if place[1] == regions[0] and name != first]
    rest = [name for place, name in fleets.items() if place[1] != regions[0]]
    waves = [
        f"{{name: few, fleets: [{first}], share: 10, soak_minutes: 15, {_GATES}}}",
        f"{{name: first, fleets: [{first}], soak_minutes: 15, {_GATES}}}",
    ]
    if region:
        waves.append(f"{{name: region, fleets: [{', '.join(region)}], soak_minutes: 30, {_GATES}}}")
    if rest:
        waves.append(f"{{name: rest, fleets: [{', '.join(rest)}], soak_minutes: 10, {_GATES}}}")
    alarms = ", ".join(f"{name}-errors" for name in names)
    accounts = list(dict.fromkeys(account for account, _ in places))
    rows = [
        "image: none",
        f"regions: [{', '.join(regions)}]",
        "accounts: [" + ", ".join(f'"{name}"' for name in accounts) + "]",
        "evidence: [provenance]",
        f"ceilings: {{groups: {max(10, len(places))}, calls_per_second: 20}}",
        "fleets:",
        *(
            f'  - {{name: {name}, account: "{account}", region: {where}, silo: blue, '
            f"groups: [{', '.join(names)}], alarms: [{alarms}]}}"
            for (account, where), name in fleets.items()
        ),
        "waves:",
        *(f"  - {row}" for row in waves),
    ]
    return "\n".join(rows) + "\n"


_GATES = "gates: [healthy, alarms, errors, latency]"
