"""What each gate says by numbers alone; missing data is never open."""

from __future__ import annotations

import pytest

from goldpress.aws.metrics import Traffic
from goldpress.fleet import gates
from goldpress.fleet.gates import Verdict
from goldpress.fleet.journal import GroupRoll
from goldpress.fleet.plan import WavePlan
from goldpress.fleet.sight import Sight
from goldpress.replacement import Limits

LIMITS = Limits(errors_per_mille=10, latency_ms=500, minutes=5, requests=100)
KEY = "1/us-east-1/web"


def traffic(
    requests: float | None = 1000, errors: float | None = 0, latency: float | None = 0.1
) -> Sight:
    return Sight(traffic={KEY: Traffic(requests=requests, errors=errors, latency_seconds=latency)})


@pytest.mark.parametrize(
    ("states", "says", "told"),
    [
        ({"a": "OK", "b": "OK"}, "open", "2 OK"),
        ({"a": "OK", "b": "ALARM"}, "bad", "in ALARM: b"),
        ({"a": "INSUFFICIENT_DATA"}, "waits", "no data: a INSUFFICIENT_DATA"),
        ({"a": None}, "waits", "no data: a is not there"),
        ({}, "waits", "no alarm was found to look at"),
        ({"a": None, "b": "ALARM"}, "bad", "in ALARM: b"),
    ],
)
def test_alarms(states: dict[str, str | None], says: str, told: str) -> None:
    assert gates.alarms(Sight(alarms={KEY: states}), KEY) == (says, told)


@pytest.mark.parametrize(
    ("seen", "says", "told"),
    [
        (traffic(), "open", "0 errors in 1000 requests of 5 minutes; 10 of 1000 may be"),
        (traffic(errors=10), "open", "10 errors in 1000 requests of 5 minutes; 10 of 1000 may be"),
        (traffic(errors=11), "bad", "11 errors in 1000 requests of 5 minutes; 10 of 1000 may be"),
        (traffic(requests=99), "waits", "0 errors in 99 requests of 5 minutes; 100 are needed"),
        # So few requests prove nothing good, and this many errors prove something bad.
        (traffic(requests=4, errors=2), "bad",
         "2 errors in 4 requests of 5 minutes; 10 of 1000 may be"),
        (traffic(requests=None, errors=None), "waits",
         "CloudWatch has no requests of the last 5 minutes"),
        (Sight(), "waits", "CloudWatch has no requests of the last 5 minutes"),
    ],
)  # fmt: skip
def test_errors(seen: Sight, says: str, told: str) -> None:
    assert gates.errors(seen, KEY, LIMITS) == (says, told)


@pytest.mark.parametrize(
    ("seen", "says", "told"),
    [
        (traffic(latency=0.5), "open", "p99 500 ms, at most 500 ms"),
        (traffic(latency=0.6), "bad", "p99 600 ms, at most 500 ms"),
        (traffic(requests=9, latency=9), "waits",
         "p99 9000 ms, at most 500 ms; 100 requests are needed to judge"),
        (traffic(latency=None), "waits", "CloudWatch has no latency of the last 5 minutes"),
        (Sight(), "waits", "CloudWatch has no latency of the last 5 minutes"),
    ],
)  # fmt: skip
def test_latency(seen: Sight, says: str, told: str) -> None:
    assert gates.latency(seen, KEY, LIMITS) == (says, told)


@pytest.mark.parametrize(
    ("lost", "serving", "told"),
    [
        ((), 0, ""),
        (("i-1",), 0, "1 new instances failed: i-1"),
        (("i-1",), 1, ""),
        (("i-1", "i-2"), 4, "2 new instances failed: i-1, i-2"),
        (("i-1", "i-2"), 40, ""),
        (tuple(f"i-{n}" for n in range(5)), 50,
         "5 new instances failed: i-0, i-1, i-2 and 2 more"),
    ],
)  # fmt: skip
def test_how_many_lost_instances_are_too_many(
    lost: tuple[str, ...], serving: int, told: str
) -> None:
    assert gates.lost(GroupRoll(lost=lost), serving) == told


def test_bad_and_waiting_verdicts_are_told_with_their_numbers() -> None:
    rows = (
        Verdict(gate="healthy", group=KEY, says="open", told="all"),
        Verdict(gate="errors", group=KEY, says="bad", told="9 errors"),
        Verdict(gate="verify", group="", says="waits", told="no key"),
    )
    assert gates.bad(rows) == "errors bad: web: 9 errors"
    assert gates.waits(rows) == "verify waits: the wave: no key"
    assert gates.bad(rows[:1]) == gates.waits(rows[:1]) == ""


def test_requests_are_judged_whoever_answered_them() -> None:
    wave = WavePlan(name="w", groups=(), gates=("healthy", "alarms", "errors"), soak_minutes=0)
    seen = Sight(
        alarms={KEY: {"a": "ALARM"}},
        traffic={KEY: Traffic(requests=1000, errors=50, latency_seconds=0.1)},
    )
    rows = gates.of_requests(wave, KEY, seen, LIMITS)
    assert [(row.gate, row.says) for row in rows] == [("alarms", "bad"), ("errors", "bad")]
    blind = Sight(blind={KEY: "AccessDenied"})
    (alarms, errors) = gates.of_requests(wave, KEY, blind, LIMITS)
    assert (alarms.says, errors.says) == ("waits", "waits")
    assert alarms.told == "CloudWatch cannot be asked: AccessDenied"
