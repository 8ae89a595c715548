"""Launch templates: versions merge, disappear, and keep their numbers. [M] botocore's model."""

from __future__ import annotations

import pytest
from clouds import Account, refused

DATA = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.small", "UserData": "QT0x"}


@pytest.fixture
def template(account: Account) -> str:
    made = account.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=DATA)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def add(account: Account, template: str, **given: object) -> dict[str, object]:
    answer = account.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"ImageId": "ami-11111111"}, **given
    )
    found: dict[str, object] = answer["LaunchTemplateVersion"]
    return found


def numbers(account: Account, template: str, **given: object) -> list[int]:
    answer = account.ec2.describe_launch_template_versions(LaunchTemplateId=template, **given)
    return [row["VersionNumber"] for row in answer["LaunchTemplateVersions"]]


def test_a_version_inherits_its_source(account: Account, template: str) -> None:
    """[M] SourceVersion: "inherits the same launch parameters as the source version"."""
    merged = add(account, template, SourceVersion="1")
    assert merged["LaunchTemplateData"] == {**DATA, "ImageId": "ami-11111111"}
    alone = add(account, template)
    assert alone["LaunchTemplateData"] == {"ImageId": "ami-11111111"}
    assert (merged["VersionNumber"], merged["DefaultVersion"]) == (2, False)
    refused("InvalidLaunchTemplateId.VersionNotFound", add, account, template, SourceVersion="9")


def test_one_token_is_one_version(account: Account, template: str) -> None:
    first = add(account, template, ClientToken="t")
    assert add(account, template, ClientToken="t")["VersionNumber"] == first["VersionNumber"]
    refused(
        "IdempotentParameterMismatch", add, account, template, ClientToken="t", SourceVersion="1"
    )
    assert numbers(account, template) == [2, 1]


def test_versions_are_deleted_and_numbers_not_used_again(account: Account, template: str) -> None:
    """[M] DeleteLaunchTemplateVersions: not the default one."""
    add(account, template)
    add(account, template)
    answer = account.ec2.delete_launch_template_versions(
        LaunchTemplateId=template, Versions=["1", "3", "7"]
    )
    done = answer["SuccessfullyDeletedLaunchTemplateVersions"]
    assert [row["VersionNumber"] for row in done] == [3]
    failed = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert [(row["VersionNumber"], row["ResponseError"]["Code"]) for row in failed] == [
        (1, "unexpectedError"),
        (7, "launchTemplateVersionDoesNotExist"),
    ]
    assert numbers(account, template, Versions=["$Latest"]) == [2]
    assert add(account, template)["VersionNumber"] == 4
    assert numbers(account, template) == [4, 2, 1]
    assert numbers(account, template, MinVersion="2", MaxVersion="3") == [2]


def test_the_default_version_moves(account: Account, template: str) -> None:
    add(account, template)
    account.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    assert numbers(account, template, Versions=["$Default"]) == [2]


def test_all_templates_latest_versions(account: Account, template: str) -> None:
    add(account, template)
    account.ec2.create_launch_template(LaunchTemplateName="two", LaunchTemplateData=DATA)
    describe = account.ec2.describe_launch_template_versions
    rows = describe(Versions=["$Latest"])["LaunchTemplateVersions"]
    assert sorted((row["LaunchTemplateName"], row["VersionNumber"]) for row in rows) == [
        ("two", 1),
        ("web", 2),
    ]
    refused("MissingParameter", describe, Versions=["1"])


def test_aliases_are_resolved_when_asked(account: Account) -> None:
    account.client("ssm").put_parameter(Name="/web", Value="ami-2", Type="String")
    account.ec2.create_launch_template(
        LaunchTemplateName="alias", LaunchTemplateData={"ImageId": "resolve:ssm:/web"}
    )
    describe = account.ec2.describe_launch_template_versions
    plain = describe(LaunchTemplateName="alias")["LaunchTemplateVersions"][0]
    assert plain["LaunchTemplateData"]["ImageId"] == "resolve:ssm:/web"
    found = describe(LaunchTemplateName="alias", ResolveAlias=True)["LaunchTemplateVersions"][0]
    assert found["LaunchTemplateData"]["ImageId"] == "ami-2"


def test_user_data_of_a_version_launches(account: Account, template: str) -> None:
    answer = account.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"UserData": "Qj0y"}
    )
    data = answer["LaunchTemplateVersion"]["LaunchTemplateData"]
    assert data == {**DATA, "UserData": "Qj0y"}
