"""The EBS direct API: each rule, and its refusal. Answers are checked by botocore's model.

[M] is botocore's model of `ebs`; [D] the EBS user guide, "EBS direct APIs".
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from clouds import BLOCK, Account, aggregate, block, refused, sha
from emulated import Emulator, new_account

A, B, ZERO = block("a"), block("b"), bytes(BLOCK)


def test_what_is_written_is_read(account: Account) -> None:
    """[M] StartSnapshot, PutSnapshotBlock, CompleteSnapshot, GetSnapshotBlock, the listing."""
    started = account.ebs.start_snapshot(
        VolumeSize=3, Description="web", Tags=[{"Key": "k", "Value": "v"}], Timeout=60
    )
    assert started["BlockSize"] == BLOCK
    assert (started["Status"], started["VolumeSize"]) == ("pending", 3)
    assert started["OwnerId"] == account.id
    snapshot = started["SnapshotId"]
    account.put(snapshot, 5, A)
    account.put(snapshot, 6143, B)
    assert account.complete(snapshot, {5: A, 6143: B})["Status"] == "pending"
    account.wait(snapshot)
    assert list(account.listed(snapshot)) == [5, 6143]
    assert account.read(snapshot, 6143) == B
    (found,) = account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert found["Tags"] == [{"Key": "k", "Value": "v"}]
    assert (found["VolumeSize"], found["Encrypted"]) == (3, False)


def test_a_block_is_written_again(account: Account) -> None:
    """[M] PutSnapshotBlock: "If the specified block contains data, it is overwritten"."""
    snapshot = account.start()
    account.put(snapshot, 0, A)
    account.put(snapshot, 0, B)
    account.complete(snapshot, {0: B})
    account.wait(snapshot)
    assert account.read(snapshot, 0) == B


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"Checksum": sha(B)}, "INVALID_PARAMETER_VALUE the checksum does not match the data"),
        ({"ChecksumAlgorithm": "MD5"}, "the checksum algorithm is not SHA256"),
        ({"DataLength": 512}, "INVALID_BLOCK a block has 524288 bytes"),
    ],
)
def test_a_bad_block_is_refused(account: Account, given: dict[str, Any], reason: str) -> None:
    snapshot = account.start()
    assert reason in refused("ValidationException", account.put, snapshot, 0, A, **given)


def test_a_short_block_is_refused(account: Account) -> None:
    """[M] DataLength: "the only supported size is 524288 bytes"."""
    snapshot = account.start()
    short = A[:512]
    message = refused("ValidationException", account.put, snapshot, 0, short, DataLength=BLOCK)
    assert message == "INVALID_BLOCK a block has 524288 bytes; these are 512"


def test_a_block_outside_of_the_volume_is_refused(account: Account) -> None:
    snapshot = account.start()
    account.put(snapshot, 2047, A)
    message = refused("ValidationException", account.put, snapshot, 2048, A)
    assert message == "INVALID_BLOCK block 2048 is outside of the volume"


def test_an_unknown_snapshot_is_refused(account: Account) -> None:
    message = refused("ResourceNotFoundException", account.put, "snap-0123456789abcdef0", 0, A)
    assert message == "SNAPSHOT_NOT_FOUND The snapshot 'snap-0123456789abcdef0' does not exist."


def test_another_region_does_not_know_it(account: Account, emulator: Emulator) -> None:
    snapshot = account.made({0: A})
    there = Account(emulator=emulator, id=account.id, region="eu-west-1")
    assert "does not exist" in refused("ResourceNotFoundException", there.listed, snapshot)


def test_a_completed_snapshot_is_sealed(account: Account, emulator: Emulator) -> None:
    """[M] CompleteSnapshot: "You cannot write new blocks to a snapshot after it"."""
    emulator.ask("settings", {"complete_seconds": 3600.0})
    snapshot = account.start()
    account.put(snapshot, 0, A)
    account.complete(snapshot, {0: A})
    assert "is sealed" in refused("ValidationException", account.put, snapshot, 1, B)
    assert "is pending" in refused("ValidationException", account.listed, snapshot)
    assert "is pending" in refused("ValidationException", account.start, ParentSnapshotId=snapshot)
    emulator.ask("clock", {"advance": 3601})
    assert list(account.listed(snapshot)) == [0]
    assert account.complete(snapshot, {0: A})["Status"] == "completed"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ChangedBlocksCount": 2}, "ChangedBlocksCount is 2, but 1 blocks were written"),
        ({"Checksum": aggregate({0: B})}, "does not match the checksums of the written blocks"),
        ({"Checksum": sha(A)}, "does not match the checksums of the written blocks"),
    ],
)
def test_a_wrong_sum_is_refused_and_nothing_sealed(
    account: Account, given: dict[str, Any], reason: str
) -> None:
    snapshot = account.start()
    account.put(snapshot, 0, A)
    assert reason in refused("ValidationException", account.complete, snapshot, {0: A}, **given)
    account.put(snapshot, 1, B)
    account.complete(snapshot, {0: A, 1: B})


def test_a_checksum_needs_its_method(account: Account) -> None:
    snapshot = account.start()
    message = refused(
        "ValidationException", account.ebs.complete_snapshot,
        SnapshotId=snapshot, ChangedBlocksCount=0, Checksum=aggregate({}),
    )  # fmt: skip
    assert "needs the algorithm SHA256 and the aggregation LINEAR" in message


def test_it_is_unknown_for_a_moment(account: Account, emulator: Emulator) -> None:
    """Reported by users of coldsnap (#43, #56): "does not exist" up to two minutes after start."""
    emulator.ask("settings", {"invisible_seconds": 60.0})
    emulator.ask("clock", {"stopped": True})
    snapshot = account.start()
    assert "does not exist" in refused("ResourceNotFoundException", account.put, snapshot, 0, A)
    emulator.ask("clock", {"advance": 60})
    account.put(snapshot, 0, A)


def test_one_token_is_one_snapshot(account: Account) -> None:
    """[M] StartSnapshot, ClientToken: "return the result from the original successful request"."""
    first = account.start(ClientToken="t", Timeout=60)
    assert account.start(ClientToken="t", Timeout=60) == first
    assert account.start(ClientToken="u", Timeout=60) != first
    message = refused("ConflictException", account.start, ClientToken="t", Timeout=61)
    assert message == "the client token was used with other parameters"
    assert len(account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 2


def test_a_token_outlives_its_snapshot(account: Account) -> None:
    """[D] The same: also when that snapshot was cancelled since."""
    first = account.start(ClientToken="t")
    account.ec2.delete_snapshot(SnapshotId=first)
    assert account.start(ClientToken="t") == first
    refused("ResourceNotFoundException", account.put, first, 0, A)


def test_it_times_out(account: Account, emulator: Emulator) -> None:
    """[M] Timeout: cancelled when no blocks are written; 60 minutes without a value."""
    emulator.ask("clock", {"stopped": True})
    snapshot, short = account.start(), account.start(Timeout=10)
    emulator.ask("clock", {"advance": 9 * 60})
    account.put(short, 0, A)
    emulator.ask("clock", {"advance": 9 * 60})
    account.put(short, 1, B)
    emulator.ask("clock", {"advance": 11 * 60})
    assert "is error" in refused("ValidationException", account.put, short, 2, B)
    account.put(snapshot, 0, A)
    states = {
        row["SnapshotId"]: row["State"]
        for row in account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    }
    assert states == {snapshot: "pending", short: "error"}


def test_a_child_has_its_parents_blocks(account: Account) -> None:
    """[D] "Write snapshots": a child is its parent, with the blocks that were put."""
    parent = account.made({0: A, 1: A, 2: A})
    child = account.made({1: B, 2: ZERO, 9: B}, ParentSnapshotId=parent)
    assert list(account.listed(child)) == [0, 1, 2, 9]
    assert [account.read(child, i) for i in (0, 1, 2, 9)] == [A, B, ZERO, B]
    assert [account.read(parent, i) for i in (0, 1, 2)] == [A, A, A]
    account.ec2.delete_snapshot(SnapshotId=parent)
    assert account.read(child, 0) == A


def test_a_child_is_not_smaller(account: Account) -> None:
    parent = account.made({0: A}, VolumeSize=2)
    message = refused("ValidationException", account.start, ParentSnapshotId=parent, VolumeSize=1)
    assert message == "INVALID_VOLUME_SIZE VolumeSize is less than the parent's"


def test_changed_blocks(account: Account) -> None:
    """[M] ListChangedBlocks: also blocks that only the second one has."""
    parent = account.made({0: A, 1: A, 3: A})
    child = account.made({1: B, 3: A, 7: B}, ParentSnapshotId=parent)
    rows = account.ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)
    assert [row["BlockIndex"] for row in rows["ChangedBlocks"]] == [1, 7]
    assert "FirstBlockToken" not in rows["ChangedBlocks"][1]
    other = account.made({0: A})
    changed = account.ebs.list_changed_blocks
    message = refused("ValidationException", changed, FirstSnapshotId=other, SecondSnapshotId=child)
    assert message == "UNRELATED_SNAPSHOTS the snapshots are not related"
    assert "FirstSnapshotId" in refused("ValidationException", changed, SecondSnapshotId=child)


def test_listings_come_in_pages(account: Account, emulator: Emulator) -> None:
    """[M] MaxResults: "the request can return less blocks than MaxResults"."""
    emulator.ask("settings", {"list_page": 2})
    snapshot = account.made(dict.fromkeys(range(5), A))
    pages: list[list[int]] = []
    following: dict[str, str] = {}
    while not pages or following:
        page = account.ebs.list_snapshot_blocks(SnapshotId=snapshot, **following)
        pages.append([row["BlockIndex"] for row in page["Blocks"]])
        following = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
    assert pages == [[0, 1], [2, 3], [4]]
    assert list(account.listed(snapshot, StartingBlockIndex=4)) == [4]
    message = refused("ValidationException", account.listed, snapshot, NextToken="AAAA")
    assert message.startswith("INVALID_PAGE_TOKEN")
    assert "MaxResults 10001" in refused(
        "ValidationException", account.listed, snapshot, MaxResults=10001
    )


def test_block_tokens_are_for_one_block_and_seven_days(
    account: Account, emulator: Emulator
) -> None:
    """[D] "Read snapshots": block tokens expire after seven days."""
    snapshot = account.made({0: A, 1: B})
    tokens = account.listed(snapshot)
    get = account.ebs.get_snapshot_block
    other = refused(
        "ValidationException", get, SnapshotId=snapshot, BlockIndex=0, BlockToken=tokens[1]
    )
    assert other.startswith("INVALID_BLOCK_TOKEN")
    emulator.ask("clock", {"advance": 8 * 24 * 3600})
    late = refused(
        "ValidationException", get, SnapshotId=snapshot, BlockIndex=0, BlockToken=tokens[0]
    )
    assert late.startswith("INVALID_BLOCK_TOKEN")
    absent = refused(
        "ValidationException", get, SnapshotId=snapshot, BlockIndex=4, BlockToken=tokens[0]
    )
    assert absent == "INVALID_BLOCK the snapshot has no block 4"


def test_encryption_of_a_first_snapshot(account: Account) -> None:
    """[D] "Encryption outcomes", without a parent."""
    kms = account.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    assert "KmsKeyArn needs Encrypted" in refused(
        "ValidationException", account.start, KmsKeyArn=arn
    )
    one = account.ebs.start_snapshot(VolumeSize=1, Encrypted=True, KmsKeyArn=arn)
    assert one["KmsKeyArn"] == arn
    two = account.ebs.start_snapshot(VolumeSize=1, Encrypted=True)
    default = account.ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
    assert two["KmsKeyArn"] == default
    account.ec2.enable_ebs_encryption_by_default()
    assert account.ebs.start_snapshot(VolumeSize=1)["KmsKeyArn"] == default
    assert "encrypts by default" in refused("ValidationException", account.start, Encrypted=False)


def test_encryption_of_a_child(account: Account) -> None:
    """[M] "You can't specify ParentSnapshotId and Encrypted"; [D] an encrypted parent's key."""
    arn = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    secret = account.made({0: A}, Encrypted=True, KmsKeyArn=arn)
    plain = account.made({0: A})
    for given in ({"Encrypted": True}, {"Encrypted": False}, {"KmsKeyArn": arn}):
        message = refused("ValidationException", account.start, ParentSnapshotId=secret, **given)
        assert "cannot be specified together" in message
    assert account.ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=secret)["KmsKeyArn"] == arn
    child = account.ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=plain)
    assert "KmsKeyArn" not in child
    account.ec2.enable_ebs_encryption_by_default()
    message = refused("ValidationException", account.start, ParentSnapshotId=plain)
    assert "the parent is not encrypted, but this account encrypts by default" in message


def test_keys_that_cannot_be_used(account: Account, emulator: Emulator) -> None:
    """[M] AccessDeniedExceptionReason, ValidationExceptionReason."""
    other = Account(emulator=emulator, id=new_account())
    theirs = other.client("kms").create_key()["KeyMetadata"]["Arn"]
    message = refused("AccessDeniedException", account.start, Encrypted=True, KmsKeyArn=theirs)
    assert message.startswith("DEPENDENCY_ACCESS_DENIED")
    other.client("kms").create_grant(
        KeyId=theirs, GranteePrincipal=f"arn:aws:iam::{account.id}:root", Operations=["Encrypt"]
    )
    assert account.start(Encrypted=True, KmsKeyArn=theirs)
    kms = account.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.disable_key(KeyId=key["KeyId"])
    disabled = refused("ValidationException", account.start, Encrypted=True, KmsKeyArn=key["Arn"])
    assert disabled.startswith("INVALID_CUSTOMER_KEY")
    there = Account(emulator=emulator, id=account.id, region="eu-west-1")
    refused("AccessDeniedException", there.start, Encrypted=True, KmsKeyArn=key["Arn"])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"VolumeSize": 65537}, "INVALID_VOLUME_SIZE"),
        ({"Timeout": 4321}, "INVALID_PARAMETER_VALUE"),
        ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "INVALID_TAG"),
    ],
)
def test_bad_starts(account: Account, given: dict[str, Any], reason: str) -> None:
    assert refused("ValidationException", account.start, **given).startswith(reason)


def test_a_shared_snapshot_is_read_and_not_written(account: Account, emulator: Emulator) -> None:
    snapshot = account.made({0: A})
    other = Account(emulator=emulator, id=new_account())
    refused("ResourceNotFoundException", other.listed, snapshot)
    assert other.ec2.describe_snapshots()["Snapshots"] == []
    account.ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add",
        UserIds=[other.id],
    )  # fmt: skip
    assert other.read(snapshot, 0) == A
    assert other.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    pending = account.start()
    account.ec2.modify_snapshot_attribute(
        SnapshotId=pending, Attribute="createVolumePermission", OperationType="add",
        UserIds=[other.id],
    )  # fmt: skip
    message = refused("AccessDeniedException", other.put, pending, 0, A)
    assert message.startswith("UNAUTHORIZED_ACCOUNT")


def test_snapshots_are_found_by_tags_and_in_pages(account: Account) -> None:
    """[M] DescribeSnapshots: filters, MaxResults of at least 5."""
    for number in range(7):
        account.start(Tags=[{"Key": "part", "Value": str(number % 2)}])
    describe = account.ec2.describe_snapshots
    odd = describe(Filters=[{"Name": "tag:part", "Values": ["1"]}])["Snapshots"]
    assert len(odd) == 3
    pages = account.ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"], PaginationConfig={"PageSize": 5}
    )
    assert [len(page["Snapshots"]) for page in pages] == [5, 2]
    refused("InvalidParameterValue", describe, MaxResults=4)
    refused("InvalidSnapshot.NotFound", describe, SnapshotIds=["snap-0123456789abcdef0"])


def test_a_byte_changed_on_disk_is_served_with_its_own_checksum(
    account: Account, emulator: Emulator
) -> None:
    snapshot = account.made({0: A, 1: B})
    where = emulator.ask("corrupt", {"snapshot": snapshot, "index": 1})
    assert where["offset"] == BLOCK
    assert account.read(snapshot, 0) == A
    assert account.read(snapshot, 1) == bytes([B[0] ^ 0xFF]) + B[1:]


def test_a_listing_says_when_its_tokens_end(account: Account) -> None:
    snapshot = account.made({0: A})
    expires = account.ebs.list_snapshot_blocks(SnapshotId=snapshot)["ExpiryTime"]
    left = expires - dt.datetime.now(tz=dt.UTC)
    assert dt.timedelta(days=6) < left < dt.timedelta(days=8)
