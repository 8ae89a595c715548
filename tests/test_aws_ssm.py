"""SSM's parameters that name AMIs: written, and read back until they are so."""

from __future__ import annotations

from typing import Any

import pytest
from clouds import Account, block

from goldpress.aws import ssm
from goldpress.aws.ssm import IMAGE, Parameters
from goldpress.errors import CloudError, ConflictError

NAME = "/goldpress/web/prod/current"
TAGS = {"goldpress:channel": "prod"}


@pytest.fixture
def parameters(account: Account, monkeypatch: pytest.MonkeyPatch) -> Parameters:
    monkeypatch.setattr(ssm, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(ssm, "WRITTEN_SECONDS", 0.3)
    account.emulator.ask("settings", {"complete_seconds": 0.0})
    return Parameters(client=account.client("ssm"), region=account.region)


@pytest.fixture
def amis(account: Account) -> tuple[str, str]:
    snapshot = account.made({0: block("a")})
    return account.register(snapshot), account.register(snapshot, Name="second")


def versions(parameters: Parameters) -> list[str]:
    rows = parameters.client.get_parameter_history(Name=NAME)["Parameters"]
    return [row["Value"] for row in rows]


def test_it_is_made_with_tags_then_changed_and_left_alone(
    parameters: Parameters, amis: tuple[str, str]
) -> None:
    assert parameters.get(NAME) is None
    for _ in range(2):
        parameters.write(NAME, amis[0], tags=TAGS)
    found = parameters.get(NAME)
    assert found is not None
    assert (found.value, found.data_type, found.version) == (amis[0], IMAGE, 1)
    rows = parameters.client.list_tags_for_resource(ResourceType="Parameter", ResourceId=NAME)
    assert rows["TagList"] == [{"Key": "goldpress:channel", "Value": "prod"}]
    parameters.write(NAME, amis[1], tags=TAGS)
    assert versions(parameters) == list(amis)


def test_a_value_that_aws_swallows_is_an_error(
    parameters: Parameters, amis: tuple[str, str]
) -> None:
    wrong = "ami-0123456789abcdef0"
    with pytest.raises(CloudError) as caught:
        parameters.write(NAME, wrong, tags={})
    assert caught.value.message == (
        f"{NAME} in us-east-1: AWS took the value {wrong} and did not keep it: it is not there"
    )
    assert "ec2:DescribeImages" in caught.value.hint
    parameters.write(NAME, amis[0], tags={})
    with pytest.raises(CloudError, match=f"did not keep it: it is {amis[0]}\n"):
        parameters.write(NAME, wrong, tags={})


def test_a_value_that_comes_late_is_waited_for(
    parameters: Parameters, amis: tuple[str, str], account: Account
) -> None:
    account.emulator.ask("settings", {"parameter_seconds": 0.1})
    parameters.write(NAME, amis[0], tags={})
    assert versions(parameters) == [amis[0]]


def test_a_lost_answer_is_no_failure(
    parameters: Parameters, amis: tuple[str, str], account: Account
) -> None:
    lost = {"service": "ssm", "action": "PutParameter", "way": "after", "status": 400}
    account.emulator.fail({**lost, "code": "ParameterAlreadyExists"})
    parameters.write(NAME, amis[0], tags={})
    assert versions(parameters) == [amis[0]]


def test_a_parameter_of_another_kind_is_left_alone(
    parameters: Parameters, amis: tuple[str, str]
) -> None:
    parameters.client.put_parameter(Name=NAME, Value="mine", Type="String")
    with pytest.raises(ConflictError, match=r"is there as text, not as aws:ec2:image"):
        parameters.write(NAME, amis[0], tags={})
    assert versions(parameters) == ["mine"]


@pytest.mark.parametrize("action", ["GetParameter", "PutParameter"])
def test_a_refusal_is_told(
    parameters: Parameters, amis: tuple[str, str], account: Account, action: str
) -> None:
    denied: dict[str, Any] = {"service": "ssm", "action": action, "status": 400}
    account.emulator.fail({**denied, "code": "AccessDeniedException", "times": 0})
    with pytest.raises(CloudError, match=f"AWS denies ssm:{action}"):
        parameters.write(NAME, amis[0], tags={})
