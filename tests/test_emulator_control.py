"""Beside AWS's API: who calls, failures on demand, the clock, the settings, what is there."""

from __future__ import annotations

import time
from typing import Any

import boto3  # noqa: TID251 - tests are AWS's callers here
import pytest
import urllib3
from botocore.config import Config  # noqa: TID251
from botocore.exceptions import ConnectionClosedError  # noqa: TID251
from clouds import Account, block, refused
from emulated import Emulator, new_account

A = block("a")
REGION = "us-east-1"


def client(emulator: Emulator, service: str, key: str, token: str | None = None) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION, endpoint_url=emulator.url, aws_access_key_id=key,
        aws_secret_access_key="x",  # noqa: S106
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def test_a_key_names_its_account(emulator: Emulator) -> None:
    account = new_account()
    told = emulator.client("sts", account=account).get_caller_identity()
    assert told["Account"] == account


def test_a_role_leads_into_its_account(emulator: Emulator) -> None:
    other = new_account()
    role = emulator.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{other}:role/publish", RoleSessionName="test"
    )["Credentials"]
    sts = client(emulator, "sts", role["AccessKeyId"], role["SessionToken"])
    assert sts.get_caller_identity()["Account"] == other
    ec2 = client(emulator, "ec2", role["AccessKeyId"], role["SessionToken"])
    there = Account(emulator=emulator, id=other)
    there.register(there.made({0: A}))
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == 1


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ec2", "describe_images", "AuthFailure"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
    ],
)
def test_unknown_keys_are_refused(emulator: Emulator, service: str, call: str, code: str) -> None:
    refused(code, getattr(client(emulator, service, "AKIAIOSFODNN7EXAMPLE"), call))


def test_unknown_keys_are_refused_by_ebs(emulator: Emulator) -> None:
    ebs = client(emulator, "ebs", "AKIAIOSFODNN7EXAMPLE")
    refused("UnrecognizedClientException", ebs.start_snapshot, VolumeSize=1)


def test_a_denial_names_the_permission(emulator: Emulator, account: Account) -> None:
    snapshot = account.made({0: A})
    message = "You are not authorized to perform this operation: ec2:RegisterImage"
    emulator.fail(
        {"service": "ec2", "action": "RegisterImage", "status": 403,
         "code": "UnauthorizedOperation", "message": message}
    )  # fmt: skip
    assert refused("UnauthorizedOperation", account.register, snapshot) == message
    assert account.register(snapshot)


def test_faults_of_ebs_are_ebs_errors(emulator: Emulator, account: Account) -> None:
    snapshot = account.start()
    emulator.fail(
        {"action": "PutSnapshotBlock", "status": 400, "code": "RequestThrottledException"}
    )
    refused("RequestThrottledException", account.put, snapshot, 0, A)
    account.put(snapshot, 0, A)
    assert emulator.used() == [1]


def test_a_share_of_calls_fails(emulator: Emulator, account: Account) -> None:
    emulator.fail({"service": "ec2", "status": 503, "code": "Unavailable", "times": 0, "rate": 0.2})
    failed = 0
    for _ in range(50):
        try:
            account.ec2.describe_images(Owners=["self"])
        except account.ec2.exceptions.ClientError:
            failed += 1
    assert 3 <= failed <= 20
    assert emulator.used() == [failed]


def test_a_connection_is_dropped(emulator: Emulator, account: Account) -> None:
    snapshot = account.start()
    emulator.fail({"action": "PutSnapshotBlock", "way": "drop"})
    with pytest.raises(ConnectionClosedError):
        account.put(snapshot, 0, A)
    account.put(snapshot, 0, A)


def test_a_call_is_slow(emulator: Emulator, account: Account) -> None:
    emulator.fail({"action": "DescribeImages", "way": "slow", "seconds": 0.5})
    began = time.monotonic()
    account.ec2.describe_images(Owners=["self"])
    assert time.monotonic() - began >= 0.5


def test_a_lost_answer_is_carried_out(emulator: Emulator, account: Account) -> None:
    code = "InternalServerException"
    emulator.fail({"action": "StartSnapshot", "way": "after", "status": 500, "code": code})
    refused(code, account.start, ClientToken="t")
    assert account.start(ClientToken="t")
    assert len(account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_a_fault_that_is_none_is_refused(emulator: Emulator) -> None:
    emulator.fail()
    answer = urllib3.request(
        "POST", f"{emulator.url}/_goldpress/faults", body=b'[{"way": "odd"}]', timeout=30,
        retries=False,
    )  # fmt: skip
    assert answer.status == 400
    assert b"way 'odd' is none of" in answer.data


def test_calls_are_counted(emulator: Emulator, account: Account) -> None:
    emulator.ask("calls", {})
    account.made({0: A, 1: A})
    account.client("ssm").describe_parameters()
    calls = emulator.ask("calls")
    assert calls["ebs:PutSnapshotBlock"] == 2
    assert (calls["ebs:StartSnapshot"], calls["ebs:CompleteSnapshot"]) == (1, 1)
    assert calls["ssm:DescribeParameters"] == 1
    assert calls["ec2:DescribeSnapshots"] >= 1


def test_status_says_what_is_there(emulator: Emulator, account: Account) -> None:
    before = emulator.ask("status")["bytes"]
    account.register(account.made({0: A, 1: A}))
    told = emulator.ask("status")
    assert {
        "account": account.id,
        "region": REGION,
        "images": 1,
        "snapshots": 1,
        "instances": 0,
    } in (told["places"])
    assert told["bytes"] - before >= 2 * 524288


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("settings", {"speed": 1}, "no such setting: speed"),
        ("settings", {"driver": "docker"}, "driver is one of"),
        ("settings", {"list_page": "many"}, "list_page: 'many' is not int"),
        ("settings", {"models": {"*": {"luck": 1}}}, "models: "),
        ("clock", {"advance": -1}, "the clock goes forward only"),
        ("corrupt", {"snapshot": "snap-1", "index": 0}, "snap-1 has no block 0"),
        ("nothing", {}, "nothing is at /_goldpress/nothing"),
    ],
)
def test_what_cannot_be_asked(
    emulator: Emulator, name: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        emulator.ask(name, values)


def test_a_stopped_clock_stands_still(emulator: Emulator) -> None:
    emulator.ask("clock", {"stopped": True})
    first = emulator.ask("clock")["now"]
    assert emulator.ask("clock")["now"] == first
    assert emulator.ask("clock", {"advance": 60})["now"] == first + 60
    emulator.ask("clock", {"stopped": False})
    assert emulator.ask("clock")["now"] - (first + 60) < 5
