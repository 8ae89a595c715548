"""CloudTrail's launches: read as AWS writes them, all pages of them, or told to be unreadable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clouds import Account, block
from emulated import Emulator, new_account

from goldpress.aws import trail
from goldpress.aws.instances import TAG
from goldpress.aws.trail import Launch, Trail, launches_of
from goldpress.errors import CloudError

#: The parts that are read of the CloudTrail user guide's example of RunInstances.
RUN: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
        "invokedBy": "autoscaling.amazonaws.com",
    },
    "eventTime": "2026-11-20T10:00:05Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "RunInstances",
    "awsRegion": "us-east-1",
    "requestParameters": {
        "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 2, "maxCount": 2}]},
        "instanceType": "t3.small",
    },
    "responseElements": {
        "instancesSet": {
            "items": [
                {"instanceId": "i-1", "imageId": "ami-1", "instanceState": {"code": 0}},
                {"instanceId": "i-2", "imageId": "ami-1", "instanceState": {"code": 0}},
            ]
        }
    },
}


def launch(instance: str, **changes: str) -> Launch:
    values = {
        "event": "RunInstances", "instance": instance, "ami": "ami-1", "trial": "",
        "at": "2026-11-20T10:00:05Z",
        "by": f"{RUN['userIdentity']['arn']} by autoscaling.amazonaws.com",
    }  # fmt: skip
    return Launch(**{**values, **changes})


def test_an_event_tells_of_each_instance_that_it_launched() -> None:
    assert list(launches_of(RUN)) == [launch("i-1"), launch("i-2")]


def test_what_was_refused_launched_nothing() -> None:
    event = {**RUN, "errorCode": "Client.UnauthorizedOperation", "responseElements": None}
    assert list(launches_of(event)) == []


def test_the_tag_of_a_trial_is_read_and_no_other_resource_s() -> None:
    rows = [
        {"resourceType": kind, "tags": [{"key": TAG, "value": value}]}
        for kind, value in (("volume", "no"), ("instance", "token"))
    ]
    request = {**RUN["requestParameters"], "tagSpecificationSet": {"items": rows}}
    found = list(launches_of({**RUN, "requestParameters": request}))
    assert found[0] == launch("i-1", trial="token")


@pytest.mark.parametrize(
    ("identity", "by"),
    [
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/ann"}, "arn:aws:iam::1:user/ann"),
        ({"type": "AWSService", "invokedBy": "ec2fleet.amazonaws.com"}, "ec2fleet.amazonaws.com"),
        ({"type": "Root"}, "Root"),
    ],
)
def test_who_asked_is_told(identity: dict[str, str], by: str) -> None:
    assert next(launches_of({**RUN, "userIdentity": identity})).by == by


def test_a_root_volume_that_is_replaced_is_another_image() -> None:
    event = {
        **RUN,
        "eventName": "CreateReplaceRootVolumeTask",
        "requestParameters": {
            "CreateReplaceRootVolumeTaskRequest": {"InstanceId": "i-1", "ImageId": "ami-9"}
        },
    }
    (found,) = launches_of(event)
    assert (found.event, found.instance, found.ami) == (
        "CreateReplaceRootVolumeTask", "i-1", "ami-9",
    )  # fmt: skip


class Answering:
    """CloudTrail with one event."""

    def __init__(self, event: str) -> None:
        self.event = event

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        wanted = asked["LookupAttributes"][0]["AttributeValue"] == trail.RUN
        rows = [{"EventId": "e-1", "CloudTrailEvent": self.event}] if wanted else []
        return {"Events": rows}


@pytest.mark.parametrize("event", ["", "[]", "{}", '{"eventName": "RunInstances"}', "null"])
def test_an_event_that_cannot_be_read_is_no_launch_that_was_not_there(event: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(CloudError) as caught:
        Trail(client=Answering(event), region="us-east-1").launches(now - timedelta(hours=1), now)
    assert "CloudTrail in us-east-1: the event e-1 is not in the form that I know" in str(
        caught.value
    )
    assert "nobody knows which instance it launched" in str(caught.value)


@pytest.fixture
def account(emulator: Emulator) -> Account:
    found = new_account()
    emulator.ask("settings", {"driver": "virtual", "complete_seconds": 0.0})
    return Account(emulator=emulator, id=found)


def looked(
    account: Account, start: datetime | None = None, end: datetime | None = None
) -> tuple[Launch, ...]:
    now = datetime.now(UTC)
    found = Trail(client=account.client("cloudtrail"), region="us-east-1")
    return found.launches(start or now - timedelta(hours=1), end or now + timedelta(minutes=1))


def test_the_embedded_cloud_remembers_launches(account: Account) -> None:
    ami = account.register(account.made({0: block("a")}))
    assert looked(account) == ()
    plain = account.run(ami, MinCount=2, MaxCount=2)["InstanceId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": "token"}]}]
    tried = account.run(ami, TagSpecifications=tags)["InstanceId"]
    found = looked(account)
    assert len(found) == 3
    assert {row.ami for row in found} == {ami}
    assert {row.instance: row.trial for row in found} | {plain: "", tried: "token"} == {
        row.instance: row.trial for row in found
    }
    assert found[0].by == f"arn:aws:iam::{account.id}:user/moto"


def test_every_page_is_read(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = account.register(account.made({0: block("a")}))
    for _ in range(5):
        account.run(ami)
    monkeypatch.setattr(trail, "PAGE", 2)
    assert len({row.instance for row in looked(account)}) == 5


def test_only_the_time_that_was_asked_for_is_told(account: Account) -> None:
    ami = account.register(account.made({0: block("a")}))
    account.run(ami)
    now = datetime.now(UTC)
    assert looked(account, now - timedelta(hours=2), now - timedelta(hours=1)) == ()
    account.emulator.ask("clock", {"advance": 91 * 86400})
    later = now + timedelta(days=91, minutes=5)
    assert looked(account, now - timedelta(hours=1), later) == ()


def test_another_account_or_region_has_its_own(account: Account) -> None:
    account.run(account.register(account.made({0: block("a")})))
    other = Account(emulator=account.emulator, id=new_account())
    rows = other.client("cloudtrail").lookup_events()["Events"]
    there = Account(emulator=account.emulator, id=account.id, region="eu-west-1")
    assert rows == there.client("cloudtrail").lookup_events()["Events"] == []


def test_a_refused_launch_is_no_event(account: Account) -> None:
    with pytest.raises(Exception, match="InvalidAMIID"):
        account.run("ami-0123456789abcdef0")
    assert looked(account) == ()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"MaxResults": 50, "LookupAttributes": [{"AttributeKey": "Username",
          "AttributeValue": "x"}]}, "InvalidLookupAttributesException"),
        ({"StartTime": datetime(2026, 2, 1, tzinfo=UTC),
          "EndTime": datetime(2026, 1, 1, tzinfo=UTC)}, "InvalidTimeRangeException"),
    ],
)  # fmt: skip
def test_what_cloudtrail_refuses_is_refused(
    account: Account, asked: dict[str, Any], code: str
) -> None:
    with pytest.raises(Exception, match=code):
        account.client("cloudtrail").lookup_events(**asked)


def test_denied_is_told(account: Account) -> None:
    account.emulator.fail(
        {"service": "cloudtrail", "action": "LookupEvents", "status": 400,
         "code": "AccessDeniedException"}
    )  # fmt: skip
    with pytest.raises(CloudError, match="AWS denies cloudtrail:LookupEvents"):
        looked(account)
