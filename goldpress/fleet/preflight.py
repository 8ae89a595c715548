"""Owns preflight: every rule that a group has to meet before its instances are replaced.

A rule is a function of the facts; `RULES` are all of them, in the order in which they are told.
What a rule needs and nobody could find out keeps the group from being rolled, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goldpress.errors import CloudError
from goldpress.fleet import preflight_group as group
from goldpress.fleet import preflight_launch as launch
from goldpress.fleet.findings import Answer, Finding
from goldpress.fleet.preflight_facts import Facts

Rule = Callable[[Facts], Answer]

RULES: Mapping[str, Rule] = {
    "template": group.template,
    "template-of-others": group.template_of_others,
    "way-back": group.way_back,
    "refresh": group.refresh,
    "processes": group.processes,
    "head-room": group.head_room,
    "protected": group.protected,
    "standby": group.standby,
    "health-check": group.health_check,
    "grace": group.grace,
    "hooks": group.hooks,
    "lifetime": group.lifetime,
    "alarms": group.alarms,
    "draining": group.draining,
    "readable": launch.readable,
    "boot-mode": launch.boot_mode,
    "architecture": launch.architecture,
    "overrides": launch.overrides,
    "disks": launch.disks,
    "key": launch.key,
    "user-data": launch.user_data,
    "metadata": launch.metadata,
    "addresses": launch.addresses,
    "quota": launch.quota,
    "connections": launch.connections,
}


def judge(facts: Facts) -> tuple[Finding, ...]:
    """What every rule says of a group."""
    return tuple(_finding(facts, name, rule) for name, rule in RULES.items())


def _finding(facts: Facts, name: str, rule: Rule) -> Finding:
    try:
        answer = rule(facts)
    except CloudError as error:
        answer = Answer(ok=False, why=f"cannot be looked at: {error.message}", hint=error.hint)
    return Finding(
        group=facts.observed.key, rule=name, ok=answer.ok, why=answer.why, hint=answer.hint
    )
