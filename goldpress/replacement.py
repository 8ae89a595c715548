"""Owns the terms on which a fleet's instances are replaced: how many at once, how long, how bad.

They are parts of a channel's file, see `goldpress/terms.py`; each has a default that is careful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from goldpress.document import Part, matching, once

_WHOLE_PERCENT = 100

#: A CloudWatch alarm of the fleet's own account and region; AWS takes ten in a refresh.
Alarm = Annotated[str, matching(r"\S(?:[ -~]{0,253}\S)?", "the name of an alarm")]
MOST_ALARMS = 10
Seconds = Annotated[int, Field(ge=0, le=172_800)]


class Connections(Part):
    """What the fleet's database bears: `budget` connections, of which each instance takes some.

    `others` are those that anything else holds.
    """

    budget: Annotated[int, Field(ge=1, le=1_000_000)]
    per_instance: Annotated[int, Field(ge=1, le=100_000)]
    others: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    @property
    def instances(self) -> int:
        """How many instances the budget allows at once."""
        return max(0, self.budget - self.others) // self.per_instance


class Replacing(Part):
    """How the instances of a fleet's groups are replaced, in percent of what a group is to have.

    `warmup_seconds` null: the group's own. An instance that is protected from scale-in is replaced
    as any other, unless `protected: ignore`; one in standby stays, unless `standby: terminate`.
    """

    min_healthy: Annotated[int, Field(ge=0, le=_WHOLE_PERCENT)] = _WHOLE_PERCENT
    max_healthy: Annotated[int, Field(ge=_WHOLE_PERCENT, le=2 * _WHOLE_PERCENT)] = 110
    warmup_seconds: Seconds | None = None
    bake_seconds: Seconds = 0
    protected: Literal["refresh", "ignore"] = "refresh"
    standby: Literal["ignore", "terminate"] = "ignore"

    def surge(self, desired: int) -> int:
        """How many instances more than `desired` there are at most; AWS adds at least one."""
        return surge(desired, self.max_healthy)


class Limits(Part):
    """What the gates `errors` and `latency` let through, looked at over so many minutes.

    Answers 5xx of a thousand requests; the slowest of a hundred requests in milliseconds. With
    fewer requests than `requests` there is nothing to judge by: the roll waits. The machine outside
    the fleet takes requests for `canary_minutes`, where a gate looks at them.
    """

    errors_per_mille: Annotated[int, Field(ge=0, le=1000)] = 10
    latency_ms: Annotated[int, Field(ge=1, le=600_000)] = 1000
    minutes: Annotated[int, Field(ge=1, le=1440)] = 10
    canary_minutes: Annotated[int, Field(ge=0, le=1440)] = 5
    requests: Annotated[int, Field(ge=1, le=1_000_000_000)] = 100


class Ceilings(Part):
    """What a roll never goes above, over all of its groups together.

    `unavailable` instances out of service at once (null: a tenth of all, at least one), `groups`
    that change at once, and calls to AWS a second in one account and region.
    """

    unavailable: Annotated[int, Field(ge=1, le=100_000)] | None = None
    groups: Annotated[int, Field(ge=1, le=1000)] = 10
    calls_per_second: Annotated[int, Field(ge=1, le=100)] = 5

    def most_unavailable(self, instances: int) -> int:
        """How many of so many instances may be out of service at once."""
        return self.unavailable or max(1, instances // 10)


Alarms = Annotated[tuple[Alarm, ...], AfterValidator(once), Field(max_length=MOST_ALARMS)]
MaxAge = Annotated[int, Field(ge=1, le=365)]


def surge(desired: int, max_healthy: int) -> int:
    """How many instances more than `desired` a refresh has at once, at most.

    AWS rounds a part of an instance up, and launches one first even where 100 percent are allowed.
    """
    return max(1, math.ceil(desired * max_healthy / _WHOLE_PERCENT) - desired)


def replacing_faults(replacing: Replacing) -> Iterator[str]:
    """What does not go together."""
    # StartInstanceRefresh refuses it.
    if replacing.max_healthy - replacing.min_healthy > _WHOLE_PERCENT:
        yield "max_healthy: is more than 100 above min_healthy, which AWS refuses"


def connections_faults(connections: Connections) -> Iterator[str]:
    """What does not go together."""
    if connections.instances == 0:
        yield "budget: does not do for one instance"
