"""Owns how many instances a refresh ends and launches at once: pure arithmetic.

[M] RefreshPreferences.MinHealthyPercentage, MaxHealthyPercentage, of the desired capacity; what is
"in service, healthy, or pending" counts to the maximum, so what is being terminated does not.

- The maximum omitted: "terminates an instance and launches its replacement simultaneously". With a
  minimum that allows none (100 percent, or a small group: the minimum is rounded up), one at a time
  is ended nevertheless. The user guide's overview says that a minimum of 100 alone launches first;
  the API reference is newer and says that it does not: the harder of the two is taken.
- The maximum given and not above the minimum in instances: "launches a new instance before
  terminating an old one (temporarily exceeding the desired capacity)": one more than the minimum.

Rounding the maximum down is our own guess. [D] "Instance maintenance policies": a group may pass
its maximum size while instances are replaced.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`floor` instances stay ready; `ceiling` are never passed. `one_down`: see above."""

    floor: int
    ceiling: int
    one_down: bool


def limits(desired: int, *, min_healthy: int, max_healthy: int | None) -> Limits:
    """The bounds for a group of `desired` instances, from percentages."""
    floor = -(-desired * min_healthy // 100)
    if max_healthy is None:
        return Limits(floor=floor, ceiling=desired, one_down=floor >= desired)
    ceiling = max(desired * max_healthy // 100, floor + 1)
    return Limits(floor=floor, ceiling=ceiling, one_down=False)


@dataclass(frozen=True, kw_only=True)
class Count:
    """What there is. All are live; `ready` are of all kinds.

    `old` are to be replaced, of which `eligible` may be ended now, `unready` of these serve nobody.
    `fresh` are as they should be; `goal` of them are wanted so far, `keep` old ones stay till then.
    """

    desired: int
    live: int
    ready: int
    old: int
    eligible: int
    unready: int
    fresh: int
    goal: int
    keep: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What to do now: end so many old ones (those that serve nobody first), launch so many."""

    terminate: int = 0
    launch: int = 0


def batch(count: Count, bounds: Limits) -> Batch:
    """The next batch. It never breaks the bounds, and with nothing left to do it is empty.

    An old one that is not ready costs nothing, as long as the others are enough; that this is how
    AWS sees it is our own guess.
    """
    spare = count.ready - bounds.floor
    surplus = min(max(count.old - count.keep, 0), count.eligible)
    terminate = min(surplus, spare + count.unready) if spare >= 0 else 0
    whole = count.ready >= count.desired and count.live >= count.desired
    if bounds.one_down and surplus and whole:
        terminate = max(terminate, 1)
    live = count.live - terminate
    # One for each old one that can go; what is beyond the desired capacity was launched for some.
    replaceable = count.eligible - terminate - (live - count.desired)
    wanted = max(min(count.goal - count.fresh, replaceable), 0)
    launch = min(wanted, bounds.ceiling - live)
    # Whatever is missing for another reason (an instance that died) is launched in any case.
    return Batch(terminate=terminate, launch=max(launch, count.desired - live, 0))
