"""Owns the plan of a roll as people see it: groups, waves, times, and every write it will make."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group as Shown
from rich.table import Table
from rich.text import Text

from goldpress.digest import short
from goldpress.fleet.plan import GroupPlan, RollPlan

MINUTE, HOUR, DAY = 60, 3600, 86_400


def plan_tables(plan: RollPlan) -> Shown:
    """The whole plan."""
    return Shown(groups(plan), waves(plan), writes(plan), Text("\n".join(_sums(plan))))


def groups(plan: RollPlan) -> Table:
    """What each group is and becomes."""
    title = f"{plan.image}/{plan.channel}: {short(plan.digest)} in place of " + (
        short(plan.previous) or "none"
    )
    shown = Table(title=title, title_justify="left")
    for name in ("group", "template", "from", "to", "instances", "min/desired/max", "surge"):
        shown.add_column(name, overflow="fold")
    for row in plan.groups:
        shown.add_row(
            row.key,
            f"{row.template_name}\n{row.template}",
            f"{row.from_version}: {row.from_ami}\n{_image(row)}",
            f"{row.to_version or 'a new version'}: {row.to_ami}",
            f"{row.instances}, {row.matching} of them new",
            f"{row.min}/{row.desired}/{row.max}",
            f"+{row.surge}",
        )
    return shown


def waves(plan: RollPlan) -> Table:
    """What changes together, and what has to be so before it goes on."""
    shown = Table(title="waves", title_justify="left")
    for name in ("wave", "groups", "gates", "soak"):
        shown.add_column(name, overflow="fold")
    if plan.canary:
        shown.add_row("canary", f"one instance outside of {plan.canary}", "verify, healthy", "")
    for row in plan.waves:
        rows = "\n".join(f"{group.key} to {group.share} %" for group in row.groups)
        shown.add_row(row.name, rows, ", ".join(row.gates), lasting(row.soak_minutes * MINUTE))
    return shown


def writes(plan: RollPlan) -> Table:
    """Every change that it will make."""
    shown = Table(title="writes, in order", title_justify="left")
    for name in ("wave", "call", "on", "what for"):
        shown.add_column(name, overflow="fold")
    for row in plan.writes:
        shown.add_row(row.wave, row.call, row.target, row.why)
    return shown


def lasting(seconds: float) -> str:
    """A time in its two largest units: ``1 h 5 min``; ``none`` for 0."""
    rest = int(seconds)
    parts = []
    for name, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(parts[:2]) or "none"


def _image(row: GroupPlan) -> str:
    return short(row.from_image) if row.from_image else "no image of this store"


def _sums(plan: RollPlan) -> Iterator[str]:
    yield (
        f"expected: {lasting(plan.seconds)}; the channel's own terms take "
        f"{lasting(plan.floor_seconds)} of it"
    )
    yield (
        f"at most {plan.ceiling} instances out of service at once, {plan.surge} more than now, "
        f"{plan.groups_at_once} groups, {plan.calls_per_second} calls a second"
    )
    yield f"plan {plan.id}"
