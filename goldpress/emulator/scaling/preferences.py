"""Owns the preferences of an instance refresh: defaults, and what AWS refuses.

[M] StartInstanceRefresh, RefreshPreferences; [D] "Understand the default values for an instance
refresh". Numbers out of range are refused by `requests.checked` already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.emulator.scaling.errors import invalid
from goldpress.emulator.scaling.group import Bounds

DEFAULT_MIN = 90
DEFAULT_DELAY = 3600
MOST_ALARMS = 10
#: [M] IntPercent100To200 and "the difference between them cannot be greater than 100".
WIDEST = 100
PERCENTAGES = range(1, 101)


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """A refresh's preferences. Seconds, percent; `max_healthy` None: omitted; `warmup` None: too.

    `document` is what DescribeInstanceRefreshes shows.
    """

    min_healthy: int
    max_healthy: int | None
    warmup: int | None
    checkpoints: tuple[int, ...]
    delay: int
    bake: int
    skip_matching: bool
    auto_rollback: bool
    protected: str
    standby: str
    alarms: tuple[str, ...]
    document: Mapping[str, Any]


def parsed(given: Mapping[str, Any], *, policy: Bounds | None, warmup: int) -> Preferences:
    """What a request's Preferences mean for a group with this policy. Raises ScalingError."""
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if most is not None and least is None:
        raise invalid(
            "If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage."
        )
    if least is None:
        least = policy.min if policy else DEFAULT_MIN
        most = policy.max if policy else None
    if most is not None and most - least > WIDEST:
        raise invalid(
            "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be "
            "greater than 100."
        )
    checkpoints = tuple(given.get("CheckpointPercentages", ()))
    ascending = list(checkpoints) == sorted(set(checkpoints))
    if not ascending or any(percent not in PERCENTAGES for percent in checkpoints):
        raise invalid(
            "CheckpointPercentages must be unique numbers from 1 to 100 in ascending order, not "
            f"{list(checkpoints)}."
        )
    if "CheckpointDelay" in given and not checkpoints:
        raise invalid("CheckpointDelay needs CheckpointPercentages.")
    alarms = tuple(given.get("AlarmSpecification", {}).get("Alarms", ()))
    if len(alarms) > MOST_ALARMS:
        raise invalid(f"You can specify up to {MOST_ALARMS} alarms, not {len(alarms)}.")
    delay = given.get("CheckpointDelay", DEFAULT_DELAY)
    shown = {
        **given,
        "MinHealthyPercentage": least,
        "InstanceWarmup": given.get("InstanceWarmup", warmup),
        "SkipMatching": given.get("SkipMatching", False),
        "AutoRollback": given.get("AutoRollback", False),
        "ScaleInProtectedInstances": given.get("ScaleInProtectedInstances", "Wait"),
        "StandbyInstances": given.get("StandbyInstances", "Wait"),
        "BakeTime": given.get("BakeTime", 0),
    }
    if most is not None:
        shown["MaxHealthyPercentage"] = most
    if checkpoints:
        shown["CheckpointDelay"] = delay
    return Preferences(
        min_healthy=least,
        max_healthy=most,
        warmup=given.get("InstanceWarmup"),
        checkpoints=checkpoints,
        delay=delay,
        bake=shown["BakeTime"],
        skip_matching=shown["SkipMatching"],
        auto_rollback=shown["AutoRollback"],
        protected=shown["ScaleInProtectedInstances"],
        standby=shown["StandbyInstances"],
        alarms=alarms,
        document=shown,
    )
