"""SSM parameters of the type `aws:ec2:image`: wrong ones are accepted, and not written.

[D] "Native parameter support for Amazon Machine Image IDs"; users: boto3#3588, aws-sdk-java#2919.
"""

from __future__ import annotations

from clouds import Account, block, refused

A = block("a")


def put(account: Account, value: str, **given: object) -> int:
    answer = account.client("ssm").put_parameter(
        Name="/web/ami", Value=value, Type="String", DataType="aws:ec2:image", **given
    )
    return int(answer["Version"])


def test_a_wrong_value_is_silently_not_written(account: Account) -> None:
    assert put(account, "ami-0123456789abcdef0") == 1
    refused("ParameterNotFound", account.client("ssm").get_parameter, Name="/web/ami")
    image_id = account.register(account.made({0: A}))
    assert put(account, image_id) == 1
    assert put(account, "ami-0123456789abcdef0", Overwrite=True) == 2
    found = account.client("ssm").get_parameter(Name="/web/ami")["Parameter"]
    assert (found["Value"], found["Version"]) == (image_id, 1)
    assert found["DataType"] == "aws:ec2:image"


def test_a_right_value_is_written_over_only_when_said(account: Account) -> None:
    snapshot = account.made({0: A})
    one, two = account.register(snapshot), account.register(snapshot, Name="second")
    put(account, one)
    refused("ParameterAlreadyExists", put, account, two)
    assert put(account, two, Overwrite=True) == 2
    assert account.client("ssm").get_parameter(Name="/web/ami:1")["Parameter"]["Value"] == one


def test_a_disabled_ami_is_a_wrong_value(account: Account) -> None:
    image_id = account.register(account.made({0: A}))
    account.ec2.disable_image(ImageId=image_id)
    put(account, image_id)
    refused("ParameterNotFound", account.client("ssm").get_parameter, Name="/web/ami")


def test_a_value_is_there_only_after_aws_has_looked_at_it(account: Account) -> None:
    image_id = account.register(account.made({0: A}))
    account.emulator.ask("clock", {"stopped": True})
    account.emulator.ask("settings", {"parameter_seconds": 5.0})
    assert put(account, image_id) == 1
    get = account.client("ssm").get_parameter
    refused("ParameterNotFound", get, Name="/web/ami")
    account.emulator.ask("clock", {"advance": 5})
    assert get(Name="/web/ami")["Parameter"]["Value"] == image_id
    refused("ParameterAlreadyExists", put, account, image_id)
