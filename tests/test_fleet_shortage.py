"""A refresh that gets no instances for want of capacity holds no digest; a bad image still does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rolled import NEW, OLD, REGION, Named, Rolled, small, wave

from goldpress.aws.autoscaling import Activity
from goldpress.aws.scaling import Refresh
from goldpress.emulator.inprocess import Fault
from goldpress.emulator.settings import Model
from goldpress.fleet.ending import Waiting
from goldpress.fleet.journal import RollState
from goldpress.fleet.learning import failing
from goldpress.fleet.shortage import shortage_of

ZONES = tuple(f"{REGION}{zone}" for zone in "abcdef")
WEB = f"111111111111/{REGION}/web"
LAUNCHED = "Launching a new EC2 instance: i-0123456789abcdef0"


def refresh(*, status: str = "InProgress", ended: str = "", turned: str = "") -> Refresh:
    return Refresh(
        id="r", status=status, percentage=0, to_update=4, reason="", desired=None,
        started="2026-01-01T00:00:00Z", ended=ended, rollback=bool(turned), turned=turned,
    )  # fmt: skip


def activity(
    minute: int, message: str = "", *, status: str = "", description: str = "", cause: str = ""
) -> Activity:
    told = description or "Launching a new EC2 instance."
    return Activity(
        id=str(minute), status=status or ("Failed" if message else "Successful"),
        description=f"{told}  Status Reason: {message}" if message else told, cause=cause,
        message=message, started=f"2026-01-01T00:{minute:02}:00Z", ended="",
    )  # fmt: skip


SHORT = "We currently do not have sufficient t3.micro capacity in the Availability Zone you "
SPOT = "Could not launch Spot Instances."
UNWELL = "Instance became unhealthy while waiting to be in InService state. Termination Reason:"
WORDS = [
    (f"{SHORT}requested (us-east-1a). Launching EC2 instance failed.", "AWS has no capacity"),
    (f"{SPOT} UnfulfillableCapacity - Unable to fulfill.", "no capacity"),
    (f"{SPOT} MaxSpotInstanceCountExceeded - Max spot instance count exceeded.", "Spot instances"),
    (
        "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested too much.",
        "quota of running instances",
    ),
    (
        "You have requested more instances (7) than your current instance limit of 6 allows.",
        "quota of running instances",
    ),
    ("There are not enough free addresses in subnet 'subnet-1' for it.", "no free address"),
    (f"{UNWELL} Client.InternalError: Client error on launch", "key of the volumes"),
    ("Client.VolumeLimitExceeded: Volume limit exceeded", "quota of EBS storage"),
    ("Request limit exceeded. Launching EC2 instance failed.", "EC2 is too busy"),
]


@pytest.mark.parametrize(("message", "told"), WORDS)
def test_what_aws_says_of_a_shortage_is_known(message: str, told: str) -> None:
    found = shortage_of([activity(9, message), activity(5, message)], refresh())
    assert found is not None
    assert told in found.told
    assert found.since == "2026-01-01T00:05:00Z"
    assert "Launching EC2 instance failed" not in found.text


@pytest.mark.parametrize(
    "message",
    [
        "Instance failed to launch: it went from pending to terminated.",
        f"{UNWELL} Client.InstanceInitiatedShutdown: Instance initiated shutdown",
        "The image id '[ami-1]' does not exist. Launching EC2 instance failed.",
    ],
)
def test_what_may_be_the_images_fault_is_no_shortage(message: str) -> None:
    assert shortage_of([activity(9, message)], refresh()) is None


def test_a_shortage_that_is_over_is_none() -> None:
    rows = [activity(9, description=LAUNCHED), activity(5, WORDS[0][0])]
    assert shortage_of(rows, refresh()) is None


def test_what_was_short_before_the_refresh_or_on_the_way_back_is_not_its_shortage() -> None:
    rows = [activity(30, WORDS[0][0]), activity(9, description=LAUNCHED)]
    assert shortage_of(rows, refresh(turned="2026-01-01T00:30:00Z")) is None
    late = refresh(ended="2026-01-01T00:30:00Z", status="Failed")
    assert shortage_of(rows, late) is None
    assert shortage_of([], refresh()) is None


@pytest.mark.parametrize(
    "by",
    [
        "an EC2 health check indicating it has been terminated or stopped",
        "an ELB system health check failure",
        "an EC2 instance status check failure",
    ],
)
def test_a_shortage_after_an_instance_that_was_not_well_is_the_images(by: str) -> None:
    ended = activity(
        8,
        description="Terminating EC2 instance: i-0123456789abcdef0",
        cause=f"At 2026-01-01T00:08:00Z an instance was taken out of service in response to {by}.",
    )
    rows = [activity(9, WORDS[0][0]), ended, activity(5, description=LAUNCHED)]
    assert shortage_of(rows, refresh()) is None
    # One that another launch has brought is none of its own.
    assert shortage_of(rows[:2], refresh()) is not None


# ---- whole rolls ----


def starve(fleet: Rolled, *, more: int = 0) -> None:
    """From now on no zone has room for more than runs, and so many."""
    machines = fleet.place(fleet.plan.groups[0]).machines
    machines.capacity.update({zone: machines.running[zone] + more for zone in ZONES})


def feed(fleet: Rolled) -> None:
    fleet.place(fleet.plan.groups[0]).machines.capacity.clear()


def untouched(fleet: Rolled) -> bool:
    return fleet.duties.done == [] and not fleet.state.held and fleet.state.failure is None


def test_want_of_capacity_pauses_tells_the_cause_and_holds_nothing(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    starve(fleet)
    person = fleet.person()
    assert person.why.startswith(f"{WEB}: nothing is launched: AWS has no capacity for the group's")
    assert "We currently do not have sufficient" in person.why
    assert "give the group more instance types or zones" in person.why
    assert person.why.endswith("the image is not held for it")
    assert person.hint == "then `./inv roll.resume prod` goes on"
    assert untouched(fleet)
    assert fleet.state.phase == "rolling"
    # AWS would have taken it back, by launches that it does not get either.
    fleet.cloud.advance(60)
    assert [row.status for row in fleet.refreshes(WEB)] == ["Cancelled"]
    assert fleet.amis(WEB) == {OLD: 4}
    # Whoever looks again is told the same, and nothing begins.
    assert fleet.person().why == person.why
    assert len(fleet.called("StartInstanceRefresh")) == 1
    feed(fleet)
    fleet.write(resumed)
    fleet.finished()
    assert fleet.amis(WEB) == {NEW: 4}


def resumed(state: RollState) -> RollState:
    return replace(state, paused="")


def test_capacity_that_ends_half_way_leaves_what_is_new(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    while fleet.amis(WEB)[NEW] < 2:
        assert isinstance(fleet.tick(), Waiting)
        fleet.cloud.advance(60)
    starve(fleet)
    # What an old one leaves behind may be used again: nothing is free for another launch.
    fleet.cloud.every(1, lambda: starve(fleet))
    fleet.person()
    fleet.cloud.advance(600)
    fleet.tick()
    assert untouched(fleet)
    assert fleet.amis(WEB)[NEW] >= 2
    assert fleet.state.group(WEB).state == "cancelled"


def test_a_short_want_of_capacity_is_told_and_passes(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    starve(fleet)
    fleet.tick()
    fleet.cloud.advance(700)
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert "nothing is launched: AWS has no capacity" in ending.text
    feed(fleet)
    fleet.finished()
    assert len(fleet.called("StartInstanceRefresh")) == 1
    assert fleet.called("CancelInstanceRefresh") == []


@pytest.mark.parametrize("hours", [1.2, 6])
def test_what_aws_takes_back_for_want_of_capacity_while_nobody_looks_is_no_failure(
    tmp_path: Path, hours: float
) -> None:
    fleet = small(tmp_path, canary=False)
    starve(fleet)
    fleet.tick()
    fleet.cloud.advance(hours * 3600)
    assert fleet.refreshes(WEB)[0].rollback
    person = fleet.person()
    assert "AWS has no capacity" in person.why
    assert untouched(fleet)
    feed(fleet)
    fleet.cloud.advance(3 * 3600)
    assert "AWS has no capacity" in fleet.person().why
    fleet.write(resumed)
    fleet.finished()
    assert fleet.amis(WEB) == {NEW: 4}


def test_throttled_launches_are_no_fault_of_the_image(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    fleet.place(fleet.plan.groups[0]).machines.bucket = (0.5, 0.0)
    assert "EC2 is too busy" in fleet.person().why
    assert untouched(fleet)


def test_a_bad_image_in_a_shortage_is_still_held(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(serves=500), canary=False)
    # One is launched; for another one there is no room.
    starve(fleet, more=0)
    machines = fleet.place(fleet.plan.groups[0]).machines
    machines.capacity[ZONES[0]] += 1
    person = fleet.person()
    assert "was taken back everywhere, and is held" in person.why
    assert "1 new instances failed" in person.why
    assert [row.split()[0] for row in fleet.duties.done] == ["hold", "propose"]


def test_a_bad_image_whose_end_nobody_saw_is_held_whatever_was_short_then(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(serves=500), canary=False)
    machines = fleet.place(fleet.plan.groups[0]).machines
    fleet.tick()
    fleet.cloud.advance(30)
    # The first one was launched; none after it.
    starve(fleet)
    machines.capacity = dict.fromkeys(ZONES, 0)
    fleet.cloud.advance(2 * 3600)
    machines.capacity.clear()
    fleet.cloud.advance(2 * 3600)
    fleet.person()
    assert fleet.state.failure is not None
    assert fleet.duties.done[0].startswith("hold")


def test_an_image_that_never_runs_is_held(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(never_runs=1.0), canary=False)
    fleet.person()
    assert fleet.duties.done[0].startswith("hold")
    assert fleet.amis(WEB) == {OLD: 4}


def test_while_activities_cannot_be_read_nobody_is_blamed(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    starve(fleet)
    fleet.tick()
    fleet.cloud.advance(4 * 3600)
    fleet.cloud.faults.append(
        Fault(operation="DescribeScalingActivities", code="AccessDenied", message="no", times=0)
    )
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert f"{WEB} cannot be seen: " in ending.text
    assert untouched(fleet)
    fleet.cloud.faults.clear()
    assert "AWS has no capacity" in fleet.person().why


def test_rolled_back_by_hand_after_a_shortage_everything_is_as_before(tmp_path: Path) -> None:
    a = Named(name="a")
    fleet = Rolled(root=tmp_path, groups=(a,), waves=(wave("all", a),), canary=False)
    starve(fleet, more=0)
    fleet.person()
    fleet.write(lambda state: failing(state, "by hand", fleet.now(), by_hand=True))
    feed(fleet)
    fleet.person()
    assert fleet.state.phase == "rolled-back"
    assert fleet.amis(a.key) == {OLD: 4}
    assert fleet.state.paused == ""
