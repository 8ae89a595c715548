"""Target health by its rules alone: states, reasons and times, without a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from goldpress.emulator import targets
from goldpress.emulator.checks import PASSED, Result, Rules, Target, matches, wrong_code
from goldpress.emulator.probing import failed
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.world import NEVER
from goldpress.emulator.targets import Member, TargetGroups

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1234567890abcdef"
RULES = Rules(interval=10.0, timeout=5.0, healthy=3, unhealthy=2, delay=300.0)
GOOD, BAD = (PASSED, NEVER), (wrong_code(500), NEVER)


@dataclass
class Cloud:
    """Targets of a model: what each answers is a function of the time; how often it was asked."""

    at: float = 1000.0
    rules: Rules = RULES
    answers: dict[str, Callable[[float], tuple[Result, float]]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def now(self) -> float:
        return self.at

    def groups(self) -> TargetGroups:
        return TargetGroups(
            clock=self,
            rules=lambda arn: self.rules if arn == ARN else None,
            answers=self._answer,
            instance=lambda name: self.states.get(name, "running"),
            open_requests=lambda _arn, name, _port: self.open.get(name),
        )

    def _answer(self, _rules: Rules, name: str, _port: int, at: float) -> tuple[Result, float]:
        self.asked += 1
        return self.answers[name](at)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def boots_at(moment: float) -> Callable[[float], tuple[Result, float]]:
    return lambda at: GOOD if at >= moment else (failed(), moment)


def told(groups: TargetGroups, name: str) -> tuple[str, str]:
    state, reason, _ = groups.told(ARN, name)
    return state, reason


def test_one_passed_check_makes_a_new_target_healthy(cloud: Cloud) -> None:
    groups = cloud.groups()
    cloud.answers["i-1"] = boots_at(1008)
    assert told(groups, "i-1") == ("unused", "Target.NotRegistered")
    groups.register(ARN, "i-1")
    assert told(groups, "i-1") == ("initial", "Elb.InitialHealthChecking")
    assert groups.next_change(ARN, "i-1") == 1010.0
    cloud.at = 1010.0
    assert told(groups, "i-1") == ("healthy", "")
    assert groups.next_change(ARN, "i-1") == NEVER


def test_who_boots_slowly_is_unhealthy_and_needs_more_to_come_back(cloud: Cloud) -> None:
    """UnhealthyThresholdCount failed checks, then HealthyThresholdCount passed ones in a row."""
    groups = cloud.groups()
    cloud.answers["i-1"] = boots_at(1055)
    groups.register(ARN, "i-1")
    cloud.at = 1010.0
    assert groups.told(ARN, "i-1") == (
        "unhealthy", "Target.FailedHealthChecks", "Health checks failed",
    )  # fmt: skip
    assert groups.next_change(ARN, "i-1") == 1055.0
    cloud.at = 1079.0
    assert groups.health(ARN, "i-1") == "unhealthy"
    assert groups.next_change(ARN, "i-1") == 1080.0
    cloud.at = 1080.0
    assert groups.health(ARN, "i-1") == "healthy"


def test_one_failed_check_is_not_enough(cloud: Cloud) -> None:
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda at: (wrong_code(503), 1021.0) if 1015 < at < 1021 else GOOD
    groups.register(ARN, "i-1")
    cloud.at = 1100.0
    assert groups.health(ARN, "i-1") == "healthy"
    cloud.answers["i-1"] = lambda _: BAD
    cloud.at = 1110.0
    assert groups.health(ARN, "i-1") == "healthy"
    cloud.at = 1120.0
    assert groups.told(ARN, "i-1") == (
        "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]",
    )  # fmt: skip


def test_thousands_of_checks_cost_as_much_as_something_changes(cloud: Cloud) -> None:
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda at: (PASSED, 90_005.0) if at < 90_005 else BAD
    groups.register(ARN, "i-1")
    cloud.at = 90_000.0
    assert groups.health(ARN, "i-1") == "healthy"
    assert groups.next_change(ARN, "i-1") == 90_005.0
    cloud.at = 90_015.0
    assert groups.health(ARN, "i-1") == "healthy"
    cloud.at = 90_020.0
    assert groups.health(ARN, "i-1") == "unhealthy"
    assert cloud.asked < 10


def test_it_is_the_same_however_often_it_is_looked_at(cloud: Cloud) -> None:
    """Leaps over checks that show the same change nothing: every second against once."""

    def answer(at: float) -> tuple[Result, float]:
        turns = (1003.0, 1047.0, 1071.0, 1133.0, 1202.0, 1203.0, 1288.0, 1391.0)
        later = [turn for turn in turns if turn > at]
        good = (len(turns) - len(later)) % 2 == 1
        return (PASSED if good else wrong_code(500)), (later or [NEVER])[0]

    cloud.answers["i-1"] = answer
    seen = cloud.groups()
    seen.register(ARN, "i-1")
    for second in range(1000, 1500):
        cloud.at = 1000.0
        leaping = cloud.groups()
        leaping.register(ARN, "i-1")
        cloud.at = float(second)
        assert leaping.health(ARN, "i-1") == seen.health(ARN, "i-1"), second


def test_draining_lasts_as_long_as_the_delay(cloud: Cloud) -> None:
    """Where nobody counts requests; a target that drains is not checked, nor registered."""
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda _: GOOD
    groups.register(ARN, "i-1")
    groups.deregister(ARN, "i-1")
    cloud.answers["i-1"] = lambda _: BAD
    assert groups.told(ARN, "i-1") == (
        "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress",
    )  # fmt: skip
    assert groups.next_change(ARN, "i-1") == 1300.0
    cloud.at = 1200.0
    groups.deregister(ARN, "i-1")
    cloud.at = 1299.9
    assert groups.health(ARN, "i-1") == "draining"
    cloud.at = 1300.0
    assert groups.health(ARN, "i-1") == "unused"
    assert groups.targets(ARN) == []


def test_who_has_nothing_open_leaves_at_once(cloud: Cloud) -> None:
    groups = cloud.groups()
    for name in ("i-1", "i-2"):
        cloud.answers[name] = lambda _: GOOD
        groups.register(ARN, name)
        groups.deregister(ARN, name)
    cloud.open = {"i-1": 0, "i-2": 1}
    assert [groups.health(ARN, name) for name in ("i-1", "i-2")] == ["unused", "draining"]
    assert groups.next_change(ARN, "i-2") == 1000.5
    cloud.at = 1300.0
    assert groups.health(ARN, "i-2") == "unused"


def test_registered_again_it_begins_anew(cloud: Cloud) -> None:
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda _: GOOD
    groups.register(ARN, "i-1")
    assert groups.health(ARN, "i-1") == "healthy"
    groups.register(ARN, "i-1")
    assert groups.health(ARN, "i-1") == "healthy"
    groups.deregister(ARN, "i-1")
    cloud.answers["i-1"] = lambda _: BAD
    groups.register(ARN, "i-1")
    assert groups.health(ARN, "i-1") == "initial"


@pytest.mark.parametrize("state", ["stopped", "terminated", "shutting-down"])
def test_an_instance_that_does_not_run_is_unused(cloud: Cloud, state: str) -> None:
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda _: GOOD
    groups.register(ARN, "i-1")
    cloud.states["i-1"] = state
    assert groups.told(ARN, "i-1") == (
        "unused", "Target.InvalidState", f"Target is in the {state} state",
    )  # fmt: skip
    assert groups.members(ARN) == [Member(id="i-1", port=80, serving=False)]
    with pytest.raises(ScalingError, match=f"InvalidTarget: .* 'i-1' \\({state}\\)"):
        targets.register_targets(
            groups, {"TargetGroupArn": ARN, "Targets": [{"Id": "i-2"}, {"Id": "i-1"}]}
        )
    assert groups.health(ARN, "i-2") == "unused"
    groups.ended(["i-1"])
    assert groups.health(ARN, "i-1") == "draining"


def test_a_group_that_no_listener_forwards_to_is_not_checked(cloud: Cloud) -> None:
    cloud.rules = replace(RULES, in_use=False)
    groups = cloud.groups()
    cloud.answers["i-1"] = lambda _: GOOD
    groups.register(ARN, "i-1")
    assert told(groups, "i-1") == ("unused", "Target.NotInUse")
    assert groups.next_change(ARN, "i-1") == NEVER
    cloud.rules = replace(RULES, enabled=False)
    assert told(groups, "i-1") == ("unavailable", "Target.HealthCheckDisabled")
    cloud.rules = RULES
    assert told(groups, "i-1") == ("healthy", "")


def test_requests_go_to_the_healthy_and_to_all_when_none_is(cloud: Cloud) -> None:
    """[D] It fails open."""
    groups = cloud.groups()
    cloud.answers = {"i-1": lambda _: GOOD, "i-2": lambda _: BAD, "i-3": lambda _: GOOD}
    for name in cloud.answers:
        groups.register(ARN, name)
    groups.deregister(ARN, "i-3")
    cloud.at = 1010.0
    serving = {row.id: row.serving for row in groups.members(ARN)}
    assert serving == {"i-1": True, "i-2": False, "i-3": False}
    cloud.answers["i-1"] = lambda _: BAD
    cloud.at = 1030.0
    serving = {row.id: row.serving for row in groups.members(ARN)}
    assert serving == {"i-1": True, "i-2": True, "i-3": False}


def test_what_no_model_answers_is_due_once_an_interval(cloud: Cloud) -> None:
    groups = replace(cloud.groups(), answers=lambda *_: None)
    groups.register(ARN, "10.0.0.1")
    ((arn, target, rules),) = groups.due()
    assert (arn, target.id, rules) == (ARN, "10.0.0.1", RULES)
    assert groups.due() == []
    assert groups.health(ARN, "10.0.0.1") == "initial"
    groups.checked(ARN, target, PASSED)
    assert groups.health(ARN, "10.0.0.1") == "healthy"
    cloud.at = 1010.0
    ((_, target, _),) = groups.due()
    # The result of a check whose target has gone meanwhile is nobody's.
    groups.deregister(ARN, "10.0.0.1")
    cloud.at = 1400.0
    assert groups.targets(ARN) == []
    groups.checked(ARN, target, PASSED)
    assert groups.health(ARN, "10.0.0.1") == "unused"


def test_one_target_on_two_ports_is_as_well_as_the_worse(cloud: Cloud) -> None:
    groups = replace(
        cloud.groups(), answers=lambda _rules, _name, port, _at: GOOD if port == 80 else BAD
    )
    groups.register(ARN, "i-1")
    groups.register(ARN, "i-1", 8080)
    cloud.at = 1010.0
    assert groups.health(ARN, "i-1") == "unhealthy"
    rows = targets.describe_target_health(groups, {"TargetGroupArn": ARN})
    states = {
        row["Target"]["Port"]: row["TargetHealth"] for row in rows["TargetHealthDescriptions"]
    }
    assert states[80] == {"State": "healthy"}
    assert states[8080]["Reason"] == "Target.ResponseCodeMismatch"


def test_there_has_to_be_such_a_group(cloud: Cloud) -> None:
    groups = cloud.groups()
    assert not groups.exists("arn:other")
    for call in (groups.health, groups.register, groups.deregister, groups.next_change):
        with pytest.raises(ScalingError, match="TargetGroupNotFound"):
            call("arn:other", "i-1")


@pytest.mark.parametrize(
    ("codes", "yes", "no"),
    [("200", [200], [201, 500]), ("200,204", [200, 204], [202]), ("200-399", [200, 399], [400])],
)
def test_matchers(codes: str, yes: list[int], no: list[int]) -> None:
    assert all(matches(codes, status) for status in yes)
    assert not any(matches(codes, status) for status in no)


def test_a_failed_check_while_initial_is_told_as_initial() -> None:
    target = Target(id="i-1", port=80, next_check=0.0)
    target.fold(failed(), RULES)
    assert (target.state, target.reason) == ("initial", "Elb.InitialHealthChecking")
    target.fold(failed(), RULES)
    assert (target.state, target.reason) == ("unhealthy", "Target.FailedHealthChecks")
