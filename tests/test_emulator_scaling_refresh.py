"""Instance refresh to AWS's documented rules: states, pace, checkpoints, bake, what it skips."""

from __future__ import annotations

from typing import Any

import pytest
from scaled import PREFERENCES, stage

from goldpress.emulator.settings import Model

BROKEN = Model(median_seconds=60.0, sigma=0.0, serves=500)
NEVER = Model(median_seconds=60.0, sigma=0.0, never_healthy=1.0)


def test_a_refresh_replaces_all_launching_first() -> None:
    found = stage(desired=10)
    found.watch()
    refresh = found.start(BakeTime=300)
    assert found.status == "Pending"
    assert "StartTime" not in found.refresh
    done = found.over("Successful")
    assert done["InstanceRefreshId"] == refresh
    assert (done["PercentageComplete"], done["InstancesToUpdate"]) == (100, 0)
    assert found.versions == {"2": 10}
    assert found.seen == ["InProgress", "Baking", "Successful"]
    assert (found.lowest, found.highest) == (10, 11)
    causes = found.causes()
    assert sum("launched in response to an instance refresh." in cause for cause in causes) == 10
    assert sum("taken out of service in response to an instance" in cause for cause in causes) == 10


def test_the_group_follows_on_success_only() -> None:
    """[M] StartInstanceRefresh: the group's settings become the desired configuration then."""
    found = stage(desired=2)
    found.start(BakeTime=600)
    found.until(lambda: found.status == "Baking")
    assert found.described["LaunchTemplate"]["Version"] == "1"
    found.over("Successful")
    assert found.described["LaunchTemplate"]["Version"] == "2"


def test_without_a_desired_configuration_the_groups_own_holds() -> None:
    """terraform-provider-aws#34189: the group is updated before, so there is nothing to go back."""
    found = stage(desired=2)
    found.asg(
        "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": "2"},
    )
    found.asg("start_instance_refresh")
    found.cloud.advance(60)
    assert "DesiredConfiguration" not in found.refresh
    assert found.refused("IrreversibleInstanceRefresh", "rollback_instance_refresh") == (
        "The instance refresh has no desired configuration."
    )
    found.over("Successful")
    assert found.versions == {"2": 2}


def test_the_defaults_terminate_and_launch_at_once() -> None:
    """[M] defaults: 90 percent, no maximum, no skip matching, no rollback, wait for protected."""
    found = stage(desired=10)
    found.watch()
    found.asg("start_instance_refresh")
    preferences = found.refresh["Preferences"]
    assert preferences["MinHealthyPercentage"] == 90
    assert "MaxHealthyPercentage" not in preferences
    assert (preferences["SkipMatching"], preferences["AutoRollback"]) == (False, False)
    assert preferences["ScaleInProtectedInstances"] == preferences["StandbyInstances"] == "Wait"
    before = set(found.ids)
    found.over("Successful")
    assert not before & set(found.ids)
    assert (found.lowest, found.highest) == (9, 10)


def test_a_group_of_one_is_down_with_the_maximum_omitted() -> None:
    """alphagov/tech-ops#211: MinHealthyPercentage 100 did not save the only instance."""
    found = stage(desired=1)
    found.watch()
    found.asg("start_instance_refresh", Preferences={"MinHealthyPercentage": 100})
    found.over("Successful")
    assert (found.lowest, found.highest) == (0, 1)
    safe = stage(desired=1)
    safe.watch()
    safe.start()
    safe.over("Successful")
    assert (safe.lowest, safe.highest) == (1, 2)


def test_an_explicit_maximum_of_100_launches_first() -> None:
    found = stage(desired=4)
    found.watch()
    found.start(MaxHealthyPercentage=100)
    found.over("Successful")
    assert (found.lowest, found.highest) == (4, 5)


def test_a_wide_range_replaces_faster() -> None:
    found = stage(desired=10)
    found.watch()
    began = found.cloud.clock.at
    found.start(MinHealthyPercentage=100, MaxHealthyPercentage=200)
    found.over("Successful")
    assert (found.lowest, found.highest) == (10, 20)
    assert found.cloud.clock.at - began < 300


def test_the_groups_maintenance_policy_is_the_default() -> None:
    """[M] RefreshPreferences: "or the percentage set in the instance maintenance policy"."""
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    found = stage(desired=4, InstanceMaintenancePolicy=policy)
    found.asg("start_instance_refresh")
    assert {key: found.refresh["Preferences"][key] for key in policy} == policy


def test_the_surge_may_pass_the_groups_maximum_size() -> None:
    """Tools that raise desired are stopped by the maximum (eks-rolling-update#4); a refresh not."""
    found = stage(desired=4, most=4)
    found.watch()
    found.start()
    found.over("Successful")
    assert found.highest == 5
    assert found.described["MaxSize"] == 4


def test_skip_matching_leaves_what_matches() -> None:
    found = stage(desired=4)
    found.start()
    found.until(lambda: found.refresh["PercentageComplete"] == 50)
    found.asg("cancel_instance_refresh")
    found.over("Cancelled")
    found.cloud.advance(300)
    kept = {m.id for m in found.group.members.every.values() if m.live and m.template.number == 2}  # type: ignore[union-attr]
    assert kept
    found.start()
    found.over("Successful")
    assert kept <= set(found.ids)
    ids = set(found.ids)
    found.start()
    assert found.over("Successful")["PercentageComplete"] == 100
    assert ids == set(found.ids)
    found.start(SkipMatching=False, AutoRollback=False)
    found.over("Successful")
    assert not ids & set(found.ids)


def test_warm_up_is_waited_for() -> None:
    found = stage(desired=2)
    found.start(InstanceWarmup=600)
    found.cloud.advance(120)
    reason = found.refresh["StatusReason"]
    assert reason.startswith("Waiting for instances to warm up before continuing. For example: i-")
    assert found.refresh["PercentageComplete"] == 0
    began = found.cloud.clock.at
    found.over("Successful")
    assert found.cloud.clock.at - began > 1050


def test_the_reason_names_who_is_not_healthy_yet() -> None:
    """[D] and public reports: the words of StatusReason."""
    slow = Model(median_seconds=400.0, sigma=0.0)
    found = stage(desired=2, models={"ami-b": slow}, grace=900)
    found.start()
    found.cloud.advance(200)
    assert found.refresh["StatusReason"].endswith(
        "has insufficient data to evaluate its health with Elastic Load Balancing."
    )


def test_checkpoints_pause_and_go_on() -> None:
    found = stage(desired=10)
    found.start(CheckpointPercentages=[20, 50, 100], CheckpointDelay=1200)
    found.until(lambda: found.refresh["PercentageComplete"] == 20)
    since = found.cloud.clock.at
    found.cloud.advance(1000)
    assert found.versions == {"1": 8, "2": 2}
    assert found.refresh["InstancesToUpdate"] == 8
    assert "Waiting at the checkpoint of 20 percent" in found.refresh["StatusReason"]
    found.until(lambda: found.refresh["PercentageComplete"] == 50)
    assert found.cloud.clock.at - since > 1200
    found.over("Successful", hours=4)
    assert found.versions == {"2": 10}


def test_the_last_checkpoint_ends_the_refresh_whatever_it_is() -> None:
    """[D] "To partially refresh": Successful at 20 percent, at once, and the group is updated.

    Whoever wants to stop at a part and decide later asks for [20, 100] and cancels.
    """
    found = stage(desired=10)
    found.start(CheckpointPercentages=[20], CheckpointDelay=172_800)
    done = found.over("Successful")
    assert (done["PercentageComplete"], done["InstancesToUpdate"]) == (20, 0)
    assert found.versions == {"1": 8, "2": 2}
    assert found.described["LaunchTemplate"]["Version"] == "2"
    found.asg("set_desired_capacity", DesiredCapacity=11)
    found.cloud.advance(60)
    assert found.versions == {"1": 8, "2": 3}


def test_a_cancelled_wave_leaves_the_group_alone() -> None:
    found = stage(desired=10)
    found.start(CheckpointPercentages=[20, 100], CheckpointDelay=172_800)
    found.until(lambda: "checkpoint" in found.refresh.get("StatusReason", ""))
    found.cloud.advance(24 * 3600)
    assert found.versions == {"1": 8, "2": 2}
    found.asg("cancel_instance_refresh")
    done = found.over("Cancelled")
    assert done["StatusReason"] == "Cancelled due to user request."
    assert done["PercentageComplete"] == 20
    found.cloud.advance(3600)
    assert found.versions == {"1": 8, "2": 2}
    assert found.described["LaunchTemplate"]["Version"] == "1"
    found.asg("set_desired_capacity", DesiredCapacity=11)
    found.cloud.advance(60)
    assert found.versions == {"1": 9, "2": 2}


def test_small_groups_skip_checkpoints() -> None:
    """[D] two instances and [10, 40, 100]: the second checkpoint is the first that is reached."""
    found = stage(desired=2)
    found.start(CheckpointPercentages=[10, 40, 100], CheckpointDelay=900)
    found.until(lambda: found.refresh["PercentageComplete"] == 50)
    assert "checkpoint of 40 percent" in found.refresh["StatusReason"]
    began = found.cloud.clock.at
    found.over("Successful")
    assert 900 < found.cloud.clock.at - began < 1800


def test_a_scale_out_repeats_a_checkpoint() -> None:
    """[D] "an in-progress operation could reach a checkpoint again"."""
    found = stage(desired=4, most=12)
    found.start(CheckpointPercentages=[50, 100], CheckpointDelay=600)
    found.until(lambda: "checkpoint" in found.refresh.get("StatusReason", ""))
    found.asg("set_desired_capacity", DesiredCapacity=6)
    found.cloud.advance(30)
    assert "checkpoint" not in found.refresh.get("StatusReason", "")
    found.until(lambda: "checkpoint of 50" in found.refresh.get("StatusReason", ""))
    # What is launched during a refresh has its version.
    assert found.versions == {"1": 2, "2": 4}


def test_an_autoscaler_that_moves_desired_is_respected() -> None:
    """ansible#30400, nomad-autoscaler#596: the live desired capacity, never another one."""
    found = stage(desired=6, most=20)
    found.start()
    found.cloud.advance(120)
    found.asg("set_desired_capacity", DesiredCapacity=12)
    found.cloud.advance(300)
    assert found.group.members.live in {12, 13}
    found.asg("set_desired_capacity", DesiredCapacity=4)
    found.over("Successful")
    found.cloud.advance(120)
    assert found.versions == {"2": 4}
    assert found.described["DesiredCapacity"] == 4


def test_cancelling_waits_for_what_moves() -> None:
    found = stage(desired=4)
    found.start()
    found.cloud.advance(8)
    assert found.states() == {"InService": 4, "Pending": 1}
    found.asg("cancel_instance_refresh")
    assert found.status == "Cancelling"
    assert found.states() == {"InService": 4, "Pending": 1}
    assert found.refused("ActiveInstanceRefreshNotFound", "cancel_instance_refresh").endswith("web")
    found.over("Cancelled")
    found.cloud.advance(300)
    assert sum(found.versions.values()) == 4


def test_cancelling_at_once() -> None:
    """[M] WaitForTransitioningInstances false."""
    found = stage(desired=4)
    found.start()
    found.cloud.advance(8)
    found.asg("cancel_instance_refresh", WaitForTransitioningInstances=False)
    assert found.refresh["StatusReason"].startswith("Cancelled without waiting for ongoing")
    assert found.status == "Cancelled"


def test_one_at_a_time() -> None:
    found = stage(desired=2)
    found.start()
    wanted = {"LaunchTemplate": {"LaunchTemplateId": found.template, "Version": "3"}}
    message = found.refused(
        "InstanceRefreshInProgress", "start_instance_refresh", DesiredConfiguration=wanted
    )
    assert message == (
        "An Instance Refresh is already in progress and blocks the execution of this Instance "
        "Refresh."
    )
    other = {"LaunchTemplateId": found.template, "Version": "3"}
    message = found.refused("ValidationError", "update_auto_scaling_group", LaunchTemplate=other)
    assert message.startswith("An active instance refresh with a desired configuration exists.")
    found.asg("update_auto_scaling_group", MaxSize=9)


def test_nothing_to_cancel_or_roll_back() -> None:
    found = stage(desired=2)
    for operation in ("cancel_instance_refresh", "rollback_instance_refresh"):
        message = found.refused("ActiveInstanceRefreshNotFound", operation)
        assert message == (
            "No in progress or pending Instance Refresh found for Auto Scaling group web"
        )


def test_history_is_of_six_weeks_and_has_pages() -> None:
    found = stage(desired=0)
    for version in (2, 3, 2):
        found.start(version)
        found.over("Successful")
    rows = found.asg("describe_instance_refreshes", MaxRecords=2)
    rest = found.asg("describe_instance_refreshes", MaxRecords=2, NextToken=rows["NextToken"])
    ids = [row["InstanceRefreshId"] for row in rows["InstanceRefreshes"]]
    ids += [row["InstanceRefreshId"] for row in rest["InstanceRefreshes"]]
    assert ids == [row.id for row in reversed(found.group.refreshes)]
    one = found.asg("describe_instance_refreshes", InstanceRefreshIds=[ids[2]])
    assert len(one["InstanceRefreshes"]) == 1
    found.cloud.advance(43 * 24 * 3600)
    assert found.asg("describe_instance_refreshes")["InstanceRefreshes"] == []


@pytest.mark.parametrize(
    ("preferences", "wanted"),
    [
        ({"MinHealthyPercentage": 101}, "less than or equal to 100"),
        ({"MaxHealthyPercentage": 201}, "less than or equal to 200"),
        ({"MaxHealthyPercentage": 110}, "you must also specify MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 160}, "cannot be greater than 100"),
        ({"CheckpointPercentages": [50, 20]}, "unique numbers from 1 to 100 in ascending order"),
        ({"CheckpointPercentages": [20, 20]}, "unique numbers from 1 to 100"),
        ({"CheckpointPercentages": [50], "CheckpointDelay": 172_801}, "equal to 172800"),
        ({"CheckpointDelay": 60}, "CheckpointDelay needs CheckpointPercentages."),
        ({"BakeTime": 172_801}, "less than or equal to 172800"),
        ({"StandbyInstances": "Refresh"}, "Member must satisfy enum value set: [Terminate, Ignore"),
        ({"ScaleInProtectedInstances": "Terminate"}, "value set: [Refresh, Ignore, Wait]"),
        ({"AlarmSpecification": {"Alarms": [f"a{i}" for i in range(11)]}}, "up to 10 alarms"),
        ({"AlarmSpecification": {"Alarms": ["none"]}}, "The CloudWatch alarm none does not exist."),
        ({"AutoRollback": True}, "cannot be enabled without a desired configuration"),
    ],
)
def test_preferences_that_cannot_be(preferences: dict[str, Any], wanted: str) -> None:
    found = stage(desired=1)
    message = found.refused("ValidationError", "start_instance_refresh", Preferences=preferences)
    assert wanted in message


@pytest.mark.parametrize(
    ("desired", "wanted"),
    [
        ({}, "must contain either LaunchTemplate"),
        ({"LaunchTemplate": {"LaunchTemplateName": "none"}}, "template none and version $Default"),
        ({"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "9"}}, "web and version 9"),
        ({"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "new"}}, "version: new"),
        ({"LaunchTemplate": {"LaunchTemplateName": "web", "LaunchTemplateId": "lt-0"}}, "not both"),
    ],
)
def test_configurations_that_cannot_be(desired: dict[str, Any], wanted: str) -> None:
    found = stage(desired=1)
    message = found.refused(
        "ValidationError", "start_instance_refresh", DesiredConfiguration=desired
    )
    assert wanted in message


def test_mixed_groups_need_a_policy_and_lose_types_that_it_leaves_out() -> None:
    found = stage(desired=1)
    client = found.service("autoscaling")
    spec = {"LaunchTemplateId": found.template, "Version": "1"}
    types = [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}]

    def policy(version: str, rows: list[dict[str, str]]) -> dict[str, Any]:
        template = {"LaunchTemplateSpecification": {**spec, "Version": version}, "Overrides": rows}
        return {"LaunchTemplate": template}

    client.create_auto_scaling_group(
        AutoScalingGroupName="mixed", MinSize=0, MaxSize=8, DesiredCapacity=4,
        AvailabilityZones=["us-east-1a"], MixedInstancesPolicy=policy("1", types),
        DefaultInstanceWarmup=30,
    )  # fmt: skip
    found.cloud.advance(300)
    group = found.place.scaling.group("mixed")
    wanted = {"LaunchTemplate": {**spec, "Version": "2"}}
    assert "has to have one, too" in found.refused(
        "ValidationError", "start_instance_refresh", AutoScalingGroupName="mixed",
        DesiredConfiguration=wanted,
    )  # fmt: skip
    before = {m.id for m in group.members.every.values() if m.type == "m5a.large"}
    client.start_instance_refresh(
        AutoScalingGroupName="mixed", Preferences=PREFERENCES,
        DesiredConfiguration={"MixedInstancesPolicy": policy("1", types[1:])},
    )  # fmt: skip
    found.cloud.advance(1800)
    assert group.refreshes[-1].status == "Successful"
    assert {m.type for m in group.members.every.values()} == {"m5a.large"}
    assert before <= set(group.members.every)


@pytest.mark.parametrize("choice", ["Wait", "Ignore", "Refresh"])
def test_protected_instances(choice: str) -> None:
    """[M] ScaleInProtectedInstances: Wait fails after an hour."""
    found = stage(desired=3)
    kept = found.ids[0]
    found.asg("set_instance_protection", InstanceIds=[kept], ProtectedFromScaleIn=True)
    found.start(ScaleInProtectedInstances=choice, AutoRollback=False)
    if choice == "Wait":
        found.until(lambda: found.versions == {"1": 1, "2": 2})
        found.cloud.advance(600)
        assert found.refresh["StatusReason"] == (
            f"Waiting for remaining instances to be available. For example: {kept} is protected. "
            "Remove instance scale-in protection to continue."
        )
        began = found.cloud.clock.at
        done = found.over("Failed")
        assert "is protected" in done["StatusReason"]
        assert 2400 < found.cloud.clock.at - began < 3700
        return
    done = found.over("Successful")
    assert done["PercentageComplete"] == 100
    assert (kept in found.ids) == (choice == "Ignore")


def test_protection_that_is_removed_in_time_lets_a_refresh_go_on() -> None:
    found = stage(desired=2)
    found.asg("set_instance_protection", InstanceIds=found.ids, ProtectedFromScaleIn=True)
    found.start()
    found.cloud.advance(1800)
    assert found.versions == {"1": 2}
    old = [m.id for m in found.group.members.every.values() if m.protected]
    found.asg("set_instance_protection", InstanceIds=old, ProtectedFromScaleIn=False)
    found.over("Successful")


@pytest.mark.parametrize("choice", ["Wait", "Ignore", "Terminate"])
def test_instances_in_standby(choice: str) -> None:
    found = stage(desired=3)
    away = found.ids[0]
    found.asg("enter_standby", InstanceIds=[away], ShouldDecrementDesiredCapacity=True)
    found.cloud.advance(60)
    found.start(StandbyInstances=choice, AutoRollback=False)
    if choice == "Wait":
        done = found.over("Failed")
        assert f"{away} is in standby. Return it to service" in done["StatusReason"]
        assert found.versions == {"2": 2}
        return
    found.over("Successful")
    assert found.states().get("Standby", 0) == (1 if choice == "Ignore" else 0)
    assert found.versions == {"2": 2}


def test_a_suspended_refresh_rests() -> None:
    found = stage(desired=4)
    found.start()
    found.cloud.advance(100)
    found.asg("suspend_processes", ScalingProcesses=["InstanceRefresh"])
    found.cloud.advance(5 * 3600)
    assert found.status == "InProgress"
    assert found.versions["1"] >= 3
    found.asg("resume_processes")
    found.over("Successful")


@pytest.mark.parametrize("process", ["Launch", "Terminate"])
def test_a_group_that_may_not_launch_or_end_fails_its_refresh(process: str) -> None:
    found = stage(desired=2)
    found.asg("suspend_processes", ScalingProcesses=[process])
    found.start(AutoRollback=False)
    assert found.over("Failed")["StatusReason"].startswith("Timed out after an hour.")


def test_an_image_that_never_passes_fails_after_an_hour() -> None:
    """[D] "waits for a time period of up to 60 minutes"; the old instances still serve."""
    found = stage(desired=4, models={"ami-b": BROKEN})
    found.watch()
    began = found.cloud.clock.at
    found.start(AutoRollback=False)
    done = found.over("Failed")
    assert 3600 <= found.cloud.clock.at - began < 3700
    assert "Elastic Load Balancing" in done["StatusReason"] or "EC2" in done["StatusReason"]
    assert done["PercentageComplete"] == 0
    # Up to its failure all old ones served. Then there is one too many, and the termination policy
    # takes one of the oldest version, a good one, for a bad one that is in its grace period.
    assert found.lowest == 3
    # What is launched from now on is the group's own again.
    found.until(lambda: found.versions == {"1": 4})


def test_launches_that_fail_fail_the_refresh() -> None:
    found = stage(desired=2)
    for zone in found.place.networks.zones():
        found.place.machines.capacity[zone] = 0
    found.start(AutoRollback=False)
    found.over("Failed")
    failed = [row for row in found.activities() if row["StatusCode"] == "Failed"]
    assert "sufficient t3.small capacity" in failed[0]["StatusMessage"]
    assert found.versions == {"1": 2}


def test_the_longest_refresh_takes_fourteen_days() -> None:
    """[D] the maximum time that a refresh can remain active."""
    found = stage(desired=40)
    found.start(
        CheckpointPercentages=list(range(2, 101, 2)), CheckpointDelay=172_800, AutoRollback=False
    )
    done = found.over("Failed", hours=15 * 24, step=3600)
    assert done["StatusReason"] == "The instance refresh has run for 14 days."
