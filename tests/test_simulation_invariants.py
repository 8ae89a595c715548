"""Each invariant of a simulation fails when a driver breaks it, or somebody behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from goldpress.aws.scaling import Preferences
from goldpress.emulator.inprocess import Call
from goldpress.emulator.scaling.operations import call
from goldpress.errors import RollError
from goldpress.fleet import actions
from goldpress.fleet.journal import Canary, Pointer, RollState, Stage, Where
from goldpress.fleet.plan import RollPlan
from goldpress.simulation.invariants import unexplained
from goldpress.simulation.layout import Layout, made_up
from goldpress.simulation.outcome import Outcome, faults
from goldpress.simulation.running import Rolling, rolled
from goldpress.simulation.scenario import SCENARIOS
from goldpress.simulation.simulating import Simulation, conclude

TOKEN = "t"  # noqa: S105 - of a launch
WEB = "111111111111/us-east-1/web-a"


def layout() -> Layout:
    return made_up(instances=12, regions=1, accounts=1, seed=1)


def broken(tamper: Callable[[Rolling], None], scenario: str = "good") -> Outcome:
    return rolled(layout(), SCENARIOS[scenario], seed=1, tamper=tamper)


def told(outcome: Outcome) -> set[tuple[str, str]]:
    return {(row.invariant, row.where) for row in outcome.breaches}


def client(run: Rolling, service: str) -> Any:
    return run.fleet.cloud.client("111111111111", service, "us-east-1")


def later(run: Rolling, act: Callable[[], None], seconds: float = 1000.0) -> None:
    run.fleet.cloud.at(run.fleet.now + seconds, act)


def scaling(run: Rolling, operation: str, **request: Any) -> None:
    call(run.fleet.groups[WEB].place.scaling, operation, request)


def test_nothing_is_broken_by_itself() -> None:
    found = broken(lambda _run: None)
    assert (found.ended, found.breaches, found.wrong) == ("done", (), "")
    assert found.writes > 10


def test_an_instance_that_somebody_ends_breaks_the_floor() -> None:
    def tamper(run: Rolling) -> None:
        def act() -> None:
            group = run.fleet.groups[WEB].group
            name = next(iter(group.members.ready))
            scaling(
                run, "TerminateInstanceInAutoScalingGroup",
                InstanceId=name, ShouldDecrementDesiredCapacity=False,
            )  # fmt: skip

        later(run, act)

    found = broken(tamper)
    assert ("floor", WEB) in told(found)
    breach = next(row for row in found.breaches if row.invariant == "floor")
    assert breach.text.startswith(f"good: floor: {WEB} at 0:16:4")
    assert "are ready, the floor is" in breach.told


def test_one_that_dies_by_itself_does_not() -> None:
    def tamper(run: Rolling) -> None:
        def act() -> None:
            row = run.fleet.groups[WEB]
            name = next(iter(row.group.members.ready))
            row.place.machines.change(name, dies=run.fleet.now)

        later(run, act)

    found = broken(tamper)
    assert found.breaches == ()
    assert found.lost == 1


@pytest.mark.parametrize(
    ("changes", "invariant"),
    [
        ({"min_healthy": 50, "max_healthy": 100}, "floor"),
        ({"min_healthy": 100, "max_healthy": 200}, "ceiling"),
    ],
)
def test_a_refresh_on_other_terms_than_the_fleets_breaks_them(
    monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, int], invariant: str
) -> None:
    real = Preferences.arguments

    def arguments(self: Preferences) -> dict[str, Any]:
        return real(replace(self, **changes))  # type: ignore[arg-type]

    monkeypatch.setattr(Preferences, "arguments", arguments)
    assert invariant in {row.invariant for row in broken(lambda _run: None).breaches}


def test_an_image_that_nobody_approved_is_told() -> None:
    def tamper(run: Rolling) -> None:
        place = run.fleet.groups[WEB].place
        place.add_image("ami-0badbadbadbadbad0")

        def act() -> None:
            place.machines.run(
                image="ami-0badbadbadbadbad0", kind="m6i.large", zone="us-east-1a",
                tags={"aws:autoscaling:groupName": "web-a"}, extra={},
            )  # fmt: skip

        later(run, act)

    found = broken(tamper)
    assert told(found) == {("images", WEB)}
    assert found.breaches[0].told.endswith("was launched of ami-0badbadbadbadbad0")


def test_a_held_image_is_not_launched_again() -> None:
    def tamper(run: Rolling) -> None:
        place = run.fleet.groups[WEB].place

        def act() -> None:
            place.machines.run(
                image=run.fleet.new("us-east-1"), kind="m6i.large", zone="us-east-1a", tags={},
                extra={},
            )  # fmt: skip

        later(run, act, 3 * 3600.0)
        later(run, lambda: None, 4 * 3600.0)
        run.fleet.cloud.at(run.fleet.now + 700.0, act)

    found = broken(tamper, "never-boots")
    assert found.ended == "held"
    assert {row.invariant for row in found.breaches} == {"images"}
    assert found.breaches[0].told.endswith("(held)")


def test_two_refreshes_of_a_group_are_told() -> None:
    def tamper(run: Rolling) -> None:
        def act() -> None:
            rows = run.fleet.groups[WEB].group.refreshes
            rows.insert(0, rows[-1])

        later(run, act)

    assert ("refreshes", WEB) in told(broken(tamper))


def test_a_desired_capacity_that_goldpress_sets_is_told() -> None:
    def tamper(run: Rolling) -> None:
        def act() -> None:
            desired = run.fleet.groups[WEB].group.desired + 1
            scaling(
                run, "SetDesiredCapacity", AutoScalingGroupName="web-a", DesiredCapacity=desired
            )

        later(run, act)

    found = broken(tamper)
    assert ("sizes", WEB) in told(found)


def test_a_write_behind_the_journal_is_told() -> None:
    def tamper(run: Rolling) -> None:
        def act() -> None:
            client(run, "autoscaling").cancel_instance_refresh(AutoScalingGroupName="web-a")

        later(run, act)

    found = broken(tamper)
    assert ("journal", WEB) in told(found)
    assert "nothing was about to be cancelled" in found.breaches[0].told


def test_a_driver_that_writes_no_intent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = actions.intended

    def intended(action: actions.Action, state: RollState, now: float) -> RollState:
        return state if isinstance(action, actions.MakeTemplate) else real(action, state, now)

    monkeypatch.setattr("goldpress.fleet.driver.intended", intended)
    found = broken(lambda _run: None)
    assert {row.told.partition(":")[2].partition(":")[0] for row in found.breaches} == {
        "CreateLaunchTemplateVersion"
    }
    assert "was about to get a version" in found.breaches[0].told


def test_a_driver_that_lets_a_bad_image_pass_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldpress.fleet.gates.bad", lambda _rows: "")
    found = broken(lambda _run: None, "leaks-slowly")
    assert found.wrong.startswith("a bad image ended done, not held")
    assert faults([found]) == (f"leaks-slowly: {found.wrong}",)


def test_what_is_wrong_fails_the_task_and_names_scenario_time_and_group() -> None:
    def tamper(run: Rolling) -> None:
        later(run, lambda: scaling(run, "SetDesiredCapacity", AutoScalingGroupName="web-a",
                                   DesiredCapacity=8))  # fmt: skip

    found = broken(tamper)
    simulation = Simulation(layout=layout(), seed=1, outcomes=(found,))
    with pytest.raises(RollError, match=rf"^good: sizes: {WEB} at 0:16:\d\d: min, max and desired"):
        conclude(simulation)


# ---- which calls a journal means ----


def state_of(**given: Any) -> RollState:
    fixed = {"plan": "p", "image": "web", "channel": "prod", "digest": "d", "previous": "b"}
    return RollState(**{**fixed, "began": 0.0, **given})


def canary(stage: Stage, instance: str = "i-1") -> Mapping[str, Any]:
    return {"canary": Canary(stage=stage, token=TOKEN, instance=instance)}


def pointer(where: Where, **given: Any) -> Mapping[str, Any]:
    return {"pointers": {"us-east-1": Pointer(before="old", after="new", where=where)}, **given}


ENDS = {"InstanceIds": ["i-1"]}
ENDS_OTHER = {"InstanceIds": ["i-2"]}
TARGETS = {"Targets": [{"Id": "i-1"}]}
CASES: Mapping[str, tuple[str, dict[str, Any], Mapping[str, Any], str]] = {
    "its canary": ("ec2:RunInstances", {"ClientToken": TOKEN}, canary("launching"), ""),
    "another canary": (
        "ec2:RunInstances", {"ClientToken": "u"}, canary("launching"),
        "no canary with this token was about to be launched",
    ),
    "ended": ("ec2:TerminateInstances", ENDS, canary("drained"), ""),
    "another ended": (
        "ec2:TerminateInstances", ENDS_OTHER, canary("drained"),
        "i-2: no canary that was about to be ended",
    ),
    "ended again": (
        "ec2:TerminateInstances", ENDS, canary("ended"),
        "i-1: no canary that was about to be ended",
    ),
    "registered": ("elbv2:RegisterTargets", TARGETS, canary("registered"), ""),
    "registered too soon": (
        "elbv2:RegisterTargets", TARGETS, canary("proven"), "i-1: the canary is i-1 proven",
    ),
    "pointer": ("ssm:PutParameter", {"Value": "new"}, pointer("moving"), ""),
    "pointer too soon": (
        "ssm:PutParameter", {"Value": "new"}, pointer(""), "no pointer was about to move to new",
    ),
    "pointer back": (
        "ssm:PutParameter", {"Value": "old"}, pointer("moved", phase="going-back"), "",
    ),
    "another group": (
        "autoscaling:CancelInstanceRefresh", {"AutoScalingGroupName": "x"}, {},
        "111111111111/us-east-1/x is not of the plan",
    ),
    "never": ("ec2:CreateTags", {}, {}, "a roll makes no such call"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_journal_means_a_call_or_does_not(case: str) -> None:
    name, request, given, why = CASES[case]
    service, _, operation = name.partition(":")
    made = Call(
        number=0, at=0.0, account="111111111111", region="us-east-1", service=service,
        operation=operation, request=request,
    )  # fmt: skip
    plan = RollPlan(
        image="web", channel="prod", digest="d", previous="b", promotion="", emulated=True,
        canary="", groups=(), waves=(), ceiling=1, groups_at_once=1, calls_per_second=1,
    )  # fmt: skip
    assert unexplained(made, plan, state_of(**given), frozenset({"i-1"})) == why
