"""Versions of launch templates: read, made from another one, and compared with it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fleets import NEW, NEW_IMAGE, OLD, TEMPLATE, described_version, ref, version
from stubbed import Stubbed

from goldpress.aws.templates import LaunchTemplates, create_request, differences, token_of
from goldpress.errors import CloudError

READ = "describe_launch_template_versions"


@pytest.fixture
def cloud() -> Stubbed:
    return Stubbed()


def templates(cloud: Stubbed) -> LaunchTemplates:
    return LaunchTemplates(client=cloud.client("ec2"), region="us-east-1")


def test_a_version_is_what_the_word_means_now(cloud: Stubbed) -> None:
    cloud.says(
        "ec2", READ, {"LaunchTemplateVersions": [described_version(7)]},
        {"LaunchTemplateId": TEMPLATE, "Versions": ["$Latest"]},
    )  # fmt: skip
    found = templates(cloud).version(ref("$Latest"))
    assert found.ref == ref("7")
    assert found.ami == OLD


def test_a_version_that_is_not_there_is_an_error(cloud: Stubbed) -> None:
    cloud.says("ec2", READ, {"LaunchTemplateVersions": []})
    with pytest.raises(CloudError, match="launch template web version 3 is not in us-east-1"):
        templates(cloud).version(ref())


def test_a_new_version_names_its_source_and_the_ami_only(cloud: Stubbed) -> None:
    asked = create_request(ref(), ami=NEW, digest=NEW_IMAGE, description="d" * 300)
    assert asked["LaunchTemplateData"] == {"ImageId": NEW}
    assert asked["SourceVersion"] == "3"
    assert len(asked["VersionDescription"]) == 255
    cloud.says(
        "ec2", "create_launch_template_version",
        {"LaunchTemplateVersion": {"LaunchTemplateId": TEMPLATE, "VersionNumber": 4}}, asked,
    )  # fmt: skip
    cloud.says("ec2", READ, {"LaunchTemplateVersions": [described_version(4, NEW)]})
    cloud.says("ec2", READ, {"LaunchTemplateVersions": [described_version(3)]})
    made = templates(cloud).create(ref(), ami=NEW, digest=NEW_IMAGE, description="d" * 300)
    assert made.ref == ref("4")
    cloud.over()


def test_a_version_that_is_not_its_source_is_refused(cloud: Stubbed) -> None:
    """An emulator that does not merge the source's data, or AWS in a way that nobody expects."""
    cloud.says("ec2", "create_launch_template_version", {
        "LaunchTemplateVersion": {"LaunchTemplateId": TEMPLATE, "VersionNumber": 4}
    })  # fmt: skip
    bare = described_version(4, NEW, LaunchTemplateData={"ImageId": NEW})
    cloud.says("ec2", READ, {"LaunchTemplateVersions": [bare]})
    cloud.says("ec2", READ, {"LaunchTemplateVersions": [described_version(3)]})
    with pytest.raises(CloudError, match=f"is not web version 3 with {NEW}: InstanceType differs"):
        templates(cloud).create(ref(), ami=NEW, digest=NEW_IMAGE, description="")


def test_the_same_request_has_the_same_token_and_no_other_has() -> None:
    tokens = {
        token_of(ref(number), ami=ami, digest=digest)
        for number in ("3", "4")
        for ami in (OLD, NEW)
        for digest in ("sha256:1", "sha256:2")
    }
    assert len(tokens) == 8
    assert token_of(ref("3"), ami=OLD, digest="sha256:1") in tokens
    # CreateLaunchTemplateVersion takes 128 ASCII characters at most.
    assert all(len(token) == 64 and token.isascii() for token in tokens)


def test_snapshots_of_the_sources_disks_belong_to_its_ami() -> None:
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "SnapshotId": "snap-1"}}
    bare = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}
    source = version("3", BlockDeviceMappings=[disk])
    assert differences(source, version("4", ami=NEW, BlockDeviceMappings=[bare]), ami=NEW) == []
    other = version("4", ami=OLD, BlockDeviceMappings=[])
    assert differences(source, other, ami=NEW) == [
        f"ImageId is {OLD}",
        "BlockDeviceMappings differs",
    ]


@pytest.mark.parametrize(
    ("code", "fails"),
    [("launchTemplateVersionDoesNotExist", False), ("unexpectedError", True)],
)
def test_to_delete_what_is_not_there_is_no_failure(cloud: Stubbed, code: str, fails: bool) -> None:
    cloud.says("ec2", "delete_launch_template_versions", {
        "UnsuccessfullyDeletedLaunchTemplateVersions": [
            {"LaunchTemplateId": TEMPLATE, "ResponseError": {"Code": code, "Message": "in use"}}
        ]
    })  # fmt: skip
    if not fails:
        templates(cloud).delete(ref())
        return
    with pytest.raises(CloudError, match="was not deleted: in use"):
        templates(cloud).delete(ref())


def test_user_data_is_decoded() -> None:
    data: dict[str, Any] = {"UserData": base64.b64encode(b"A=1\n").decode()}
    assert version(**data).user_data == b"A=1\n"
    assert version().user_data == b""
    with pytest.raises(CloudError, match="its user data is not base64"):
        _ = version(UserData="A").user_data


def test_a_parameter_is_resolved_when_that_is_asked(cloud: Stubbed) -> None:
    cloud.says(
        "ec2", READ, {"LaunchTemplateVersions": [described_version(3)]},
        {"LaunchTemplateId": TEMPLATE, "Versions": ["3"], "ResolveAlias": True},
    )  # fmt: skip
    assert templates(cloud).version(ref(), resolved=True).ami == OLD
