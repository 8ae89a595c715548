"""Owns scenarios: what an image and its cloud do while it is rolled, by name.

Of a bad image each one says how it is bad; with a good one the cloud misbehaves, or somebody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from goldpress.document import nearest
from goldpress.emulator.settings import Model
from goldpress.errors import DocumentError

#: From `running` to the first answer, on EC2: most in three quarters of a minute, a few in three.
MEDIAN_SECONDS, SIGMA = 45.0, 0.45
GOOD = Model(median_seconds=MEDIAN_SECONDS, sigma=SIGMA)
EVERY = "all"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens. `model` is the new image's; `bad`: it has to be taken back, and held.

    `short`: of so many percent more instances than there are the cloud has none, for so many
    hours. `throttled` is the share of calls that AWS refuses for now. `moves`: an autoscaler
    changes what groups are to have. `spot` is the share of Spot instances that is taken an hour.
    """

    name: str
    about: str
    bad: bool = False
    model: Model = field(default_factory=lambda: GOOD)
    short: tuple[int, float] | None = None
    throttled: float = 0.0
    moves: bool = False
    spot: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether nothing happens but what the image does, and what AWS answers to calls."""
        return self.short is None and not self.moves and not self.spot


def _bad(**given: object) -> Model:
    return Model(**{"median_seconds": MEDIAN_SECONDS, "sigma": SIGMA, **given})  # type: ignore[arg-type]


_ROWS = (
    Scenario(name="good", about="boots in 45 s (median), some in three minutes"),
    Scenario(
        name="never-boots", about="runs, and never answers", bad=True,
        model=_bad(never_healthy=1.0),
    ),
    Scenario(
        name="dies-after-20-minutes", about="serves, and dies 20 minutes after its boot",
        bad=True, model=_bad(dies=1.0, dies_after_seconds=1200.0),
    ),
    Scenario(
        name="leaks-slowly",
        about="fails 6 % more of its requests with every hour, each 2 s slower",
        bad=True, model=_bad(errors_per_hour=0.06, latency_per_hour=2.0),
    ),
    Scenario(
        name="fails-in-one-zone", about="never answers in one zone of three (c)", bad=True,
        model=_bad(bad_zones=("c",)),
    ),
    Scenario(
        name="fails-on-one-instance-type", about="never answers on one instance type of three",
        bad=True, model=_bad(bad_types=("r6i.large",)),
    ),
    Scenario(
        name="capacity-shortage",
        about="good; for three hours EC2 has no more instances than run, in one region",
        short=(0, 3.0),
    ),
    Scenario(
        name="throttling", about="good; AWS refuses a third of all calls, for now", throttled=0.33
    ),
    Scenario(
        name="autoscaler", about="good; an autoscaler changes a fifth of the groups every 10 min",
        moves=True,
    ),
    Scenario(
        name="spot-loss", about="good; half are Spot instances, 2 % of which are taken an hour",
        spot=0.02,
    ),
)  # fmt: skip
SCENARIOS: Mapping[str, Scenario] = {row.name: row for row in _ROWS}


def chosen(name: str) -> tuple[Scenario, ...]:
    """The scenario of this name, or every one (`all`). Raises DocumentError."""
    if name == EVERY:
        return tuple(SCENARIOS.values())
    found = SCENARIOS.get(name)
    if found is None:
        raise DocumentError(
            f"--scenario: there is no scenario {name!r}{nearest(name, SCENARIOS)}",
            hint=f"one of {', '.join(SCENARIOS)}, or {EVERY}",
        )
    return (found,)
