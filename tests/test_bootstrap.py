"""The templates of bootstrap/: what they say of iam/, and that every name in them is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from account import BOOTSTRAP, ROLES, Call, filled, template, written
from policies import IAM
from workflow import BY_NAME

TEMPLATES = sorted(BOOTSTRAP.glob("*.yaml"))
PSEUDO = {"AWS::AccountId", "AWS::Region", "AWS::NoValue", "AWS::Partition", "AWS::StackName"}
KNOWN = {"Ref", "GetAtt", "Sub", "If", "Equals", "Not", "Join"}
each = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)


def account() -> dict[str, Any]:
    return template((BOOTSTRAP / "account.yaml").read_text())


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = account()["Resources"][name]["Properties"]
    return found


def calls(value: Any) -> Iterator[Call]:
    if isinstance(value, Call):
        yield value
    if isinstance(value, dict):
        for part in value.values():
            yield from calls(part)
    elif isinstance(value, list):
        for part in value:
            yield from calls(part)


def named(value: Any) -> Iterator[tuple[str, bool]]:
    """Every name that functions use, and whether an attribute of it is meant."""
    for call in calls(value):
        ((function, argument),) = call.items()
        assert function in KNOWN, function
        if function == "Ref":
            yield argument, False
        elif function == "GetAtt":
            yield argument.partition(".")[0], True
        elif function == "Sub":
            for found in re.findall(r"\$\{([^}]+)\}", argument):
                yield found.partition(".")[0], "." in found


def refuse_unknown_names(value: dict[str, Any]) -> None:
    resources, parameters = set(value["Resources"]), set(value.get("Parameters", {}))
    conditions = set(value.get("Conditions", {}))
    for name, is_attribute in named(value):
        known = resources if is_attribute else resources | parameters | PSEUDO
        assert name in known, f"{name} is nowhere"
    for call in calls(value):
        if "If" in call:
            assert call["If"][0] in conditions
    for row in value["Resources"].values():
        assert row.get("Condition", "MakesProvider") in {*conditions, "MakesProvider"}


@each
def test_every_name_is_there(path: Path) -> None:
    refuse_unknown_names(template(path.read_text()))


def test_one_that_is_not_is_found() -> None:
    text = (BOOTSTRAP / "account.yaml").read_text()
    for old, new in (("!GetAtt DataKey.Arn", "!GetAtt DiskKey.Arn"), ("!Ref Store\n", "!Ref X\n")):
        assert old in text
        with pytest.raises(AssertionError, match="is nowhere"):
            refuse_unknown_names(template(text.replace(old, new)))


def test_a_resource_that_is_there_twice_is_found() -> None:
    with pytest.raises(ValueError, match="Store: there twice"):
        template("Resources:\n  Store: {}\n  Store: {}\n")


@each
def test_every_parameter_is_used_and_told(path: Path) -> None:
    value = template(path.read_text())
    used = {name for name, _ in named(value)}
    for name, row in value["Parameters"].items():
        assert name in used
        assert row["Description"]
        assert "AllowedPattern" in row or row["Type"] != "String"


@each
def test_it_has_the_policies_of_iam(path: Path) -> None:
    text = path.read_text()
    assert written(text, ROLES[path.name]) == text, "run `python tests/account.py`"


def test_a_changed_policy_is_seen() -> None:
    text = (BOOTSTRAP / "account.yaml").read_text()
    changed = text.replace("- ec2:RegisterImage\n", "- ec2:*\n")
    assert changed != text
    assert written(changed, ROLES["account.yaml"]) == text


def test_nothing_of_a_policy_is_left_to_be_filled_in() -> None:
    for path in IAM.glob("*.json"):
        if path.stem != "trust-github":
            rest = json.dumps(filled(json.loads(path.read_text()), "BuildKey"))
            assert set(re.findall(r"\$\{([^}]+)\}", rest)) <= {
                "Store", "StorePrefix", "AWS::AccountId",
            }  # fmt: skip


def test_every_policy_of_iam_is_somebodys() -> None:
    given = {name for roles in ROLES.values() for names, _ in roles.values() for name in names}
    assert given == {path.stem for path in IAM.glob("*.json")} - {"trust-github"}


def subjects(role: str) -> list[str]:
    (row,) = properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert row["Action"] == "sts:AssumeRoleWithWebIdentity"
    (equal,) = row["Condition"].values()
    assert set(row["Condition"]) == {"StringEquals"}
    assert equal["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    return [call["Sub"] for call in equal["token.actions.githubusercontent.com:sub"]]


def test_each_role_is_for_environments_of_the_workflow_that_needs_it() -> None:
    trusted = {role: subjects(role) for role in ("RebuildRole", "CheckRole", "PromoteRole")}
    for role, names in {
        "RebuildRole": ["rebuild"],
        "CheckRole": ["promotion-check", "reproduce"],
        "PromoteRole": ["staging", "prod", "roll-staging", "roll-prod"],
    }.items():
        assert trusted[role] == [f"${{Subject}}:environment:{name}" for name in names]
    for name in ("rebuild", "promotion-check", "reproduce"):
        (job,) = BY_NAME[name].jobs.values()
        assert job["environment"] == name
    by_hand = BY_NAME["promote"].triggers["workflow_dispatch"]["inputs"]["channel"]["options"]
    (roll,) = BY_NAME["roll"].jobs.values()
    assert roll["environment"] == "roll-${{ matrix.channel }}"
    names = [*by_hand, *(f"roll-{name}" for name in roll["strategy"]["matrix"]["channel"])]
    assert [f"${{Subject}}:environment:{name}" for name in names] == trusted["PromoteRole"]
    trust = json.loads((IAM / "trust-github.json").read_text())["Statement"][0]
    assert (
        trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        == "${subject}:environment:${environment}"
    )


def test_the_set_up_names_every_environment_that_a_workflow_has() -> None:
    """The table of environments and variables in the README: what is forgotten there never runs."""
    text = (IAM.parent / "README.md").read_text()
    rows = [row.split("|")[1:3] for row in text.splitlines() if row.startswith("| environment")]
    told = {name for where, _ in rows for name in re.findall(r"`([a-z-]+)`", where)}
    given: set[str] = set()
    for role in ("RebuildRole", "CheckRole", "PromoteRole"):
        given |= {subject.rpartition(":")[2] for subject in subjects(role)}
    assert told == given


@pytest.mark.parametrize(
    ("subject", "is_one"),
    [
        ("repo:acme/images", True),
        ("repo:acme@123/images@456", True),
        ("repo:acme/*", False),
        ("repo:acme/images:ref:refs/heads/main", False),
        ("repo:acme/images:environment:prod", False),
        ("acme/images", False),
        ("repo:*/images", False),
    ],
)
def test_the_subject_is_one_repository_in_either_form(subject: str, is_one: bool) -> None:
    pattern = account()["Parameters"]["Subject"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, subject)) == is_one


def test_the_store_has_versions_and_nobody_elses_eyes() -> None:
    store = account()["Resources"]["Store"]
    assert store["DeletionPolicy"] == store["UpdateReplacePolicy"] == "Retain"
    assert store["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert store["Properties"]["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    (row,) = properties("StorePolicy")["PolicyDocument"]["Statement"]
    assert (row["Effect"], row["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize(
    ("key", "role"), [("BuildKey", "RebuildRole"), ("PromoteKey", "PromoteRole")]
)
def test_one_role_signs_with_a_key_and_nobody_else_can(key: str, role: str) -> None:
    made = properties(key)
    assert (made["KeySpec"], made["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    may: dict[str, list[Any]] = {}
    for row in made["KeyPolicy"]["Statement"]:
        actions = row["Action"] if isinstance(row["Action"], list) else [row["Action"]]
        for action in actions:
            assert "*" not in action
            may.setdefault(action, []).append(row["Principal"]["AWS"])
    assert may["kms:Sign"] == [Call({"GetAtt": f"{role}.Arn"})]
    assert "kms:CreateGrant" not in may
    # Or nobody could change the policy any more.
    assert may["kms:PutKeyPolicy"] == [Call({"Sub": "arn:aws:iam::${AWS::AccountId}:root"})]


def test_a_signing_role_has_its_own_key_in_its_policies() -> None:
    for role, (names, key) in ROLES["account.yaml"].items():
        for name in names:
            made = account()["Resources"][f"{role.removesuffix('Role')}May{name.title()}"]
            text = str(made)
            others = {"BuildKey", "PromoteKey"} - {key}
            assert not any(other in text for other in others)
            assert ("kms:Sign" in text) == (name in {"build", "promote"})


def test_other_accounts_launch_from_encrypted_images_only_when_named() -> None:
    rows = properties("DataKey")["KeyPolicy"]["Statement"]
    conditional = [row["If"] for row in rows if "If" in row]
    assert [row[0] for row in conditional] == ["IsShared", "IsShared"]
    given = {a for row in conditional for a in _listed(row[1]["Action"])}
    assert {"kms:Decrypt", "kms:CreateGrant"} <= given
    assert not given & {"kms:*", "kms:PutKeyPolicy", "kms:Encrypt"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_what_is_tried_has_no_way_out_and_one_way_in() -> None:
    kinds = {row["Type"] for row in account()["Resources"].values()}
    assert not kinds & {
        "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP",
    }  # fmt: skip
    assert properties("TrialSubnet")["MapPublicIpOnLaunch"] is False
    assert properties("Endpoint")["SubnetId"] == Call({"Ref": "TrialSubnet"})
    # Trials let in the network's range: the endpoint must not show the caller's own address.
    assert properties("Endpoint")["PreserveClientIp"] is False
    (egress,) = properties("EndpointGroup")["SecurityGroupEgress"]
    assert (egress["FromPort"], egress["ToPort"]) == (22, 22)


def test_another_account_is_read_by_two_roles_alone() -> None:
    value = template((BOOTSTRAP / "reader.yaml").read_text())
    role = value["Resources"]["ReadRole"]["Properties"]
    assert role["RoleName"] == "goldpress-read"
    (row,) = role["AssumeRolePolicyDocument"]["Statement"]
    ends = [call["Sub"].rpartition("/")[2] for call in row["Condition"]["ArnEquals"][
        "aws:PrincipalArn"
    ]]  # fmt: skip
    names = {
        made["Properties"]["RoleName"]
        for made in account()["Resources"].values()
        if made["Type"] == "AWS::IAM::Role"
    }
    assert ends == ["goldpress-audit", "goldpress-rebuild"]
    assert set(ends) <= names
