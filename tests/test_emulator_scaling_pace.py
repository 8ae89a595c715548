"""How many instances a refresh ends and launches at once, as AWS documents it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldpress.emulator.scaling.pace import Batch, Count, Limits, batch, limits


def count(desired: int, **given: int) -> Count:
    """A group before its refresh, all of it ready; `given` is what is different."""
    whole = {
        "live": desired, "ready": desired, "old": desired, "eligible": desired, "unready": 0,
        "fresh": 0, "goal": desired, "keep": 0, **given,
    }  # fmt: skip
    return Count(desired=desired, **whole)


@pytest.mark.parametrize(
    ("desired", "least", "most", "wanted"),
    [
        (10, 90, None, Limits(floor=9, ceiling=10, one_down=False)),
        (10, 100, None, Limits(floor=10, ceiling=10, one_down=True)),
        # [M] "Explicitly setting MaxHealthyPercentage to 100 is not equivalent to omitting it."
        (10, 100, 100, Limits(floor=10, ceiling=11, one_down=False)),
        (10, 90, 100, Limits(floor=9, ceiling=10, one_down=False)),
        (10, 100, 110, Limits(floor=10, ceiling=11, one_down=False)),
        (3, 100, 110, Limits(floor=3, ceiling=4, one_down=False)),
        (1, 90, None, Limits(floor=1, ceiling=1, one_down=True)),
        (40, 50, 150, Limits(floor=20, ceiling=60, one_down=False)),
    ],
)
def test_limits(desired: int, least: int, most: int | None, wanted: Limits) -> None:
    assert limits(desired, min_healthy=least, max_healthy=most) == wanted


def first(desired: int, least: int, most: int | None) -> Batch:
    return batch(count(desired), limits(desired, min_healthy=least, max_healthy=most))


def test_the_first_batch() -> None:
    """Launch first, at once, or both, by the two percentages."""
    assert first(10, 100, 110) == Batch(terminate=0, launch=1)
    assert first(10, 100, 100) == Batch(terminate=0, launch=1)
    assert first(10, 90, None) == Batch(terminate=1, launch=1)
    assert first(10, 90, 110) == Batch(terminate=1, launch=2)
    assert first(10, 0, 200) == Batch(terminate=10, launch=10)


def test_the_only_instance_is_killed_where_the_maximum_is_omitted() -> None:
    """alphagov/tech-ops#211: a minimum of 100 percent saves no one-instance group."""
    assert first(1, 100, None) == Batch(terminate=1, launch=1)
    assert first(1, 100, 110) == Batch(terminate=0, launch=1)
    assert first(1, 100, 100) == Batch(terminate=0, launch=1)


def test_nobody_is_ended_while_too_few_are_ready() -> None:
    bounds = limits(10, min_healthy=90, max_healthy=None)
    assert batch(count(10, ready=8), bounds) == Batch(terminate=0, launch=0)
    assert batch(count(10, live=9, old=9, eligible=9, ready=9), bounds) == Batch(launch=1)


def test_what_serves_nobody_may_go_when_the_others_are_enough() -> None:
    """A rollback ends bad instances that never became ready."""
    bounds = limits(10, min_healthy=100, max_healthy=110)
    bad = count(10, live=11, old=1, eligible=1, unready=1, fresh=10, ready=10)
    assert batch(bad, bounds) == Batch(terminate=1, launch=0)
    short = count(10, live=10, old=1, eligible=1, unready=1, fresh=9, ready=9)
    assert batch(short, bounds) == Batch(terminate=0, launch=1)


@given(
    desired=st.integers(1, 60),
    least=st.integers(0, 100),
    width=st.one_of(st.none(), st.integers(0, 100)),
    goal=st.integers(0, 60),
    old=st.integers(0, 60),
    fresh=st.integers(0, 30),
    unready=st.integers(0, 60),
)
def test_no_batch_breaks_its_bounds(  # noqa: PLR0917 - hypothesis gives them by name
    desired: int, least: int, width: int | None, goal: int, old: int, fresh: int, unready: int
) -> None:
    most = None if width is None else max(100, least + width)
    bounds = limits(desired, min_healthy=least, max_healthy=most)
    unready = min(unready, old)
    goal = min(goal, desired)
    now = Count(
        desired=desired, live=old + fresh, ready=old - unready + fresh, old=old, eligible=old,
        unready=unready, fresh=fresh, goal=goal, keep=desired - goal,
    )  # fmt: skip
    made = batch(now, bounds)
    ready_left = now.ready - max(made.terminate - now.unready, 0)
    if not (bounds.one_down and made.terminate == 1) and made.terminate:
        assert ready_left >= bounds.floor
    if made.launch:
        assert now.live - made.terminate + made.launch <= max(bounds.ceiling, desired)
    assert now.old - made.terminate >= min(now.keep, now.old)
