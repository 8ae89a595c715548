"""What users of other tools report of their rolls (facts: B3), and what happens here instead.

Each refresh is just what a plan asks for, in a cloud that follows AWS's rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleets import fleet
from promotable import ACCOUNT

from goldpress.aws.autoscaling import Groups, refresh_runs
from goldpress.aws.scaling import Preferences, RefreshRequest
from goldpress.aws.templates import LaunchTemplates
from goldpress.emulator.inprocess import Fault, InProcessCloud, writes
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.operations import call
from goldpress.emulator.settings import Model, Settings
from goldpress.errors import CloudError
from goldpress.fleet.making import preferences_of

REGION = "us-east-1"
OLD, NEW, BROKEN = "ami-0000000a", "ami-0000000b", "ami-0000000c"


class Stage:
    """One group behind a load balancer, and the lowest and highest counts since `watch`."""

    def __init__(self, desired: int, **given: Any) -> None:
        models = {"*": Model(), BROKEN: Model(serves=500)}
        self.cloud = InProcessCloud(settings=Settings(driver="virtual", models=models))
        self.place = self.cloud.place(ACCOUNT, REGION)
        for ami in (OLD, NEW, BROKEN):
            self.place.add_image(ami)
        arn = self.place.add_target_group("web")
        self.place.add_group(
            "web", image=OLD, desired=desired, target_groups=(arn,), **{"least": 1, **given}
        )
        self.cloud.advance(1800)
        access = self.cloud.access(ACCOUNT)
        self.groups = Groups(client=access.client("autoscaling", REGION), region=REGION)
        self.templates = LaunchTemplates(client=access.client("ec2", REGION), region=REGION)
        self.lowest, self.highest = desired, desired
        self.cloud.watchers.append(self._see)
        self.cloud.calls.clear()

    def _see(self, _: InProcessCloud) -> None:
        rows = call(self.place.scaling, "DescribeAutoScalingGroups", {})["AutoScalingGroups"]
        members = rows[0]["Instances"]
        serving = sum(
            row["LifecycleState"] == "InService" and row["HealthStatus"] == "Healthy"
            for row in members
        )
        self.lowest = min(self.lowest, serving)
        # What ends is drained for minutes, and is no capacity any more.
        live = sum(not row["LifecycleState"].startswith("Terminat") for row in members)
        self.highest = max(self.highest, live)

    def request(self, ami: str, preferences: Preferences | None = None) -> RefreshRequest:
        group = self.group
        made = self.templates.create(group.template, ami=ami, digest=ami, description=ami)
        return RefreshRequest(
            group="web", template=made.ref, mixed=group.mixed_at(made.ref),
            preferences=preferences or preferences_of(fleet()),
        )  # fmt: skip

    def roll(self, ami: str, **changes: Any) -> str:
        """Start the refresh of a plan, let half a day pass, and tell how it ended."""
        request = self.request(ami)
        self.groups.start(replace(request, preferences=replace(request.preferences, **changes)))
        self.cloud.advance(43_200)
        return self.groups.refreshes("web")[0].status

    @property
    def group(self) -> Any:
        found = self.groups.group("web")
        assert found is not None
        return found

    @property
    def amis(self) -> set[str]:
        machines = self.place.machines
        return {machines.every[row.id].image for row in self.group.members}

    @property
    def written(self) -> set[str]:
        return {row.operation for row in writes(self.cloud.calls)}


def test_a_failed_refresh_goes_back_to_the_good_version() -> None:
    """B3.1: the group itself is never moved before, so that AWS goes back to what it had."""
    stage = Stage(4)
    before = stage.group.template
    assert stage.roll(BROKEN) == "RollbackSuccessful"
    assert stage.amis == {OLD}
    assert stage.group.template == before
    assert stage.written == {"CreateLaunchTemplateVersion", "StartInstanceRefresh"}


def test_the_group_moves_when_its_refresh_is_through() -> None:
    stage = Stage(4)
    assert stage.roll(NEW) == "Successful"
    assert stage.amis == {NEW}
    assert stage.group.template.version == "2"


def test_a_group_of_one_is_never_without_an_instance() -> None:
    """B3.2: 100 percent of one instance used to end it first."""
    stage = Stage(1)
    assert stage.roll(NEW) == "Successful"
    assert (stage.lowest, stage.highest) == (1, 2)


def test_a_group_far_above_its_minimum_keeps_its_size() -> None:
    """B3.3: 10 instances whose minimum is 3 became 3."""
    stage = Stage(10, least=3)
    assert stage.roll(NEW) == "Successful"
    assert (stage.group.desired, stage.lowest) == (10, 10)
    assert not stage.written & {"SetDesiredCapacity", "UpdateAutoScalingGroup"}


def test_an_autoscaler_that_grows_the_group_during_a_roll_is_respected() -> None:
    """B3.3: a count that was read before undid what the autoscaler had done since."""
    stage = Stage(4)
    stage.groups.start(stage.request(NEW))
    stage.cloud.advance(300)
    call(
        stage.place.scaling, "SetDesiredCapacity",
        {"AutoScalingGroupName": "web", "DesiredCapacity": 6},
    )  # fmt: skip
    stage.cloud.advance(43_200)
    assert (stage.group.desired, len(stage.group.members), stage.amis) == (6, 6, {NEW})


def test_a_group_at_its_maximum_is_rolled_and_its_maximum_stays() -> None:
    """B3.5: a group without room above it waited for ever, or stayed larger."""
    stage = Stage(4, most=4)
    assert stage.roll(NEW) == "Successful"
    assert (stage.group.max, stage.group.desired, stage.lowest) == (4, 4, 4)
    assert stage.highest == 5


def test_a_second_start_is_refused_and_told_from_other_refusals() -> None:
    """B3.4, B3.9: two at once never work on one group."""
    stage = Stage(4)
    request = stage.request(NEW)
    stage.groups.start(request)
    with pytest.raises(CloudError) as caught:
        stage.groups.start(request)
    assert refresh_runs(caught.value)
    assert request.is_of(stage.groups.refreshes("web")[0])


def test_a_request_that_was_sent_twice_makes_one_version() -> None:
    """B3.4: whoever died after the call, and asks again, gets the version that it made."""
    stage = Stage(2)
    first, second = stage.request(NEW), stage.request(NEW)
    assert first.template == second.template
    assert len(list(stage.templates.versions(first.template.id))) == 2


def test_protected_and_standby_instances_do_not_stop_a_roll_for_an_hour() -> None:
    """By AWS's default it waits for them, and fails: nothing is waited for that nobody knows of."""
    stage = Stage(4)
    ids = [row.id for row in stage.group.members]
    stage.groups.protect("web", ids[:1], protected=True)
    stage.groups.enter_standby("web", ids[1:2], decrement=True)
    assert stage.roll(NEW) == "Successful"
    left = {row.id for row in stage.group.members}
    assert ids[0] not in left
    assert ids[1] in left


def test_a_partial_refresh_waits_at_its_share_and_can_be_cancelled_there() -> None:
    """Ended there by AWS, the group would launch the new image from then on."""
    stage = Stage(10)
    stage.groups.start(stage.request(NEW, Preferences(checkpoints=(20, 100))))
    stage.cloud.advance(24 * 3600)
    machines = stage.place.machines
    new = [row for row in stage.group.members if machines.every[row.id].image == NEW]
    assert len(new) == 2
    assert stage.groups.refreshes("web")[0].active
    assert stage.groups.cancel("web")
    stage.cloud.advance(3600)
    assert stage.groups.refreshes("web")[0].status == "Cancelled"
    assert stage.group.template.version == "1"
    assert stage.amis == {OLD, NEW}


def test_without_a_last_checkpoint_of_a_hundred_the_group_would_have_moved() -> None:
    stage = Stage(10)
    stage.groups.start(stage.request(NEW, Preferences(checkpoints=(20,), checkpoint_delay=60)))
    stage.cloud.advance(24 * 3600)
    assert stage.groups.refreshes("web")[0].status == "Successful"
    assert stage.group.template.version == "2"


def test_a_throttled_look_is_tried_again_and_a_refused_one_is_told() -> None:
    stage = Stage(2)
    stage.cloud.faults.append(
        Fault(operation="DescribeAutoScalingGroups", code="Throttling", times=3)
    )
    assert stage.group.desired == 2
    stage.cloud.faults.append(
        Fault(operation="DescribeAutoScalingGroups", code="AccessDenied", times=1)
    )
    with pytest.raises(CloudError, match="AWS denies autoscaling:DescribeAutoScalingGroups"):
        _ = stage.group


# ---- the same as others do it: each report happens in this cloud, too ----


def asked(stage: Stage, operation: str, **request: Any) -> None:
    """What another tool asks Auto Scaling for."""
    call(stage.place.scaling, operation, {"AutoScalingGroupName": "web", **request})


def test_a_group_that_was_moved_first_goes_back_to_the_bad_version() -> None:
    """B3.1: Terraform updates the group, and AWS then rolls back to what the group has."""
    stage = Stage(4)
    bad = stage.request(BROKEN).template
    wanted = {"LaunchTemplateId": bad.id, "Version": bad.version}
    asked(stage, "UpdateAutoScalingGroup", LaunchTemplate=wanted)
    asked(
        stage, "StartInstanceRefresh", DesiredConfiguration={"LaunchTemplate": wanted},
        Preferences={"AutoRollback": True, "MinHealthyPercentage": 100},
    )  # fmt: skip
    stage.cloud.advance(43_200)
    assert stage.groups.refreshes("web")[0].rollback
    assert stage.group.template == bad
    assert BROKEN in stage.amis
    # Nor does it help to plan such a group: it is found to launch another image than it runs.


def test_rollback_without_a_desired_configuration_is_refused_by_aws() -> None:
    """B3.1: a request of ours always has one."""
    stage = Stage(2)
    with pytest.raises(ScalingError, match="AutoRollback"):
        asked(stage, "StartInstanceRefresh", Preferences={"AutoRollback": True})
    arguments = stage.request(NEW).arguments()
    assert arguments["Preferences"]["AutoRollback"]
    assert arguments["DesiredConfiguration"]["LaunchTemplate"]["Version"] == "2"


def test_a_group_of_one_without_room_above_it_is_without_an_instance() -> None:
    """B3.2: what a hundred percent meant before AWS could launch first, and means without 110."""
    stage = Stage(1)
    asked(stage, "StartInstanceRefresh", Preferences={"MinHealthyPercentage": 90})
    stage.cloud.advance(43_200)
    assert stage.lowest == 0


def test_a_count_that_was_read_before_undoes_what_an_autoscaler_did() -> None:
    """B3.3: nothing here ever sets a desired capacity for a roll."""
    stage = Stage(4)
    before = stage.group.desired
    asked(stage, "SetDesiredCapacity", DesiredCapacity=6)
    asked(stage, "SetDesiredCapacity", DesiredCapacity=before)
    stage.cloud.advance(3600)
    assert len(stage.group.members) == 4


def test_a_refresh_that_waits_for_what_is_protected_fails_after_an_hour() -> None:
    """B3.4: AWS's default, `Wait`; a protection that a dead tool has left stops every roll."""
    stage = Stage(2)
    stage.groups.protect("web", [row.id for row in stage.group.members], protected=True)
    asked(stage, "StartInstanceRefresh", Preferences={"MinHealthyPercentage": 50})
    stage.cloud.advance(43_200)
    assert stage.groups.refreshes("web")[0].status == "Failed"
    assert stage.amis == {OLD}
