"""Owns the IAM policies: made of recorded calls and of what AWS asks for behind them.

``python tests/recording.py`` writes iam/, a test compares. Resources and conditions are this
table's: calls do not tell them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

IAM = Path(__file__).resolve().parents[1] / "iam"
ROLES = (
    "audit", "build", "check", "drift", "keys", "operate", "promote", "publish", "quarantine",
    "read", "roll",
)  # fmt: skip
OURS = {"StringLike": {"aws:ResourceTag/goldpress:image": "sha256:*"}}
NEW = {"StringLike": {"aws:RequestTag/goldpress:image": "sha256:*"}}
LAUNCHED = {"StringLike": {"aws:ResourceTag/goldpress:launch": "goldpress-*"}}
SNAPSHOTS = ("arn:aws:ec2:*::snapshot/*",)
IMAGES = ("arn:aws:ec2:*::image/*",)
BUCKET = "arn:aws:s3:::${store_bucket}"
AUTO_SCALING = ("arn:aws:autoscaling:*:${account}:autoScalingGroup:*:autoScalingGroupName/*",)
INSTANCES = ("arn:aws:ec2:*:${account}:instance/*",)

#: Calls whose permission has another name.
NAMES = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
#: Services whose permissions begin otherwise.
SERVICES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
#: How calls begin that change nothing.
LOOKING = ("Describe", "Get", "List", "Lookup")
#: Calls that nobody has to be allowed.
FREE = frozenset({"sts:GetCallerIdentity"})


@dataclass(frozen=True, kw_only=True)
class Scope:
    """On what an action is allowed, under which conditions."""

    name: str
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Any] = field(default_factory=dict)


LOOK = Scope(name="Look")
KEYS = Scope(
    name="Keys",
    resources=("${kms_key_arns}",),
    condition={"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"}},
)
SCOPES: Mapping[str, Scope] = {
    "ebs:StartSnapshot": Scope(name="Begin", resources=SNAPSHOTS, condition=NEW),
    **dict.fromkeys(
        (
            "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot", "ebs:ListSnapshotBlocks",
            "ebs:GetSnapshotBlock", "ec2:DeleteSnapshot",
        ),
        Scope(name="Snapshots", resources=SNAPSHOTS, condition=OURS),
    ),
    # A parent or a new image: the tag is on the snapshot, not in every request.
    "ec2:RegisterImage": Scope(name="Register", resources=(*SNAPSHOTS, *IMAGES)),
    **dict.fromkeys(
        (
            "ec2:ModifyImageAttribute", "ec2:EnableImageDeprecation",
            "ec2:EnableImageDeregistrationProtection", "ec2:DescribeImageAttribute",
        ),
        Scope(name="Images", resources=IMAGES, condition=OURS),
    ),
    "ec2:RunInstances": Scope(
        name="Launch",
        resources=(
            *IMAGES, *SNAPSHOTS, "arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*",
            "arn:aws:ec2:*:*:network-interface/*", "arn:aws:ec2:*:*:security-group/*",
            "arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:*:*:key-pair/goldpress-*",
        ),
    ),
    "ec2:TerminateInstances": Scope(
        name="End", resources=("arn:aws:ec2:*:*:instance/*",), condition=LAUNCHED
    ),
    "ec2:GetConsoleOutput": Scope(
        name="Console", resources=("arn:aws:ec2:*:*:instance/*",), condition=LAUNCHED
    ),
    **dict.fromkeys(
        ("ec2:ImportKeyPair", "ec2:DeleteKeyPair"),
        Scope(name="LoginKeys", resources=("arn:aws:ec2:*:*:key-pair/goldpress-*",)),
    ),
    "ec2:CreateSecurityGroup": Scope(
        name="NewGroups",
        resources=("arn:aws:ec2:*:*:security-group/*", "arn:aws:ec2:*:*:vpc/*"),
    ),
    **dict.fromkeys(
        ("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"),
        Scope(
            name="Groups",
            resources=("arn:aws:ec2:*:*:security-group/*",),
            condition=LAUNCHED,
        ),
    ),
    "ec2:CreateTags": Scope(
        name="TagWhatIsMade",
        resources=("arn:aws:ec2:*:*:*/*", *SNAPSHOTS, *IMAGES),
        condition={
            "StringEquals": {
                "ec2:CreateAction": [
                    "CreateSnapshot", "StartSnapshot", "RegisterImage", "RunInstances",
                    "CreateSecurityGroup",
                ]
            }
        },
    ),
    **dict.fromkeys(
        (
            "autoscaling:StartInstanceRefresh", "autoscaling:CancelInstanceRefresh",
            "autoscaling:RollbackInstanceRefresh", "autoscaling:UpdateAutoScalingGroup",
        ),
        Scope(name="Refresh", resources=AUTO_SCALING),
    ),
    **dict.fromkeys(
        (
            "autoscaling:EnterStandby", "autoscaling:ExitStandby", "autoscaling:DetachInstances",
            "autoscaling:AttachInstances", "autoscaling:SetDesiredCapacity",
        ),
        Scope(name="Isolate", resources=AUTO_SCALING),
    ),
    **dict.fromkeys(
        ("ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions"),
        Scope(name="Versions", resources=("arn:aws:ec2:*:${account}:launch-template/*",)),
    ),
    **dict.fromkeys(
        ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
        Scope(
            name="Targets",
            resources=("arn:aws:elasticloadbalancing:*:${account}:targetgroup/*/*",),
        ),
    ),
    # Of what a group launches: the role of its instances, given to EC2 and nobody else.
    "iam:PassRole": Scope(
        name="InstanceRoles",
        resources=("arn:aws:iam::${account}:role/*",),
        condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    ),
    "ec2-instance-connect:OpenTunnel": Scope(
        name="Tunnel",
        resources=("arn:aws:ec2:*:*:instance-connect-endpoint/*",),
        condition={"NumericEquals": {"ec2-instance-connect:remotePort": "22"}},
    ),
    **dict.fromkeys(
        (
            "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        KEYS,
    ),
    **dict.fromkeys(
        ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"),
        Scope(name="LookAtKeys", resources=("${kms_key_arns}",)),
    ),
    **dict.fromkeys(
        ("kms:Decrypt", "kms:GenerateDataKey"),
        Scope(name="Data", resources=("${kms_key_arns}",)),
    ),
    **dict.fromkeys(
        ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
        Scope(name="Objects", resources=(f"{BUCKET}/${{store_prefix}}*",)),
    ),
    **dict.fromkeys(
        ("s3:ListBucket", "s3:ListBucketMultipartUploads"),
        Scope(name="Bucket", resources=(BUCKET,)),
    ),
    "sts:AssumeRole": Scope(name="Readers", resources=("arn:aws:iam::*:role/goldpress-read",)),
}  # fmt: skip

#: A role's own scopes, where its purpose is narrower.
OWN: Mapping[tuple[str, str], Scope] = {
    # Not when an image is made: the tag that tells people which approval brought it to a channel.
    ("promote", "ec2:CreateTags"): Scope(
        name="TagChannels",
        resources=IMAGES,
        condition={
            **OURS,
            "ForAllValues:StringLike": {"aws:TagKeys": ["goldpress:channel:*"]},
        },
    ),
    # What is in quarantine is tagged with that, and with nothing else.
    **dict.fromkeys(
        (("quarantine", "ec2:CreateTags"), ("quarantine", "ec2:DeleteTags")),
        Scope(
            name="Mark",
            resources=INSTANCES,
            condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["goldpress:quarantine"]}},
        ),
    ),
    ("quarantine", "ec2:ModifyInstanceAttribute"): Scope(
        name="KeepDisks",
        resources=(*INSTANCES, "arn:aws:ec2:*:${account}:volume/*"),
        condition={"StringEquals": {"ec2:Attribute": "BlockDeviceMappings"}},
    ),
    # A refresh is refused to who may not launch what its template says, whatever that is.
    ("roll", "ec2:RunInstances"): Scope(
        name="Launch",
        resources=(
            *IMAGES,
            *SNAPSHOTS,
            "arn:aws:ec2:*:*:instance/*",
            "arn:aws:ec2:*:*:volume/*",
            "arn:aws:ec2:*:*:network-interface/*",
            "arn:aws:ec2:*:*:security-group/*",
            "arn:aws:ec2:*:*:subnet/*",
            "arn:aws:ec2:*:*:key-pair/*",
            "arn:aws:ec2:*:*:launch-template/*",
            "arn:aws:ec2:*:*:placement-group/*",
        ),
    ),
    **{
        (role, "sts:AssumeRole"): Scope(
            name="Rollers", resources=("arn:aws:iam::*:role/goldpress-roll",)
        )
        for role in ("roll", "operate")
    },
    # A proposal is checked by whoever opens one: it reads. So does an audit.
    **dict.fromkeys(
        (("audit", "s3:GetObject"), ("check", "s3:GetObject")),
        Scope(name="Read", resources=(f"{BUCKET}/${{store_prefix}}*",)),
    ),
    **dict.fromkeys(
        (("build", "kms:Sign"), ("promote", "kms:Sign")),
        Scope(name="Sign", resources=("${signing_key_arn}",)),
    ),
    # Those that goldpress itself makes.
    **{
        (role, f"ssm:{name}"): Scope(
            name="Parameters", resources=("arn:aws:ssm:*:${account}:parameter/goldpress/*",)
        )
        for name in ("GetParameter", "PutParameter", "AddTagsToResource")
        for role in ("promote", "roll")
    },
}


def actions(calls: Iterable[str]) -> set[str]:
    """The permissions that recorded calls (``service:Operation``) need."""
    named = {NAMES.get(call, call) for call in calls} - FREE
    parts = (call.partition(":") for call in named)
    return {f"{SERVICES.get(service, service)}:{name}" for service, _, name in parts}


def implied(role: str) -> set[str]:
    """What AWS asks for behind the calls of a role, as iam/implied.yaml lists it."""
    rows: dict[str, list[str]] = yaml.safe_load((IAM / "implied.yaml").read_text())
    return set(rows[role])


def policy(allowed: Iterable[str], role: str = "") -> dict[str, Any]:
    """The policy document of these permissions; looking alone needs no scope."""
    groups: dict[str, tuple[Scope, list[str]]] = {}
    for action in sorted(set(allowed)):
        scope = OWN.get((role, action)) or SCOPES.get(action)
        if scope is None:
            if not action.partition(":")[2].startswith(LOOKING):
                raise ValueError(f"{action} changes something: give it a scope in SCOPES")
            scope = LOOK
        groups.setdefault(scope.name, (scope, []))[1].append(action)
    statements = [
        {
            "Sid": name,
            "Effect": "Allow",
            "Action": names,
            "Resource": list(scope.resources),
            **({"Condition": dict(scope.condition)} if scope.condition else {}),
        }
        for name, (scope, names) in sorted(groups.items())
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def text(document: Mapping[str, Any]) -> str:
    """A policy as it is kept."""
    return json.dumps(document, indent=2) + "\n"


def allowed_by(path: Path) -> set[str]:
    """The permissions of a policy file."""
    return {action for row in json.loads(path.read_text())["Statement"] for action in row["Action"]}
