"""Virtual instances: what launches, what does not, states that take time, fates that are drawn.

[M] is botocore's model of `ec2`; [D] "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from typing import Any

import pytest
from clouds import ROOT, Account, block, refused
from emulated import Emulator, new_account

A = block("a")


@pytest.fixture(autouse=True)
def virtual(emulator: Emulator) -> None:
    emulator.ask("settings", {"driver": "virtual", "models": {"*": {"sigma": 0.0}}})
    emulator.ask("clock", {"stopped": True})


@pytest.fixture
def ami(account: Account) -> str:
    account.client("ec2")
    snapshot = account.start()
    account.put(snapshot, 0, A)
    account.complete(snapshot, {0: A})
    account.emulator.ask("clock", {"advance": 1})
    return account.register(snapshot)


def checks(account: Account, instance_id: str) -> tuple[str, str]:
    (row,) = account.ec2.describe_instance_status(
        InstanceIds=[instance_id], IncludeAllInstances=True
    )["InstanceStatuses"]
    return row["InstanceStatus"]["Status"], row["SystemStatus"]["Status"]


def test_a_life(account: Account, ami: str, emulator: Emulator) -> None:
    """[M] InstanceState, InstanceStatusSummary: every state takes time."""
    made = account.run(ami)
    assert made["State"] == {"Code": 0, "Name": "pending"}
    instance_id = made["InstanceId"]
    assert account.instance(instance_id)["State"]["Name"] == "pending"
    assert checks(account, instance_id) == ("not-applicable", "not-applicable")
    emulator.ask("clock", {"advance": 2})
    assert account.instance(instance_id)["State"] == {"Code": 16, "Name": "running"}
    assert checks(account, instance_id) == ("initializing", "ok")
    emulator.ask("clock", {"advance": 20})
    assert checks(account, instance_id) == ("ok", "ok")
    (change,) = account.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == (
        "running",
        "shutting-down",
    )
    assert account.instance(instance_id)["State"]["Name"] == "shutting-down"
    emulator.ask("clock", {"advance": 1})
    ended = account.instance(instance_id)
    assert ended["State"] == {"Code": 48, "Name": "terminated"}
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    account.ec2.terminate_instances(InstanceIds=[instance_id])


def test_filters_and_waiters_see_the_states(account: Account, ami: str, emulator: Emulator) -> None:
    instance_id = account.run(ami)["InstanceId"]
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert account.ec2.describe_instances(Filters=running)["Reservations"] == []
    emulator.ask("clock", {"advance": 60})
    (found,) = account.ec2.describe_instances(Filters=running)["Reservations"]
    assert found["Instances"][0]["InstanceId"] == instance_id
    account.ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance_id])


def test_the_ami_makes_the_instance(account: Account, ami: str) -> None:
    """[M] Image.ImdsSupport: HttpTokens required, hop limit 2; the root volume is the AMI's."""
    made = account.run(ami)
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert made["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert (made["Architecture"], made["RootDeviceName"]) == ("x86_64", ROOT)
    assert made["VirtualizationType"] == "hvm"
    (disk,) = account.instance(made["InstanceId"])["BlockDeviceMappings"]
    (volume,) = account.ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    snapshot = account.image(ami)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert (volume["Size"], volume["VolumeType"], volume["SnapshotId"]) == (1, "gp3", snapshot)


def test_volumes_are_merged_by_device_name(account: Account, ami: str) -> None:
    """What a wrong root device name in a launch template does: a second, empty disk."""
    larger = account.run(ami, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"VolumeSize": 8}}])
    wrong = account.run(
        ami, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}]
    )
    sizes = []
    for made in (larger, wrong):
        disks = account.instance(made["InstanceId"])["BlockDeviceMappings"]
        ids = [disk["Ebs"]["VolumeId"] for disk in disks]
        volumes = account.ec2.describe_volumes(VolumeIds=ids)["Volumes"]
        sizes.append(sorted(volume["Size"] for volume in volumes))
    assert sizes == [[8], [1, 8]]


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"InstanceType": "t9.huge"}, "InvalidParameterValue", "InstanceType"),
        ({"InstanceType": "t4g.small"}, "InvalidParameterValue", "architecture 'arm64'"),
        ({"InstanceType": "t2.micro"}, "InvalidParameterValue", "boot mode of UEFI"),
        ({"KeyName": "none"}, "InvalidKeyPair.NotFound", "'none'"),
        ({"MinCount": 2}, "InvalidParameterValue", "MinCount"),
        ({"BlockDeviceMappings": [{"DeviceName": ROOT, "NoDevice": ""}]},
         "InvalidBlockDeviceMapping", "root volume"),
    ],
)  # fmt: skip
def test_what_does_not_launch(
    account: Account, ami: str, given: dict[str, Any], code: str, text: str
) -> None:
    assert text in refused(code, account.run, ami, **given)
    assert account.ec2.describe_instances()["Reservations"] == []


def test_amis_that_do_not_launch(account: Account, ami: str, emulator: Emulator) -> None:
    """[D] InvalidAMIID.NotFound, .Malformed, .Unavailable."""
    refused("InvalidAMIID.NotFound", account.run, "ami-0123456789abcdef0")
    refused("InvalidAMIID.Malformed", account.run, "web")
    other = Account(emulator=emulator, id=new_account())
    refused("InvalidAMIID.NotFound", other.run, ami)
    account.ec2.disable_image(ImageId=ami)
    assert "is disabled" in refused("InvalidAMIID.Unavailable", account.run, ami)
    account.ec2.enable_image(ImageId=ami)
    account.ec2.deregister_image(ImageId=ami)
    refused("InvalidAMIID.Unavailable", account.run, ami)


def test_an_ami_without_ena_does_not_launch_on_nitro(account: Account, ami: str) -> None:
    snapshot = account.image(ami)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    bare = account.register(snapshot, Name="bare", EnaSupport=False)
    message = refused("InvalidParameterCombination", account.run, bare)
    assert "(ENA) is required for the 't3.small' instance type" in message


def test_a_shared_ami_launches(account: Account, ami: str, emulator: Emulator) -> None:
    other = Account(emulator=emulator, id=new_account())
    account.ec2.modify_image_attribute(
        ImageId=ami, LaunchPermission={"Add": [{"UserId": other.id}]}
    )
    made = other.run(ami)
    assert (made["RootDeviceName"], made["ImageId"]) == (ROOT, ami)


def test_one_token_is_one_launch(account: Account, ami: str) -> None:
    """[M] RunInstances, ClientToken; [D] IdempotentParameterMismatch."""
    first = account.run(ami, ClientToken="t")["InstanceId"]
    assert account.run(ami, ClientToken="t")["InstanceId"] == first
    refused("IdempotentParameterMismatch", account.run, ami, ClientToken="t", MaxCount=2)
    assert len(account.ec2.describe_instances()["Reservations"]) == 1


def test_capacity(account: Account, ami: str, emulator: Emulator) -> None:
    """[D] InsufficientInstanceCapacity, in one zone; MaxCount is what is tried first."""
    emulator.ask("settings", {"zone_capacity": 2})
    asked = {"ImageId": ami, "InstanceType": "t3.small", "MinCount": 1}
    assert len(account.ec2.run_instances(**asked, MaxCount=2)["Instances"]) == 2
    message = refused("InsufficientInstanceCapacity", account.run, ami)
    assert "(us-east-1a): 1 wanted, room for 0" in message
    account.run(ami, Placement={"AvailabilityZone": "us-east-1b"})


def test_instances_of_a_bad_ami(account: Account, ami: str, emulator: Emulator) -> None:
    """Failure models are an AMI's: some never run, some never pass, some die later."""
    model = {"sigma": 0.0, "never_healthy": 1.0}
    emulator.ask("settings", {"models": {ami: model}})
    sick = account.run(ami)["InstanceId"]
    emulator.ask("clock", {"advance": 599})
    assert checks(account, sick)[0] == "initializing"
    emulator.ask("clock", {"advance": 2})
    assert checks(account, sick) == ("impaired", "ok")
    emulator.ask("settings", {"models": {ami: {"never_runs": 1.0}}})
    dead = account.instance(account.run(ami)["InstanceId"])
    assert (dead["State"]["Name"], dead["StateReason"]["Code"]) == (
        "terminated",
        "Server.InternalError",
    )
    emulator.ask(
        "settings", {"models": {ami: {"sigma": 0.0, "dies": 1.0, "dies_after_seconds": 700.0}}}
    )
    mortal = account.run(ami)["InstanceId"]
    emulator.ask("clock", {"advance": 600})
    assert checks(account, mortal)[0] == "ok"
    emulator.ask("clock", {"advance": 200})
    assert checks(account, mortal)[0] == "impaired"


def test_boot_times_have_a_distribution(account: Account, ami: str, emulator: Emulator) -> None:
    emulator.ask("settings", {"models": {ami: {"median_seconds": 60.0, "sigma": 0.5}}})
    made = account.ec2.run_instances(
        ImageId=ami, InstanceType="t3.small", MinCount=200, MaxCount=200
    )["Instances"]
    assert len(made) == 200
    healthy = []
    for _ in range(3):
        emulator.ask("clock", {"advance": 31})
        pages = account.ec2.get_paginator("describe_instance_status").paginate()
        rows = [row for page in pages for row in page["InstanceStatuses"]]
        healthy.append(sum(row["InstanceStatus"]["Status"] == "ok" for row in rows))
    assert 5 < healthy[0] < 50 < healthy[1] - healthy[0]
    assert 120 < healthy[2] < 195


def test_user_data_and_tags(account: Account, ami: str) -> None:
    made = account.run(
        ami, UserData="A=1\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": "v"}]}],
    )  # fmt: skip
    assert made["Tags"] == [{"Key": "k", "Value": "v"}]
    told = account.ec2.describe_instance_attribute(
        InstanceId=made["InstanceId"], Attribute="userData"
    )
    assert told["UserData"]["Value"] == "QT0xCg=="


def test_a_launch_template(account: Account, ami: str) -> None:
    account.ec2.create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={"ImageId": ami, "InstanceType": "t3.small", "UserData": "QT0xCg=="},
    )
    made = account.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "web"}, MinCount=1, MaxCount=1
    )["Instances"][0]
    assert (made["ImageId"], made["InstanceType"]) == (ami, "t3.small")


def test_an_alias_is_resolved(account: Account, ami: str) -> None:
    """[D] "Use a Systems Manager parameter to find an AMI"."""
    account.client("ssm").put_parameter(
        Name="/web/ami", Value=ami, Type="String", DataType="aws:ec2:image"
    )
    assert account.run("resolve:ssm:/web/ami")["ImageId"] == ami
    message = refused("InvalidParameterValue", account.run, "resolve:ssm:/web/none")
    assert message == "The SSM parameter '/web/none' does not exist"


def test_an_auto_scaling_group_launches_by_the_same_rules(account: Account, ami: str) -> None:
    account.ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": ami, "InstanceType": "t3.small"}
    )
    groups = account.client("autoscaling")
    given = {
        "AutoScalingGroupName": "web", "MinSize": 2, "MaxSize": 2,
        "AvailabilityZones": ["us-east-1a"],
        "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "$Latest"},
    }  # fmt: skip
    groups.create_auto_scaling_group(**given)
    rows = account.ec2.describe_instances()["Reservations"]
    images = {i["ImageId"] for row in rows for i in row["Instances"]}
    assert images == {ami}
    account.ec2.deregister_image(ImageId=ami)
    message = refused(
        "ValidationError", groups.create_auto_scaling_group,
        **{**given, "AutoScalingGroupName": "two"},
    )  # fmt: skip
    assert message.startswith("You must use a valid fully-formed launch template.")
    groups.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)


def test_console_output_comes_late(account: Account, ami: str) -> None:
    """[M] GetConsoleOutput; a virtual instance has nothing to show."""
    answer = account.ec2.get_console_output(InstanceId=account.run(ami)["InstanceId"], Latest=True)
    assert "Output" not in answer


def test_stopping(account: Account, ami: str, emulator: Emulator) -> None:
    instance_id = account.run(ami)["InstanceId"]
    emulator.ask("clock", {"advance": 5})
    account.ec2.stop_instances(InstanceIds=[instance_id])
    assert account.instance(instance_id)["State"]["Name"] == "stopping"
    emulator.ask("clock", {"advance": 5})
    assert account.instance(instance_id)["State"]["Name"] == "stopped"
    account.ec2.start_instances(InstanceIds=[instance_id])
    assert account.instance(instance_id)["State"]["Name"] == "pending"
