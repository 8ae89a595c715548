"""The terms on which instances are replaced, and what in them does not go together."""

from __future__ import annotations

import re

import pytest
from channels import TEXT, channel
from pressing import PROJECT

from goldpress.errors import DocumentError
from goldpress.replacement import Ceilings, Connections, Replacing, surge


def with_fleet(lines: str) -> str:
    return TEXT.replace("    alarms: [intern-errors]\n", f"    alarms: [intern-errors]\n{lines}")


def test_the_defaults_are_careful() -> None:
    fleet = channel().policy.fleets[0]
    assert (fleet.replacing.min_healthy, fleet.replacing.max_healthy) == (100, 110)
    assert (fleet.replacing.protected, fleet.replacing.standby) == ("refresh", "ignore")
    assert fleet.connections is None
    assert channel().policy.ceilings.most_unavailable(100) == 10
    assert channel().policy.ceilings.most_unavailable(3) == 1
    assert Ceilings(unavailable=7).most_unavailable(3) == 7


def test_all_of_it_is_read() -> None:
    text = with_fleet(
        "    replacing: {min_healthy: 90, max_healthy: 120, warmup_seconds: 0, bake_seconds: 600}\n"
        "    connections: {budget: 100, per_instance: 10, others: 5}\n"
        "    max_age_days: 30\n"
    )
    fleet = channel(text).policy.fleets[1]
    assert fleet.replacing.warmup_seconds == 0
    assert fleet.connections is not None
    assert fleet.connections.instances == 9
    assert fleet.max_age_days == 30


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("    replacing: {min_healthy: 50, max_healthy: 200}\n",
         r"fleets\[1\].replacing.max_healthy: is more than 100 above min_healthy"),
        ("    replacing: {max_healthy: 90}\n", "greater than or equal to 100"),
        ("    replacing: {standby: wait}\n", "'ignore' or 'terminate'"),
        ("    connections: {budget: 5, per_instance: 10}\n",
         r"fleets\[1\].connections.budget: does not do for one instance"),
        ("    max_age_days: 0\n", "greater than or equal to 1"),
        ("    max_age: 3\n", "unknown key; nearest: max_age_days"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_with_its_path(lines: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        channel(with_fleet(lines))


def test_more_alarms_than_aws_takes_are_refused() -> None:
    names = ", ".join(f"a{n}" for n in range(11))
    with pytest.raises(DocumentError, match="at most 10 items"):
        channel(TEXT.replace("[intern-errors]", f"[{names}]"))


def test_a_gate_that_looks_at_no_alarm_would_always_be_open() -> None:
    with pytest.raises(DocumentError, match=r"waves\[0\].gates: `alarms`, but fleet 'intern'"):
        channel(TEXT.replace("    alarms: [intern-errors]\n", ""))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('rollers:\n  "999988887777": arn:aws:iam::999988887777:role/roll\n',
         "rollers.999988887777: is not in `accounts`"),
        ('rollers:\n  "111122223333": arn:aws:iam::999988887777:role/roll\n',
         "rollers.111122223333: its role is of another account, 999988887777"),
    ],
)  # fmt: skip
def test_a_roller_is_of_an_account_of_the_channel(lines: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        channel(TEXT.replace("approvals: 1\n", f"{lines}approvals: 1\n", 1))


@pytest.mark.parametrize(
    ("desired", "most", "more"), [(0, 110, 1), (1, 100, 1), (10, 110, 1), (15, 110, 2), (4, 200, 4)]
)
def test_a_part_of_an_instance_is_a_whole_one(desired: int, most: int, more: int) -> None:
    assert surge(desired, most) == more
    assert Replacing(max_healthy=most).surge(desired) == more


def test_a_budget_below_what_others_hold_is_none() -> None:
    assert Connections(budget=5, per_instance=1, others=9).instances == 0


def test_the_readmes_example_is_one() -> None:
    text = (PROJECT / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(fleets:.*?)```", text, re.DOTALL)
    rest = TEXT[: TEXT.index("fleets:")].replace("controls: [os-sshd]\n", "")
    wave = "{name: all, fleets: [shop], soak_minutes: 0, gates: [healthy, alarms]}"
    found = channel(f"{rest}{example}waves: [{wave}]\n").policy
    assert found.fleets[0].alarms == ("shop-5xx", "shop-latency")
    assert found.rollers.keys() == {"111122223333"}
    assert found.ceilings.groups == 2
