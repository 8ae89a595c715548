"""Owns virtual instances: states only, so that thousands of them cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

from goldpress.emulator import fates
from goldpress.emulator.lives import Life
from goldpress.emulator.scaling.world import NEVER
from goldpress.emulator.settings import Model, Settings
from goldpress.emulator.world import World


@dataclass(kw_only=True)
class VirtualLife(Life):
    """An instance whose fate was drawn at its launch. Times count from the launch."""

    boots_at: float = 0.0
    dies_at: float | None = None
    serves: int = 200

    def answer(self, at: float) -> tuple[int, float]:
        """The HTTP status of a check at this time (0: none comes), and until when it is so."""
        dies = NEVER if self.dies_at is None else self.launched + self.dies_at
        boots = self.launched + self.boots_at
        if self.failure or self.ended is not None or self.stopped is not None or at >= dies:
            return 0, NEVER
        return (0, boots) if at < boots else (self.serves, dies)

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


def launch(
    world: World, *, image_id: str, number: int, zone: str = "", kind: str = ""
) -> VirtualLife:
    """Begin an instance; the same `number` with the same seed has the same fate."""
    settings = world.settings
    model = model_of(settings, image_id)
    fate = fates.drawn(
        model, seed=settings.seed, image_id=image_id, number=number, zone=zone, kind=kind
    )
    life = VirtualLife(
        world=world,
        launched=world.clock.now(),
        boots_at=settings.pending_seconds + fate.boots,
        serves=model.serves,
    )
    if not fate.runs:
        life.failure = "the virtual instance could not be started"
    if fate.dies < NEVER:
        life.dies_at = settings.pending_seconds + fate.dies
    return life
