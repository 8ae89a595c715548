"""Which digest a channel could have next: what the earlier channel had for long enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from channels import ONE, TWO

from goldpress.digest import short
from goldpress.errors import PromotionError
from goldpress.promotion.candidate import soaked
from goldpress.promotion.proposal import Soak
from goldpress.promotion.record import MOMENT, Approval, Promotion

BEGAN = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def promotion(digest: str, hours: float) -> Promotion:
    """One that came into force so long after the begin."""
    approval = Approval(
        repository="e/i", pull=1, head="h", merge="m", tree="t", approvers=("ann",),
        merged_by="ben", expedited="",
    )  # fmt: skip
    return Promotion(
        image="web", channel="staging", digest=digest, previous="", approval=approval,
        account="123456789012", emulated=False, amis={}, evidence=(),
        at=text(hours), after="", since=text(hours),
    )  # fmt: skip


def text(hours: float) -> str:
    return (BEGAN + timedelta(hours=hours)).strftime(MOMENT)


def at(past: tuple[Promotion, ...], digest: str, now: float, *, hours: int = 24) -> Soak:
    return soaked(past, digest, hours=hours, now=BEGAN + timedelta(hours=now), channel="staging")


def test_its_time_is_up_at_a_moment_that_stays_the_same() -> None:
    past = (promotion(ONE, 0),)
    found = Soak(channel="staging", since=text(0), until=text(24))
    assert at(past, ONE, 24) == at(past, ONE, 99.123) == found


def test_before_that_it_is_refused_with_the_moment() -> None:
    with pytest.raises(PromotionError) as caught:
        at((promotion(ONE, 0),), ONE, 23.99)
    assert caught.value.rule == "soak"
    assert str(caught.value).startswith(
        f"soak: staging has {short(ONE)} since {text(0)}: its 24 hours there end at {text(24)}"
    )


def test_it_counts_though_a_newer_one_is_there_now() -> None:
    past = (promotion(ONE, 0), promotion(TWO, 30))
    assert at(past, ONE, 31).until == text(24)
    with pytest.raises(PromotionError, match=f"its 24 hours there end at {text(54)}"):
        at(past, TWO, 31)


def test_what_was_replaced_too_soon_never_gets_there() -> None:
    past = (promotion(ONE, 0), promotion(TWO, 6))
    with pytest.raises(PromotionError) as caught:
        at(past, ONE, 99)
    assert f"had {short(ONE)} for 6.0 of 24 hours, and has another one by now" in str(caught.value)


def test_times_in_force_are_added_up() -> None:
    past = (promotion(ONE, 0), promotion(TWO, 10), promotion(ONE, 20))
    with pytest.raises(PromotionError, match=f"end at {text(34)}"):
        at(past, ONE, 33)
    assert at(past, ONE, 34) == Soak(channel="staging", since=text(20), until=text(34))


def test_without_a_time_to_soak_its_first_moment_is_enough() -> None:
    assert at((promotion(ONE, 0),), ONE, 0, hours=0).until == text(0)


def test_what_was_never_there_is_refused() -> None:
    with pytest.raises(PromotionError, match=f"soak: staging never had {short(TWO)}"):
        at((promotion(ONE, 0),), TWO, 99)
    with pytest.raises(PromotionError, match="staging never had"):
        at((), TWO, 99)
