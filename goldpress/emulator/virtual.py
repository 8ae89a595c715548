"""Owns virtual instances: states only, so that thousands of them cost nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass

from goldpress.emulator.lives import Life
from goldpress.emulator.settings import Model, Settings
from goldpress.emulator.world import World


@dataclass(kw_only=True)
class VirtualLife(Life):
    """An instance whose fate was drawn at its launch. Times count from the launch."""

    boots_at: float = 0.0
    dies_at: float | None = None

    def reachable(self) -> bool:
        """After it has booted, and until it dies."""
        age = self.world.clock.now() - self.launched
        return age >= self.boots_at and (self.dies_at is None or age < self.dies_at)

    def console(self) -> bytes:
        """There is nothing that could write one."""
        return b""


def model_of(settings: Settings, image_id: str) -> Model:
    """How instances of this AMI behave."""
    return settings.models.get(image_id, settings.models["*"])


def launch(world: World, *, instance_id: str, image_id: str, number: int) -> VirtualLife:
    """Begin an instance; the same `number` with the same seed has the same fate."""
    del instance_id
    model = model_of(world.settings, image_id)
    chance = random.Random(f"{world.settings.seed} {image_id} {number}")  # noqa: S311 - no secret
    # Always the same draws in the same order: one share does not change another's victims.
    boot = chance.lognormvariate(0.0, model.sigma) * model.median_seconds
    never_runs, never_healthy, dies = (chance.random() for _ in range(3))
    boots_at = world.settings.pending_seconds + boot
    life = VirtualLife(world=world, launched=world.clock.now(), boots_at=boots_at)
    if never_runs < model.never_runs:
        life.failure = "the virtual instance could not be started"
    if never_healthy < model.never_healthy:
        life.boots_at = float("inf")
    if dies < model.dies:
        life.dies_at = boots_at + model.dies_after_seconds
    return life
