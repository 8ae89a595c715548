"""Owns plans that are made of other plans: of some groups only, or with an earlier one's past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from goldpress.errors import MissingError
from goldpress.fleet.plan import WHOLE_PERCENT, RollPlan, WaveGroup, WavePlan


class Heals(Protocol):
    """A group that is to be refreshed to what is in force: see goldpress/fleet/drift.py."""

    @property
    def group(self) -> str:
        """Its key."""

    @property
    def skip_matching(self) -> bool:
        """Whether instances of the right version stay."""

    @property
    def why(self) -> str:
        """What drifted."""


def remembered(plan: RollPlan, last: RollPlan) -> RollPlan:
    """The plan, with the way back of an earlier roll to the same image that did not end.

    A group that has it already launches from its template now: where it came from is only in that
    earlier plan.
    """
    if last.digest != plan.digest:
        return plan
    before = {row.key: row for row in last.groups}
    rows = []
    for row in plan.groups:
        old = before.get(row.key)
        known = old is not None and old.template == row.template and old.to_ami == row.to_ami
        if old is not None and known and row.from_ami == row.to_ami:
            row = replace(  # noqa: PLW2901 - the same row, with its past
                row,
                from_version=old.from_version,
                from_ami=old.from_ami,
                from_image=old.from_image,
            )
        rows.append(row)
    return replace(plan, groups=tuple(rows))


def healing(plan: RollPlan, wanted: Mapping[str, Heals]) -> RollPlan:
    """The plan of just these groups, each wholly in its last wave, without a canary.

    Raises MissingError for a group that is not of the channel.
    """
    if unknown := sorted(set(wanted) - {row.key for row in plan.groups}):
        raise MissingError(f"{unknown[0]} is no group of {plan.image}/{plan.channel}")
    groups = tuple(
        replace(
            row,
            preferences=replace(row.preferences, skip_matching=wanted[row.key].skip_matching),
        )
        for row in plan.groups
        if row.key in wanted
    )
    waves = []
    for wave in plan.waves:
        rows = tuple(
            WaveGroup(key=row.key, share=row.share)
            for row in wave.groups
            if row.key in wanted and row.share == WHOLE_PERCENT
        )
        if rows:
            waves.append(
                WavePlan(
                    name=wave.name, groups=rows, gates=wave.gates, soak_minutes=wave.soak_minutes
                )
            )
    return replace(plan, canary="", groups=groups, waves=tuple(waves))
