"""The fleet of a rehearsal: its requests, and that the embedded cloud makes it of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # noqa: TID251 - the models of AWS's own API
import pytest
from botocore.validate import ParamValidator  # noqa: TID251 - as above
from clouds import Account, block
from emulated import Emulator
from test_ami import AMI

from goldpress.ami import Ami
from goldpress.cloud import Cloud
from goldpress.errors import CloudError
from goldpress.machine import ssh
from goldpress.machine.process import Process
from goldpress.rehearsal import fleet
from goldpress.rehearsal.fleet import Fleet, find_fleet, make_fleet

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
BALANCER = f"{ARN}:loadbalancer/app/shop/50dc6c495c0c9188"
TARGETS = f"{ARN}:targetgroup/shop/6d0ecf831eec9f09"
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "CreateTargetGroup": ("elbv2", fleet.target_group_request("vpc-1")),
    "PutMetricAlarm": ("cloudwatch", fleet.alarm_request(BALANCER, TARGETS)),
    "CreateAutoScalingGroup": (
        "autoscaling", fleet.group_request("lt-1", TARGETS, "subnet-1,subnet-2", size=2)
    ),
    "CreateLaunchTemplate": (
        "ec2", {"LaunchTemplateName": "shop", "LaunchTemplateData": fleet.template_data(AMI, "k")}
    ),
}  # fmt: skip
ACCOUNT = "123456789012"
#: Where no other test is in the account that goldpress's own calls have.
REGION = "ca-central-1"
#: Above the highest pid that Linux gives: nothing can ever be ended by it.
NONE = Process(pid=4_194_305, start_ticks=-1, boot_id="")


def faults(service: str, operation: str, request: dict[str, Any]) -> str:
    session = boto3.session.Session()._session  # noqa: SLF001 - nothing else gives the model
    shape: Any = session.get_service_model(service).operation_model(operation).input_shape
    return str(ParamValidator().validate(request, shape).generate_report())


@pytest.mark.parametrize("operation", sorted(REQUESTS))
def test_requests_are_those_of_the_model(operation: str) -> None:
    service, request = REQUESTS[operation]
    assert faults(service, operation, request) == ""


@pytest.mark.parametrize("operation", sorted(REQUESTS))
def test_the_model_refuses_what_it_does_not_know(operation: str) -> None:
    service, request = REQUESTS[operation]
    assert "Unknown parameter" in faults(service, operation, {**request, "Colour": "red"})


def test_what_the_gates_rest_on() -> None:
    """A slow page ends before its instance does, and health is the load balancer's."""
    group = REQUESTS["CreateAutoScalingGroup"][1]
    assert (group["HealthCheckType"], group["LaunchTemplate"]["Version"]) == ("ELB", "1")
    assert group["MaxSize"] >= group["DesiredCapacity"]
    alarm = REQUESTS["PutMetricAlarm"][1]
    assert [row["Value"] for row in alarm["Dimensions"]] == [
        "app/shop/50dc6c495c0c9188", "targetgroup/shop/6d0ecf831eec9f09",
    ]  # fmt: skip
    assert "KeyName" not in fleet.template_data(AMI)


@pytest.fixture
def cloud(emulator: Emulator, tmp_path: Path) -> Cloud:
    return Cloud(directory=tmp_path, url=emulator.url, process=NONE)


@pytest.fixture
def made(cloud: Cloud, emulator: Emulator, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of three virtual machines, which become healthy as the clock goes on."""
    emulator.ask("settings", {"models": {"*": {"sigma": 0.0, "median_seconds": 30.0}}})
    account = Account(emulator=emulator, id=ACCOUNT, region=REGION)
    snapshot = account.made({0: block("a")})
    emulator.ask("clock", {"stopped": True})
    key = tmp_path / "key"
    ssh.make_login_key(key, comment="test")
    image = account.register(snapshot, Name="shop")
    ami = Ami(**{**vars_of(AMI), "ami": image, "account": ACCOUNT, "region": REGION})
    found = make_fleet(cloud, ami, region=REGION, size=3, key=key, driver="virtual")
    yield found
    emulator.ask("settings", {"driver": "virtual"})
    account.client("autoscaling").delete_auto_scaling_group(
        AutoScalingGroupName=fleet.NAME, ForceDelete=True
    )
    emulator.ask("clock", {"advance": 120})
    elb = account.client("elbv2")
    (row,) = elb.describe_load_balancers(Names=[fleet.NAME])["LoadBalancers"]
    elb.delete_load_balancer(LoadBalancerArn=row["LoadBalancerArn"])


def vars_of(ami: Ami) -> dict[str, Any]:
    return {name: getattr(ami, name) for name in ami.__dataclass_fields__}


def test_a_fleet_comes_up_behind_its_load_balancer_or_that_is_told(
    made: Fleet, cloud: Cloud, emulator: Emulator
) -> None:
    moments = iter([0.0, 10.0, fleet.IN_SERVICE_SECONDS + 1.0])
    with pytest.raises(
        CloudError, match="shop: 0 of 3 instances are healthy after 900 s"
    ) as caught:
        made.wait(3, now=lambda: next(moments), sleep=lambda _: None)
    assert caught.value.hint == f"their consoles are below {cloud.directory / 'machines'}"

    def sleep(_: float) -> None:
        emulator.ask("clock", {"advance": 30})

    made.wait(3, sleep=sleep)
    assert len(made.healthy()) == made.desired() == 3
    assert made.members().keys() == made.healthy()
    assert len(set(made.members().values())) == 1
    assert made.launched() == made.members()
    assert made.url == ""
    again = find_fleet(cloud, region=REGION)
    assert again == made
    assert emulator.ask("settings")["most_machines"] == 3 + fleet.SPARE_MACHINES


def test_there_is_none(cloud: Cloud) -> None:
    assert find_fleet(cloud, region="ca-west-1") is None
