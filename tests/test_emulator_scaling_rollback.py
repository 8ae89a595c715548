"""How a refresh is taken back: by hand, by itself, by an alarm, and where AWS refuses to."""

from __future__ import annotations

from typing import Any

import pytest
from scaled import Stage, stage

from goldpress.emulator.settings import Model

BROKEN = Model(median_seconds=60.0, sigma=0.0, serves=500)
ALARM = {
    "AlarmName": "errors", "Namespace": "AWS/ApplicationELB", "MetricName": "errors",
    "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
}  # fmt: skip


def halfway(**preferences: Any) -> Stage:
    """Two of four instances are new."""
    found = stage(desired=4)
    found.start(**preferences)
    found.until(lambda: found.refresh["PercentageComplete"] == 50)
    return found


def test_a_rollback_by_hand_restores_the_version_before() -> None:
    found = halfway(AutoRollback=False)
    found.watch()
    found.asg("rollback_instance_refresh")
    refresh = found.refresh
    assert refresh["Status"] == "RollbackInProgress"
    details = refresh["RollbackDetails"]
    assert details["RollbackReason"] == "User initiated a rollback."
    assert (details["PercentageCompleteOnRollback"], details["InstancesToUpdateOnRollback"]) == (
        50, 2,
    )  # fmt: skip
    percents = []
    while found.status == "RollbackInProgress":
        percents.append(found.refresh["PercentageComplete"])
        found.cloud.advance(20)
    # [M] "This value gradually goes back down to zero during a rollback."
    assert percents == sorted(percents, reverse=True)
    done = found.over("RollbackSuccessful")
    assert done["PercentageComplete"] == 0
    assert found.versions == {"1": 4}
    assert found.described["LaunchTemplate"]["Version"] == "1"
    assert found.lowest >= 4


def test_a_broken_image_is_taken_back_by_itself() -> None:
    found = stage(desired=4, models={"ami-b": BROKEN})
    found.watch()
    found.start()
    done = found.over("RollbackSuccessful")
    reason = done["RollbackDetails"]["RollbackReason"]
    assert reason.startswith("Automatic rollback: Timed out after an hour.")
    assert found.versions == {"1": 4}
    assert (found.lowest, found.highest) == (4, 5)


def test_the_group_moved_first_goes_back_to_the_bad_version() -> None:
    """terraform-provider-aws#34189: UpdateAutoScalingGroup before the refresh spoils its rollback.

    What the refresh goes back to is the group's own configuration, which is the new one already.
    """
    found = stage(desired=4, models={"ami-b": BROKEN})
    found.asg(
        "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": "2"},
    )
    found.start(SkipMatching=False)
    found.until(lambda: found.versions.get("2", 0) > 0)
    found.asg("rollback_instance_refresh")
    found.over("RollbackFailed", hours=4)
    assert found.versions.get("2", 0) > 0


@pytest.mark.parametrize("version", ["$Latest", "$Default"])
def test_a_group_that_follows_its_template_cannot_go_back(version: str) -> None:
    """[M] AutoRollback: not supported with $Latest or $Default; manual rollbacks neither."""
    found = stage(desired=2)
    found.asg(
        "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": version},
    )
    wanted = {"LaunchTemplate": {"LaunchTemplateId": found.template, "Version": "2"}}
    message = found.refused(
        "ValidationError", "start_instance_refresh", DesiredConfiguration=wanted,
        Preferences={"AutoRollback": True},
    )  # fmt: skip
    assert message == (
        "AutoRollback cannot be enabled: the group's launch template version is " + version + "."
    )
    found.start(AutoRollback=False)
    found.cloud.advance(30)
    message = found.refused("IrreversibleInstanceRefresh", "rollback_instance_refresh")
    assert message.endswith(f"version is {version}.")
    assert found.status == "InProgress"


def test_a_group_with_a_parameter_cannot_go_back() -> None:
    """[M] AutoRollback: not supported with a Systems Manager parameter as ImageId."""
    found = stage(desired=2)
    found.place.images["resolve:ssm:/web"] = found.place.images["ami-a"]
    answer = found.service("ec2").create_launch_template_version(
        LaunchTemplateId=found.template, SourceVersion="1",
        LaunchTemplateData={"ImageId": "resolve:ssm:/web"},
    )  # fmt: skip
    number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
    found.asg(
        "update_auto_scaling_group",
        LaunchTemplate={"LaunchTemplateId": found.template, "Version": number},
    )
    wanted = {"LaunchTemplate": {"LaunchTemplateId": found.template, "Version": "2"}}
    message = found.refused(
        "ValidationError", "start_instance_refresh", DesiredConfiguration=wanted,
        Preferences={"AutoRollback": True},
    )  # fmt: skip
    assert message.endswith("launch template uses an AWS Systems Manager parameter.")


@pytest.mark.parametrize("rollback", [True, False])
def test_an_alarm_fails_a_refresh_within_its_minute(rollback: bool) -> None:
    found = stage(desired=4)
    found.service("cloudwatch").put_metric_alarm(**ALARM)
    found.start(AutoRollback=rollback, AlarmSpecification={"Alarms": ["errors"]})
    found.until(lambda: found.refresh["PercentageComplete"] == 25)
    began = found.cloud.clock.at
    found.service("cloudwatch").put_metric_data(
        Namespace="AWS/ApplicationELB", MetricData=[{"MetricName": "errors", "Value": 9.0}]
    )
    done = found.over("RollbackSuccessful" if rollback else "Failed")
    words = "The CloudWatch alarm errors went into ALARM state."
    if rollback:
        assert done["RollbackDetails"]["RollbackReason"] == f"Automatic rollback: {words}"
        assert found.versions == {"1": 4}
        started = done["RollbackDetails"]["RollbackStartTime"].timestamp()
        assert started - began <= 120
    else:
        assert done["StatusReason"] == words
        assert found.versions["2"] >= 1


def test_an_alarm_while_baking_takes_all_back() -> None:
    found = stage(desired=2)
    found.service("cloudwatch").put_metric_alarm(**ALARM)
    found.start(BakeTime=1800, AlarmSpecification={"Alarms": ["errors"]})
    found.until(lambda: found.status == "Baking")
    found.service("cloudwatch").set_alarm_state(
        AlarmName="errors", StateValue="ALARM", StateReason="a test"
    )
    found.over("RollbackSuccessful")
    assert found.versions == {"1": 2}


def test_missing_data_are_no_alarm() -> None:
    found = stage(desired=1)
    found.service("cloudwatch").put_metric_alarm(**{**ALARM, "TreatMissingData": "missing"})
    found.start(AlarmSpecification={"Alarms": ["errors"]})
    found.over("Successful")


def test_a_rollback_can_be_cancelled() -> None:
    """[M] CancelInstanceRefresh: "an instance refresh or rollback that is in progress"."""
    found = halfway()
    found.asg("rollback_instance_refresh")
    assert found.refused("ActiveInstanceRefreshNotFound", "rollback_instance_refresh")
    found.cloud.advance(30)
    found.asg("cancel_instance_refresh")
    found.over("Cancelled")


def test_a_rollback_without_capacity_fails_after_an_hour() -> None:
    """[D] "the rollback workflow will still occur, but it will eventually fail"."""
    found = halfway()
    for zone in found.place.networks.zones():
        found.place.machines.capacity[zone] = 0
    found.asg("rollback_instance_refresh")
    began = found.cloud.clock.at
    done = found.over("RollbackFailed")
    assert found.cloud.clock.at - began >= 3600
    assert done["StatusReason"].startswith("Timed out after an hour.")


def test_what_is_over_cannot_be_rolled_back() -> None:
    """[D] "You can't roll it back after it's finished": a refresh to the old version is needed."""
    found = stage(desired=2)
    found.start()
    found.over("Successful")
    found.refused("ActiveInstanceRefreshNotFound", "rollback_instance_refresh")
    found.start(1)
    found.over("Successful")
    assert found.versions == {"1": 2}


def test_a_rollback_at_a_checkpoint() -> None:
    found = stage(desired=10)
    found.start(CheckpointPercentages=[10, 100], CheckpointDelay=172_800)
    found.until(lambda: "checkpoint" in found.refresh.get("StatusReason", ""))
    found.asg("rollback_instance_refresh")
    found.over("RollbackSuccessful")
    assert found.versions == {"1": 10}


@pytest.mark.parametrize(
    ("bad", "exposed"),
    [
        (Model(median_seconds=60.0, sigma=0.0, never_runs=1.0), 1),
        (Model(median_seconds=60.0, sigma=0.0, never_healthy=1.0), 1),
        (Model(median_seconds=60.0, sigma=0.0, bad_types=("t3.small",)), 1),
    ],
)
def test_images_that_never_serve_are_met_by_one_instance_at_a_time(
    bad: Model, exposed: int
) -> None:
    found = stage(desired=6, models={"ami-b": bad})
    found.watch()
    most = 0
    found.start()
    for _ in range(720):
        most = max(most, found.versions.get("2", 0))
        if found.status == "RollbackSuccessful":
            break
        found.cloud.advance(10)
    assert found.status == "RollbackSuccessful"
    assert most <= exposed
    assert found.lowest == 6


def test_an_image_that_is_bad_in_one_zone_stops_there() -> None:
    bad = Model(median_seconds=60.0, sigma=0.0, bad_zones=("b",))
    found = stage(desired=6, models={"ami-b": bad})
    found.watch()
    found.start()
    found.over("RollbackSuccessful", hours=4)
    assert found.lowest == 6
    assert found.versions == {"1": 6}


def test_an_image_that_dies_later_passes_without_a_bake_time() -> None:
    """Dies after 20 minutes: only a bake time, a soak or an alarm can see it."""
    dying = Model(median_seconds=60.0, sigma=0.0, dies=1.0, dies_after_seconds=1200.0)
    found = stage(desired=2, models={"ami-b": dying})
    found.start()
    found.over("Successful")
    found.watch()
    found.cloud.advance(3600)
    assert found.lowest < 2
    assert any("an EC2 instance status check failure" in cause for cause in found.causes())
