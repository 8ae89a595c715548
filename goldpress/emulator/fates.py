"""Owns what becomes of a virtual instance: drawn once, at its launch, by its AMI's model."""

from __future__ import annotations

import random
from dataclasses import dataclass

from goldpress.emulator.settings import Model

NEVER = float("inf")
#: How much leaks differ from instance to instance, as sigma of a log-normal distribution.
LEAK_SIGMA = 0.2


@dataclass(frozen=True, kw_only=True)
class Fate:
    """Seconds count from the end of `pending`. One that never `runs` ends while it is pending."""

    runs: bool = True
    boots: float = 0.0
    dies: float = NEVER


def drawn(
    model: Model, *, seed: int, image_id: str, number: int, zone: str = "", kind: str = ""
) -> Fate:
    """The fate of one instance; the same `number` with the same seed has the same fate.

    The draws are always the same ones in the same order: one share does not change another's
    victims.
    """
    chance = random.Random(f"{seed} {image_id} {number}")  # noqa: S311 - no secret
    boots = chance.lognormvariate(0.0, model.sigma) * model.median_seconds
    never_runs, never_healthy, dies = (chance.random() for _ in range(3))
    leak = chance.lognormvariate(0.0, LEAK_SIGMA) * model.leaks_after_seconds
    ends = [NEVER]
    if dies < model.dies:
        ends.append(boots + model.dies_after_seconds)
    if model.leaks_after_seconds:
        ends.append(boots + leak)
    unlucky = zone.endswith(tuple(model.bad_zones)) or kind in model.bad_types
    if never_healthy < model.never_healthy or unlucky:
        boots = NEVER
    return Fate(runs=never_runs >= model.never_runs, boots=boots, dies=min(ends))
