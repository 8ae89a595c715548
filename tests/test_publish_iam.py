"""The policies of iam/: what the code calls, what is listed by hand, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated import Emulator
from policies import FREE, IAM, ROLES, actions, allowed_by, implied, policy
from recording import documents


def test_the_policies_are_what_a_whole_run_calls(emulator: Emulator, tmp_path: Path) -> None:
    made = documents(emulator, tmp_path)
    assert sorted(made) == sorted(f"{role}.json" for role in ROLES)
    for name, content in made.items():
        wanted = {a for row in json.loads(content)["Statement"] for a in row["Action"]}
        there = allowed_by(IAM / name)
        assert there == wanted, f"{name}: {sorted(there ^ wanted)}; run tests/recording.py"
        assert (IAM / name).read_text() == content, f"{name} is old: run tests/recording.py"


def test_nothing_is_allowed_everywhere_that_changes_anything() -> None:
    for path in IAM.glob("*.json"):
        for row in json.loads(path.read_text())["Statement"]:
            assert row["Effect"] == "Allow"
            assert "*" not in "".join(row["Action"])
            if row.get("Resource") == ["*"]:
                assert row["Sid"] == "Look", row


def test_what_changes_something_needs_a_scope() -> None:
    with pytest.raises(ValueError, match="ec2:RebootInstances changes something"):
        policy({"ec2:RebootInstances"})
    assert policy({"ec2:DescribeVpcs"})["Statement"][0]["Sid"] == "Look"


def test_calls_have_the_names_of_their_permissions() -> None:
    assert actions({"s3:HeadObject", "s3:UploadPart", "ebs:StartSnapshot", *FREE}) == {
        "s3:GetObject",
        "s3:PutObject",
        "ebs:StartSnapshot",
    }


def test_what_is_listed_by_hand_is_in_the_policies() -> None:
    for role in ROLES:
        assert implied(role) <= allowed_by(IAM / f"{role}.json")


def test_only_one_environment_of_one_repository_is_trusted() -> None:
    (row,) = json.loads((IAM / "trust-github.json").read_text())["Statement"]
    equal = row["Condition"]["StringEquals"]
    assert row["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert equal["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    sub = equal["token.actions.githubusercontent.com:sub"]
    assert sub == "${subject}:environment:${environment}"
    assert "StringLike" not in row["Condition"]
