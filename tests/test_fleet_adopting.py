"""Adopting: a group goes from `$Latest`, `$Default` or a parameter to a numbered version, once."""

from __future__ import annotations

from typing import Any

import pytest
from fleets import OLD, TEMPLATE, described, described_instance, described_version, ref
from stubbed import ACCOUNT, REGION, Stubbed

from goldpress.errors import CloudError, ConflictError
from goldpress.fleet.adopting import adopt, look
from goldpress.fleet.place import Place

NAMED = {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": "web"}
PARAMETER = "resolve:ssm:/web/current"


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


def place(cloud: Stubbed) -> Place:
    return Place(account=ACCOUNT, region=REGION, access=cloud)


def looked_at(
    cloud: Stubbed, version: str, *, ami: str = OLD, refreshes: Any = (), **changes: Any
) -> None:
    """A group as it is observed."""
    template = {**NAMED, "Version": version}
    row = described(**{"LaunchTemplate": template, **changes})
    cloud.says("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroups": [row]})
    rows = {"Reservations": [{"Instances": [described_instance()]}]}
    cloud.says("ec2", "describe_instances", rows)
    read = "describe_launch_template_versions"
    number = int(version) if version.isdecimal() else 7
    if "LaunchConfigurationName" not in changes:
        data = {"ImageId": ami, "InstanceType": "t3.small"}
        versions = [described_version(number, LaunchTemplateData=data)]
        cloud.says("ec2", read, {"LaunchTemplateVersions": versions})
    cloud.says("autoscaling", "describe_instance_refreshes", {"InstanceRefreshes": list(refreshes)})


def resolved(cloud: Stubbed, ami: str = OLD) -> None:
    cloud.says(
        "ec2", "describe_launch_template_versions",
        {"LaunchTemplateVersions": [described_version(7, ami)]},
        {"LaunchTemplateId": TEMPLATE, "Versions": ["7"], "ResolveAlias": True},
    )  # fmt: skip


def set_to(cloud: Stubbed, version: str) -> None:
    cloud.says(
        "autoscaling", "update_auto_scaling_group", {},
        {"AutoScalingGroupName": "web-a", "LaunchTemplate": ref(version).specification()},
    )  # fmt: skip


def test_what_would_be_done_is_shown_and_nothing_is_changed(cloud: Stubbed) -> None:
    looked_at(cloud, "$Latest")
    found = look(place(cloud), "web-a")
    cloud.over()
    assert found.needed
    assert (found.before.version, found.to, found.ami) == ("$Latest", "7", OLD)
    assert "goes from web version $Latest to 7" in found.text


def test_a_group_goes_to_the_version_that_it_launches_now(cloud: Stubbed) -> None:
    looked_at(cloud, "$Latest")
    shown = look(place(cloud), "web-a")
    looked_at(cloud, "$Latest")
    looked_at(cloud, "$Latest")
    set_to(cloud, "7")
    looked_at(cloud, "7")
    assert adopt(place(cloud), "web-a", shown) == shown
    cloud.over()


def test_a_parameter_becomes_the_ami_that_it_names_now(cloud: Stubbed) -> None:
    looked_at(cloud, "7", ami=PARAMETER)
    resolved(cloud)
    shown = look(place(cloud), "web-a")
    assert (shown.to, shown.ami) == ("", OLD)
    assert "a new version, which is 7 with" in shown.text
    looked_at(cloud, "7", ami=PARAMETER)
    resolved(cloud)
    cloud.says("ec2", "create_launch_template_version", {
        "LaunchTemplateVersion": {"LaunchTemplateId": TEMPLATE, "VersionNumber": 8}
    })  # fmt: skip
    read = "describe_launch_template_versions"
    cloud.says("ec2", read, {"LaunchTemplateVersions": [described_version(8)]})
    cloud.says("ec2", read, {"LaunchTemplateVersions": [described_version(7)]})
    looked_at(cloud, "7", ami=PARAMETER)
    set_to(cloud, "8")
    looked_at(cloud, "8")
    adopt(place(cloud), "web-a", shown)
    cloud.over()


def test_a_group_with_a_number_has_nothing_to_be_done(cloud: Stubbed) -> None:
    looked_at(cloud, "3")
    found = look(place(cloud), "web-a")
    assert not found.needed
    assert "nothing to do" in found.text


def test_what_was_shown_is_what_is_done_or_nothing_is(cloud: Stubbed) -> None:
    looked_at(cloud, "$Latest")
    shown = look(place(cloud), "web-a")
    looked_at(cloud, "$Default")
    with pytest.raises(ConflictError, match="has changed since it was shown"):
        adopt(place(cloud), "web-a", shown)
    cloud.over()


def test_a_group_that_somebody_moves_back_at_once_is_told(cloud: Stubbed) -> None:
    stack = [{"Key": "aws:cloudformation:stack-name", "Value": "web", "ResourceId": "web-a",
              "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}]  # fmt: skip
    looked_at(cloud, "$Latest", Tags=stack)
    shown = look(place(cloud), "web-a")
    assert shown.owner == "the CloudFormation stack web"
    looked_at(cloud, "$Latest", Tags=stack)
    looked_at(cloud, "$Latest", Tags=stack)
    set_to(cloud, "7")
    looked_at(cloud, "$Latest", Tags=stack)
    with pytest.raises(CloudError, match=r"AWS took the change, and its version is \$Latest"):
        adopt(place(cloud), "web-a", shown)


def test_while_a_refresh_runs_nothing_is_moved(cloud: Stubbed) -> None:
    looked_at(cloud, "$Latest", refreshes=[{"InstanceRefreshId": "r-1", "Status": "InProgress"}])
    with pytest.raises(ConflictError, match="refresh r-1 is InProgress"):
        look(place(cloud), "web-a")


def test_a_launch_configuration_cannot_be_adopted(cloud: Stubbed) -> None:
    looked_at(cloud, "$Latest", LaunchTemplate={}, LaunchConfigurationName="lc")
    with pytest.raises(CloudError, match="launches from a launch configuration"):
        look(place(cloud), "web-a")


def test_a_parameter_that_nobody_can_resolve_is_refused(cloud: Stubbed) -> None:
    looked_at(cloud, "7", ami=PARAMETER)
    resolved(cloud, PARAMETER)
    with pytest.raises(CloudError, match="of which EC2 does not tell what it is now"):
        look(place(cloud), "web-a")
