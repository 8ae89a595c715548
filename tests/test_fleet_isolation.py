"""Quarantine: an instance out of service and back, with every change in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleets import ROOT, TARGETS, described, described_instance
from stubbed import ACCOUNT, REGION, Stubbed

from goldpress.errors import CloudError, ConflictError, MissingError
from goldpress.fleet.isolation import isolate, journal_of, put_back
from goldpress.fleet.place import Place
from goldpress.store import Objects, Store

ONE = "i-00000000000000001"
VOLUME = {
    "VolumeId": "vol-1",
    "Attachments": [{"InstanceId": ONE, "Device": ROOT, "DeleteOnTermination": True}],
}


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Store(root=tmp_path).objects


def place(cloud: Stubbed) -> Place:
    return Place(account=ACCOUNT, region=REGION, access=cloud)


def runs(cloud: Stubbed, **tags: str) -> None:
    row = {"Reservations": [{"Instances": [described_instance(1, **tags)]}]}
    cloud.says("ec2", "describe_instances", row)


def member(cloud: Stubbed, state: str | None, group: str = "web-a") -> None:
    row = {
        "InstanceId": ONE, "AutoScalingGroupName": group, "LifecycleState": state or "",
        "AvailabilityZone": "us-east-1a", "HealthStatus": "HEALTHY", "ProtectedFromScaleIn": False,
    }  # fmt: skip
    cloud.says(
        "autoscaling", "describe_auto_scaling_instances",
        {"AutoScalingInstances": [row] if state else []},
    )  # fmt: skip


def grouped(cloud: Stubbed, **changes: Any) -> None:
    cloud.says(
        "autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroups": [described(**changes)]}
    )


def target(cloud: Stubbed, state: str = "healthy") -> None:
    row = {"Target": {"Id": ONE, "Port": 80}, "TargetHealth": {"State": state}}
    cloud.says("elbv2", "describe_target_health", {"TargetHealthDescriptions": [row]})


def kept(cloud: Stubbed, *, ends: bool) -> None:
    cloud.says(
        "ec2", "modify_instance_attribute", {},
        {
            "InstanceId": ONE,
            "BlockDeviceMappings": [{"DeviceName": ROOT, "Ebs": {"DeleteOnTermination": ends}}],
        },
    )  # fmt: skip


def looked_at(cloud: Stubbed) -> None:
    """What is asked before anything is changed."""
    runs(cloud)
    member(cloud, "InService")
    grouped(cloud)
    target(cloud)
    cloud.says("ec2", "describe_volumes", {"Volumes": [VOLUME]})


def standby(cloud: Stubbed) -> None:
    asked = {
        "AutoScalingGroupName": "web-a", "InstanceIds": [ONE],
        "ShouldDecrementDesiredCapacity": False,
    }  # fmt: skip
    cloud.says("autoscaling", "enter_standby", {}, asked)


def test_an_instance_goes_into_standby_and_another_comes_in_its_place(
    cloud: Stubbed, objects: Objects
) -> None:
    looked_at(cloud)
    cloud.says("ec2", "create_tags", {}, {
        "Resources": [ONE], "Tags": [{"Key": "goldpress:quarantine", "Value": "odd logs"}],
    })  # fmt: skip
    kept(cloud, ends=False)
    member(cloud, "InService")
    standby(cloud)
    target(cloud, "draining")
    found = isolate(objects, place(cloud), ONE, why="  odd\nlogs ")
    cloud.over()
    assert (found.way, found.group, found.devices, found.targets) == (
        "standby", "web-a", (ROOT,), (TARGETS,),
    )  # fmt: skip
    journal = journal_of(objects, place(cloud), ONE)
    assert journal.values["state"] == "isolated"
    assert journal.values["instance"] == found.document()


def test_what_the_balancer_still_has_is_taken_from_it(cloud: Stubbed, objects: Objects) -> None:
    looked_at(cloud)
    cloud.says("ec2", "create_tags", {})
    kept(cloud, ends=False)
    member(cloud, "InService")
    standby(cloud)
    target(cloud, "healthy")
    cloud.says(
        "elbv2", "deregister_targets", {}, {"TargetGroupArn": TARGETS, "Targets": [{"Id": ONE}]}
    )
    isolate(objects, place(cloud), ONE, why="odd")
    cloud.over()


def test_with_detach_the_group_knows_it_no_more(cloud: Stubbed, objects: Objects) -> None:
    """What is detached is never ended by a refresh, whoever starts it, however."""
    looked_at(cloud)
    cloud.says("ec2", "create_tags", {})
    kept(cloud, ends=False)
    member(cloud, "InService")
    cloud.says("autoscaling", "detach_instances", {}, {
        "AutoScalingGroupName": "web-a", "InstanceIds": [ONE],
        "ShouldDecrementDesiredCapacity": False,
    })  # fmt: skip
    target(cloud, "draining")
    assert isolate(objects, place(cloud), ONE, why="odd", detach=True).way == "detached"
    cloud.over()


def test_after_a_death_it_goes_on_with_what_was_written_down(
    cloud: Stubbed, objects: Objects
) -> None:
    """The disk does not go with it any more then: only the journal knows that it did."""
    looked_at(cloud)
    cloud.says("ec2", "create_tags", {})
    kept(cloud, ends=False)
    member(cloud, "InService")
    cloud.refuses("autoscaling", "enter_standby", "InternalFailure", "died")
    with pytest.raises(CloudError):
        isolate(objects, place(cloud), ONE, why="odd")
    runs(cloud)
    cloud.says("ec2", "create_tags", {})
    kept(cloud, ends=False)
    member(cloud, "EnteringStandby")
    target(cloud, "draining")
    found = isolate(objects, place(cloud), ONE, why="another reason")
    cloud.over()
    assert found.devices == (ROOT,)
    assert found.why == "odd"


@pytest.mark.parametrize("state", ["Pending:Wait", "Terminating", "Detaching"])
def test_what_aws_takes_nothing_out_of_is_refused(
    cloud: Stubbed, objects: Objects, state: str
) -> None:
    runs(cloud)
    member(cloud, state)
    with pytest.raises(ConflictError, match=f"{ONE} is {state} in web-a"):
        isolate(objects, place(cloud), ONE, why="odd")
    assert journal_of(objects, place(cloud), ONE).values == {}


def test_one_that_is_not_there_is_missing(cloud: Stubbed, objects: Objects) -> None:
    cloud.says("ec2", "describe_instances", {"Reservations": []})
    with pytest.raises(MissingError, match=f"{ONE} is not there"):
        isolate(objects, place(cloud), ONE, why="odd")


def isolated(cloud: Stubbed, objects: Objects) -> None:
    test_an_instance_goes_into_standby_and_another_comes_in_its_place(cloud, objects)


def freed(cloud: Stubbed) -> None:
    kept(cloud, ends=True)
    cloud.says("ec2", "delete_tags", {}, {
        "Resources": [ONE], "Tags": [{"Key": "goldpress:quarantine"}],
    })  # fmt: skip


def test_put_back_everything_is_as_it_was(cloud: Stubbed, objects: Objects) -> None:
    isolated(cloud, objects)
    runs(cloud)
    grouped(cloud, DesiredCapacity=3)
    member(cloud, "Standby")
    cloud.says("autoscaling", "exit_standby", {}, {
        "AutoScalingGroupName": "web-a", "InstanceIds": [ONE],
    })  # fmt: skip
    freed(cloud)
    grouped(cloud, DesiredCapacity=4)
    cloud.says("autoscaling", "set_desired_capacity", {}, {
        "AutoScalingGroupName": "web-a", "DesiredCapacity": 3, "HonorCooldown": False,
    })  # fmt: skip
    put_back(objects, place(cloud), ONE)
    cloud.over()
    assert journal_of(objects, place(cloud), ONE).values == {}


def test_an_autoscaler_that_has_changed_the_size_is_respected(
    cloud: Stubbed, objects: Objects
) -> None:
    """B3.3: what somebody else wants is not undone."""
    isolated(cloud, objects)
    runs(cloud)
    grouped(cloud, DesiredCapacity=3)
    member(cloud, "Standby")
    cloud.says("autoscaling", "exit_standby", {})
    grouped(cloud, DesiredCapacity=7)
    freed(cloud)
    put_back(objects, place(cloud), ONE)
    cloud.over()


def test_one_that_ended_meanwhile_lowers_the_size_as_well(cloud: Stubbed, objects: Objects) -> None:
    """B3.4: a death between two steps neither grows nor shrinks a group for good."""
    isolated(cloud, objects)
    runs(cloud)
    grouped(cloud, DesiredCapacity=3)
    member(cloud, "Standby")
    cloud.says("autoscaling", "exit_standby", {})
    cloud.refuses("ec2", "modify_instance_attribute", "InternalFailure", "died")
    with pytest.raises(CloudError):
        put_back(objects, place(cloud), ONE)
    cloud.says("ec2", "describe_instances", {"Reservations": []})
    grouped(cloud, DesiredCapacity=4)
    cloud.says("autoscaling", "set_desired_capacity", {})
    put_back(objects, place(cloud), ONE)
    cloud.over()


def test_a_full_group_has_no_room_for_it(cloud: Stubbed, objects: Objects) -> None:
    isolated(cloud, objects)
    runs(cloud)
    grouped(cloud, DesiredCapacity=8)
    member(cloud, "Standby")
    with pytest.raises(ConflictError, match="has 8 of at most 8 instances: there is no room"):
        put_back(objects, place(cloud), ONE)
    assert journal_of(objects, place(cloud), ONE).values["state"] == "isolated"


def test_one_that_is_not_in_quarantine_is_told(cloud: Stubbed, objects: Objects) -> None:
    with pytest.raises(MissingError, match="is not in quarantine, by the journal"):
        put_back(objects, place(cloud), ONE)
