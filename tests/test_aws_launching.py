"""The launch of one machine from a template, as EC2's model takes it."""

from __future__ import annotations

from typing import Any

import pytest

from goldpress.aws.launching import TemplateLaunch
from goldpress.aws.scaling import TemplateRef
from goldpress.aws.templates import TemplateVersion
from goldpress.emulator.scaling.requests import well_formed

TOKEN = "goldpress-0123456789abcdef"  # noqa: S105 - a client token


def launch(data: dict[str, Any], **given: Any) -> TemplateLaunch:
    version = TemplateVersion(
        ref=TemplateRef(id="lt-1", name="web", version="2"), data=data, description="", by="",
        made="",
    )  # fmt: skip
    return TemplateLaunch(
        **{
            "token": TOKEN, "version": version, "key": "key", "group": "sg-login",
            "subnet": "subnet-1", "types": (), "tags": {"Name": "canary"}, **given,
        }
    )  # fmt: skip


def checked(wanted: TemplateLaunch) -> dict[str, Any]:
    """The arguments, which botocore's model has to take."""
    arguments = wanted.arguments()
    well_formed("ec2", "RunInstances", arguments)
    return arguments


def test_it_is_of_the_version_with_a_login_of_its_own_beside() -> None:
    found = checked(launch({"ImageId": "ami-1", "SecurityGroupIds": ["sg-web"]}))
    assert found["LaunchTemplate"] == {"LaunchTemplateId": "lt-1", "Version": "2"}
    assert found["SecurityGroupIds"] == ["sg-web", "sg-login"]
    assert (found["KeyName"], found["SubnetId"], found["ClientToken"]) == ("key", "subnet-1", TOKEN)
    assert found["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "ImageId" not in found
    assert "InstanceType" not in found
    tags = {row["Key"]: row["Value"] for row in found["TagSpecifications"][0]["Tags"]}
    assert tags == {"Name": "canary", "goldpress:launch": TOKEN}


def test_groups_are_said_where_the_template_says_them() -> None:
    # EC2 refuses both: InvalidParameterCombination.
    interface = {"DeviceIndex": 0, "Groups": ["sg-web"], "AssociatePublicIpAddress": True}
    found = checked(launch({"ImageId": "ami-1", "NetworkInterfaces": [interface]}))
    assert found["NetworkInterfaces"] == [
        {**interface, "Groups": ["sg-web", "sg-login"], "SubnetId": "subnet-1"}
    ]
    assert "SecurityGroupIds" not in found
    assert "SubnetId" not in found


@pytest.mark.parametrize(
    ("types", "wanted"), [((), None), (("c7i.large", "t3.small"), "c7i.large")]
)
def test_a_groups_own_type_wins_over_the_templates(
    types: tuple[str, ...], wanted: str | None
) -> None:
    found = checked(launch({"ImageId": "ami-1", "InstanceType": "t3.micro"}, types=types))
    assert found.get("InstanceType") == wanted


def test_without_a_subnet_the_templates_own_holds() -> None:
    assert "SubnetId" not in checked(launch({"ImageId": "ami-1"}, subnet=""))


def test_it_says_what_it_is_launched_from() -> None:
    assert launch({"ImageId": "ami-1"}).ami == "ami-1"


def test_the_models_check_finds_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="MinCount"):
        well_formed("ec2", "RunInstances", {**launch({}).arguments(), "MinCount": "one"})
