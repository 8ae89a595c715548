"""Publishing to a region of the embedded cloud: once, by content, resumed, and cleaned up."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from emulated import Emulator
from publications import ACCOUNT, REGION, block, make_disk, manifest_of, publication, settings_of

from goldpress import ami as amis
from goldpress.aws import ebs, ec2
from goldpress.aws.client import Access
from goldpress.errors import CloudError, ConflictError, TrustError
from goldpress.publish import preflight
from goldpress.publish.audit import audit
from goldpress.publish.region import Publication, journal_key
from goldpress.store import Store
from goldpress.store.journal import Journal

OTHER = "111122223333"
ROOT_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}


pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(ebs, "PAUSE_SECONDS", 0.05)


@pytest.fixture
def cloud(emulator: Emulator) -> Emulator:
    set_cloud(emulator, complete_seconds=0.1)
    return emulator


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make_disk(tmp_path / "one.raw", {i: block(str(i)) for i in range(0, 32, 2)}, count=32)


def set_cloud(emulator: Emulator, **values: Any) -> None:
    post(emulator, "settings", values)


def post(emulator: Emulator, name: str, values: dict[str, Any]) -> Any:
    url = f"{emulator.url}/_goldpress/{name}"
    answer = urllib3.request("POST", url, body=json.dumps(values).encode(), timeout=30)
    assert answer.status == 200, answer.data
    return answer.json()


def calls(emulator: Emulator) -> dict[str, int]:
    found: dict[str, int] = urllib3.request("GET", f"{emulator.url}/_goldpress/calls").json()
    return found


def ec2_client() -> Any:
    return Access().client("ec2", REGION)


def own_snapshots(made: Publication) -> list[dict[str, Any]]:
    """The EBS snapshots of this image that the cloud has."""
    filters = [{"Name": "tag:goldpress:name", "Values": [made.manifest.name]}]
    rows: list[dict[str, Any]] = ec2_client().describe_snapshots(
        OwnerIds=["self"], Filters=filters
    )["Snapshots"]
    return rows


def own_images(made: Publication) -> list[dict[str, Any]]:
    filters = [{"Name": "name", "Values": [f"{made.manifest.name}/*"]}]
    rows: list[dict[str, Any]] = ec2_client().describe_images(Owners=["self"], Filters=filters)[
        "Images"
    ]
    return rows


def check_content(made: Publication) -> None:
    """One AMI, one EBS snapshot, and in it exactly the disk."""
    (image,), (snapshot,) = own_images(made), own_snapshots(made)
    assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot["SnapshotId"]
    assert len(audit(made.blocks, snapshot["SnapshotId"], made.index).blocks) == len(
        made.index.blocks
    )


def key_with(policy: dict[str, Any], *, region: str = REGION) -> str:
    made = Access().client("kms", region).create_key(Policy=json.dumps(policy))
    return str(made["KeyMetadata"]["Arn"])


def test_an_image_becomes_an_ami(tmp_path: Path, raw: Path) -> None:
    made = publication(tmp_path, raw)
    published = made.publish()
    assert (published.sent, published.blocks) == (16, 16)
    check_content(made)
    (image,) = own_images(made)
    assert image["Name"] == f"{made.manifest.name}/sandbox/x86_64/{made.manifest.digest[7:]}"
    for name, value in {
        "BootMode": "uefi",
        "EnaSupport": True,
        "ImdsSupport": "v2.0",
        "RootDeviceName": "/dev/xvda",
        "Architecture": "x86_64",
    }.items():
        assert image[name] == value
    assert "TpmSupport" not in image
    disk = image["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["VolumeType"], disk["DeleteOnTermination"]) == ("gp3", True)
    assert amis.find(made.store, published.ami.ami) == published.ami
    assert published.ami.emulated


def test_the_second_time_nothing_is_made_or_sent(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    first = made.publish()
    post(cloud, "calls", {})
    again = publication(tmp_path, raw, manifest=made.manifest).publish()
    assert (again.ami, again.document, again.sent) == (first.ami, first.document, 0)
    forbidden = ("Put", "Start", "Register", "Create", "Modify", "Complete", "Get")
    told = [name for name in calls(cloud) if name.partition(":")[2].startswith(forbidden)]
    assert told in (["ec2:GetEbsEncryptionByDefault"], [])
    check_content(made)


def test_only_changed_blocks_are_sent_on_top_of_a_parent(tmp_path: Path, raw: Path) -> None:
    first = publication(tmp_path, raw).publish()
    blocks = {i: block(str(i)) for i in range(0, 32, 2)}
    blocks[4] = block("changed")
    del blocks[8]
    blocks[9] = block("new")
    other = make_disk(tmp_path / "two.raw", blocks, count=32)
    manifest = manifest_of(other, name=first.ami.name)
    made = publication(tmp_path, other, manifest=manifest)
    assert made.publish().sent == 3
    snapshot = amis.find(made.store, next(amis.newest_first(made.store, made.series)).ami).snapshot
    assert len(audit(made.blocks, snapshot, made.index).blocks) == 16


def test_without_its_journal_an_ami_is_adopted_after_reading_it_back(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = publication(tmp_path, raw)
    first = made.publish()
    other = publication(tmp_path, raw, manifest=made.manifest, store=Store(root=tmp_path / "other"))
    assert other.publish().ami == first.ami
    assert "is not in the journal: its blocks are read back" in capsys.readouterr().err
    check_content(made)


def test_without_its_journal_an_ami_of_other_content_is_refused(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    first = made.publish()
    post(cloud, "corrupt", {"snapshot": first.ami.snapshot, "index": 6})
    other = publication(tmp_path, raw, manifest=made.manifest, store=Store(root=tmp_path / "other"))
    with pytest.raises((TrustError, CloudError), match="6"):
        other.publish()
    assert len(own_images(made)) == len(own_snapshots(made)) == 1


def test_a_changed_block_is_named_by_the_audit(cloud: Emulator, tmp_path: Path, raw: Path) -> None:
    made = publication(tmp_path, raw)
    snapshot = made.publish().ami.snapshot
    post(cloud, "corrupt", {"snapshot": snapshot, "index": 10})
    expected = made.index.blocks[10].hex()
    with pytest.raises(TrustError, match="1 blocks differ") as caught:
        audit(made.blocks, snapshot, made.index)
    assert f"block 10: expected {expected}, found " in caught.value.message
    assert "do not launch it" in caught.value.hint


def test_a_name_that_other_content_has_is_an_error_and_nothing_is_uploaded(
    tmp_path: Path, raw: Path
) -> None:
    other = make_disk(tmp_path / "other.raw", {1: block("other")}, count=32)
    theirs = publication(tmp_path / "theirs", other)
    taken = theirs.publish()
    made = publication(tmp_path, raw, manifest=manifest_of(raw, name=theirs.manifest.name))
    # Somebody else's AMI under the name of ours.
    ec2_client().register_image(
        Name=f"{made.manifest.name}/sandbox/x86_64/{made.manifest.digest[7:]}",
        Architecture="x86_64", BootMode="uefi", EnaSupport=True, ImdsSupport="v2.0",
        RootDeviceName="/dev/xvda", VirtualizationType="hvm",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {
            "SnapshotId": taken.ami.snapshot, "VolumeSize": 1, "VolumeType": "gp3",
            "DeleteOnTermination": True}}],
    )  # fmt: skip
    with pytest.raises(TrustError, match="does not hold the image: 17 blocks differ"):
        made.publish()
    assert [row["SnapshotId"] for row in own_snapshots(made)] == [taken.ami.snapshot]


def test_a_name_that_another_kind_of_ami_has_is_an_error(tmp_path: Path, raw: Path) -> None:
    made = publication(tmp_path, raw)
    made.publish()
    wishes = settings_of(root_device="/dev/sda1", tpm=True)
    other = publication(tmp_path, raw, manifest=made.manifest, settings=wishes)
    with pytest.raises(ConflictError) as caught:
        other.publish()
    assert "RootDeviceName is '/dev/xvda', not '/dev/sda1'" in caught.value.message
    assert "TpmSupport is None, not 'v2.0'" in caught.value.message


def test_it_is_shared_deprecated_and_protected_once(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    wishes = settings_of(share_with=(OTHER,), deprecate_after_days=30, protect=True, tpm=True)
    made = publication(tmp_path, raw, settings=wishes)
    published = made.publish()
    (image,) = own_images(made)
    at = datetime.fromisoformat(image["DeprecationTime"])
    assert timedelta(days=29) < at - datetime.now(UTC) < timedelta(days=31)
    assert image["DeregistrationProtection"].startswith("enabled")
    assert image["TpmSupport"] == "v2.0"
    rows = ec2_client().describe_image_attribute(
        ImageId=published.ami.ami, Attribute="launchPermission"
    )["LaunchPermissions"]
    assert [row["UserId"] for row in rows] == [OTHER]
    post(cloud, "calls", {})
    publication(tmp_path, raw, manifest=made.manifest, settings=wishes).publish()
    assert not [name for name in calls(cloud) if "Enable" in name or "Modify" in name]


def test_a_key_encrypts_and_a_child_inherits_it(tmp_path: Path, raw: Path) -> None:
    key = key_with(ROOT_POLICY)
    wishes = settings_of(regions={REGION: {"kms_key": key}})
    first = publication(tmp_path, raw, settings=wishes)
    assert first.publish().ami.kms_key == key
    (snapshot,) = own_snapshots(first)
    assert (snapshot["Encrypted"], snapshot["KmsKeyId"]) == (True, key)
    other = make_disk(
        tmp_path / "two.raw", {i: block(f"{i or 'x'}") for i in range(0, 32, 2)}, count=32
    )
    child = publication(
        tmp_path, other, manifest=manifest_of(other, name=first.manifest.name), settings=wishes
    )
    assert child.publish().sent == 1
    rows = own_snapshots(first)
    assert [row["KmsKeyId"] for row in rows] == [key, key]


def test_another_key_than_the_parents_takes_a_full_upload_and_says_so(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publication(tmp_path, raw)
    parent = first.publish().ami.snapshot
    key = key_with(ROOT_POLICY)
    other = make_disk(tmp_path / "two.raw", {0: block("x"), 2: block("2")}, count=32)
    made = publication(
        tmp_path,
        other,
        manifest=manifest_of(other, name=first.manifest.name),
        settings=settings_of(regions={REGION: {"kms_key": key}}),
    )
    assert made.publish().sent == 2
    told = capsys.readouterr().err
    assert f"full upload to {REGION}: {parent} is not encrypted, and a child inherits" in told


def test_where_everything_is_encrypted_an_unencrypted_parent_is_left_aside(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publication(tmp_path, raw)
    first.publish()
    other = make_disk(tmp_path / "two.raw", {0: block("x")}, count=32)
    manifest = manifest_of(other, name=first.manifest.name)
    ec2_client().enable_ebs_encryption_by_default()
    try:
        made = publication(tmp_path, other, manifest=manifest)
        published = made.publish()
    finally:
        ec2_client().disable_ebs_encryption_by_default()
    assert published.sent == 1
    assert published.ami.kms_key.startswith("arn:aws:kms:")
    assert "is not encrypted, and a child inherits that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"region": "eu-west-1"}, "is in eu-west-1: it cannot encrypt anything in us-east-1"),
        ({"account": OTHER}, f"is of account {OTHER}, which does not let {ACCOUNT} use it"),
        ({}, "us-east-1"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_before_anything_is_made(
    tmp_path: Path, raw: Path, where: dict[str, str], message: str
) -> None:
    place = {"region": REGION, "account": ACCOUNT, **where}
    key = (
        f"arn:aws:kms:{place['region']}:{place['account']}:key/{'1' * 8}-1111-1111-1111-{'1' * 12}"
    )
    made = publication(tmp_path, raw, settings=settings_of(regions={REGION: {"kms_key": key}}))
    with pytest.raises(CloudError, match=message):
        made.publish()
    assert own_snapshots(made) == []


def test_what_is_shared_needs_a_key_that_is_open_to_them(tmp_path: Path, raw: Path) -> None:
    closed = settings_of(regions={REGION: {"kms_key": key_with(ROOT_POLICY)}}, share_with=(OTHER,))
    made = publication(tmp_path, raw, settings=closed)
    with pytest.raises(CloudError, match=f"is not open to {OTHER}: the AMI could be shared"):
        made.publish()
    assert own_snapshots(made) == []
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{OTHER}:root"]},
        "Action": ["kms:Decrypt", "kms:CreateGrant"],
        "Resource": "*",
    }
    policy = {**ROOT_POLICY, "Statement": [*ROOT_POLICY["Statement"], statement]}
    opened = settings_of(regions={REGION: {"kms_key": key_with(policy)}}, share_with=(OTHER,))
    assert publication(tmp_path, raw, settings=opened).publish().state == "available"


@pytest.mark.parametrize(
    ("service", "action"),
    [
        ("ebs", "StartSnapshot"),
        ("ebs", "PutSnapshotBlock"),
        ("ebs", "CompleteSnapshot"),
        ("ec2", "DescribeSnapshots"),
        ("ec2", "RegisterImage"),
    ],
)
def test_a_missing_permission_is_named_and_nothing_is_left(
    cloud: Emulator, tmp_path: Path, raw: Path, service: str, action: str
) -> None:
    made = publication(tmp_path, raw)
    code = "AccessDeniedException" if service == "ebs" else "UnauthorizedOperation"
    cloud.fail({"service": service, "action": action, "status": 403, "code": code, "times": 0})
    with pytest.raises(CloudError, match=f"AWS denies {service}:{action}") as caught:
        made.publish()
    assert f"the role needs {service}:{action}" in caught.value.hint
    cloud.fail()
    assert own_snapshots(made) == own_images(made) == []
    assert made.publish().state == "available"
    check_content(made)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            {"action": "StartSnapshot", "status": 400, "code": "ConcurrentLimitExceededException"},
            "StartSnapshot: a quota of this account is used up",
        ),
        (
            {"action": "PutSnapshotBlock", "status": 402, "code": "ServiceQuotaExceededException"},
            "PutSnapshotBlock: a quota of this account is used up",
        ),
    ],
)
def test_a_quota_is_told_and_nothing_is_left(
    cloud: Emulator, tmp_path: Path, raw: Path, fault: dict[str, Any], message: str
) -> None:
    made = publication(tmp_path, raw)
    cloud.fail({"service": "ebs", "times": 0, **fault})
    with pytest.raises(CloudError, match=message):
        made.publish()
    cloud.fail()
    assert own_snapshots(made) == []


def test_expired_credentials_keep_what_is_there_for_the_next_time(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    fault = {"service": "ebs", "action": "CompleteSnapshot", "status": 403}
    cloud.fail({**fault, "code": "ExpiredTokenException", "times": 0})
    with pytest.raises(CloudError, match="the AWS credentials have expired"):
        made.publish()
    cloud.fail()
    assert len(own_snapshots(made)) == 1
    post(cloud, "calls", {})
    assert made.publish().sent == 0
    assert "ebs:PutSnapshotBlock" not in calls(cloud)
    check_content(made)


def test_wrong_credentials_and_wrong_regions_are_told_first(anew: Callable[..., None]) -> None:
    with pytest.raises(CloudError, match="'us-eats-1' is not a region of AWS; nearest: us-east-1"):
        preflight.identify(Access(), "us-eats-1")
    anew(AWS_ACCESS_KEY_ID="AKIAUNKNOWN000000000")
    with pytest.raises(CloudError, match="AWS does not accept the credentials"):
        preflight.identify(Access(), REGION)


def test_a_new_snapshot_may_be_unknown_for_a_while(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    set_cloud(cloud, invisible_seconds=1.0)
    made = publication(tmp_path, raw)
    try:
        assert made.publish().sent == 16
    finally:
        set_cloud(cloud, invisible_seconds=0.0)
    check_content(made)


def test_a_snapshot_that_stays_unknown_is_told(
    cloud: Emulator, tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ebs, "UNKNOWN_SECONDS", 0.2)
    set_cloud(cloud, invisible_seconds=3600.0)
    made = publication(tmp_path, raw)
    try:
        with pytest.raises(CloudError, match="PutSnapshotBlock failed: ResourceNotFoundException"):
            made.publish()
    finally:
        set_cloud(cloud, invisible_seconds=0.0)
    assert own_snapshots(made) == []


@pytest.mark.parametrize("action", ["StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot"])
@pytest.mark.parametrize("way", ["after", "drop"])
def test_a_lost_answer_makes_nothing_twice(
    cloud: Emulator, tmp_path: Path, raw: Path, action: str, way: str
) -> None:
    made = publication(tmp_path, raw)
    cloud.fail({"service": "ebs", "action": action, "status": 500, "way": way, "times": 2})
    assert made.publish().state == "available"
    assert cloud.used() == [2]
    check_content(made)


def test_a_lost_answer_to_a_registration_finds_the_ami(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    cloud.fail({"service": "ec2", "action": "RegisterImage", "way": "after"})
    assert made.publish().state == "available"
    check_content(made)


def test_a_snapshot_that_aws_gave_up_is_made_anew(
    cloud: Emulator, tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    fault = {"service": "ebs", "action": "CompleteSnapshot", "status": 403}
    cloud.fail({**fault, "code": "ExpiredTokenException", "times": 0})
    with pytest.raises(CloudError, match="expired"):
        made.publish()
    cloud.fail()
    (lost,) = own_snapshots(made)
    ec2_client().delete_snapshot(SnapshotId=lost["SnapshotId"])
    journal = Journal.read(made.store.objects, journal_key(ACCOUNT, REGION, made.manifest.digest))
    journal.write(begun=0)
    assert made.publish().sent == 16
    check_content(made)


def test_a_token_that_aws_remembers_from_a_lost_journal_is_not_used_again(
    tmp_path: Path, raw: Path
) -> None:
    made = publication(tmp_path, raw)
    first = made.publish()
    ec2_client().deregister_image(ImageId=first.ami.ami)
    other = publication(tmp_path, raw, manifest=made.manifest, store=Store(root=tmp_path / "other"))
    second = other.publish()
    assert second.sent == 16
    assert second.ami.snapshot != first.ami.snapshot
    assert len(audit(other.blocks, second.ami.snapshot, other.index).blocks) == 16


def test_a_token_of_a_deleted_snapshot_is_not_used_for_long(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ebs, "UNKNOWN_SECONDS", 0.2)
    made = publication(tmp_path, raw)
    first = made.publish()
    ec2_client().deregister_image(ImageId=first.ami.ami)
    ec2_client().delete_snapshot(SnapshotId=first.ami.snapshot)
    other = publication(tmp_path, raw, manifest=made.manifest, store=Store(root=tmp_path / "other"))
    assert other.publish().sent == 16
    assert "does not exist.: it is made anew" in capsys.readouterr().err
    check_content(other)


def test_an_upload_of_a_disk_that_changes_is_stopped(tmp_path: Path, raw: Path) -> None:
    made = publication(tmp_path, raw)
    with raw.open("r+b") as stream:
        stream.seek(4 * ebs.BLOCK_BYTES)
        stream.write(b"changed")
    with pytest.raises(TrustError, match="block 4 changed while it was uploaded"):
        made.publish()
    assert own_images(made) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400, "code": "RequestThrottledException"},
        {"status": 500, "code": "InternalServerException"},
    ],
)
def test_a_third_of_all_calls_may_fail(
    cloud: Emulator, tmp_path: Path, raw: Path, fault: dict[str, Any]
) -> None:
    made = publication(tmp_path, raw)
    other = {"RequestThrottledException": "RequestLimitExceeded"}.get(fault["code"], "Unavailable")
    cloud.fail(
        {"service": "ebs", "rate": 0.33, "times": 0, **fault},
        {"service": "ec2", "rate": 0.33, "times": 0, **fault, "code": other},
    )
    assert made.publish().state == "available"
    assert sum(cloud.used()) > 3
    cloud.fail()
    check_content(made)


def test_a_stand_in_never_goes_to_aws(cloud: Emulator, anew: Callable[..., None]) -> None:
    preflight.check_cloud(Access(), stand_in=True)
    anew(AWS_ENDPOINT_URL=None)
    with pytest.raises(TrustError, match="it is never published to AWS"):
        preflight.check_cloud(Access(), stand_in=True)
    preflight.check_cloud(Access(), stand_in=False)
    preflight.check_cloud(Access(endpoint=cloud.url), stand_in=True)


def test_the_sandbox_is_called_with_its_own_credentials(
    cloud: Emulator, anew: Callable[..., None]
) -> None:
    anew(
        AWS_ACCESS_KEY_ID="AKIAUNKNOWN000000000", AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_PROFILE="production",
    )  # fmt: skip
    access = Access(endpoint=cloud.url)
    assert preflight.identify(access, REGION).account == ACCOUNT


def test_two_images_of_one_name_follow_each_other(tmp_path: Path, raw: Path) -> None:
    first = publication(tmp_path, raw)
    one = first.publish()
    second = publication(
        tmp_path, raw, manifest=dataclasses.replace(first.manifest, definition="sha256:1")
    )
    two = second.publish()
    # The same bytes under another digest: another AMI, and not one block is sent.
    assert (two.sent, two.ami.ami != one.ami.ami) == (0, True)
    assert [ami.ami for ami in amis.newest_first(first.store, first.series)] == [
        two.ami.ami,
        one.ami.ami,
    ]
    assert len(audit(second.blocks, two.ami.snapshot, second.index).blocks) == 16
