"""Owns KMS keys as far as disks need them: which key an id means, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from goldpress.aws.client import Client
from goldpress.aws.errors import translated

#: What a launch from an encrypted EBS snapshot asks KMS for.
NEEDED = frozenset({"kms:Decrypt", "kms:CreateGrant"})
#: What Auto Scaling's role needs of a key that is a customer's.
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
LAUNCHES = ("CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext")


class Caller(Protocol):
    """What makes clients."""

    def client(self, service: str, region: str) -> Client:
        """A client of a service in a region. Raises CloudError."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key: its ARN, its state, and whether it is AWS's own, which cannot be shared."""

    arn: str
    account: str
    region: str
    state: str
    owned_by_aws: bool


def describe(access: Caller, region: str, key: str) -> Key:
    """The key that an id, alias or ARN means. Raises CloudError."""
    with translated(f"KMS key {key} in {region}", service="kms"):
        row = access.client("kms", region).describe_key(KeyId=key)["KeyMetadata"]
    arn = str(row["Arn"])
    return Key(
        arn=arn,
        account=str(row["AWSAccountId"]),
        region=arn.split(":")[3],
        state=str(row["KeyState"]),
        owned_by_aws=row.get("KeyManager") == "AWS",
    )


def without_access(
    access: Caller, region: str, key: str, accounts: Iterable[str]
) -> tuple[str, ...]:
    """Those of `accounts` that neither the key's policy nor a grant names. Raises CloudError."""
    client = access.client("kms", region)
    with translated(f"the policy of KMS key {key} in {region}", service="kms"):
        policy = json.loads(client.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        named = allowed_principals(policy)
        for page in client.get_paginator("list_grants").paginate(KeyId=key):
            named.update(str(row.get("GranteePrincipal", "")) for row in page["Grants"])
    return tuple(sorted(a for a in set(accounts) if not any(_is_of(a, name) for name in named)))


def lets_launch(access: Caller, region: str, key: str, role: str) -> bool:
    """Whether a role (an ARN) may launch from disks under this key, by its policy or a grant.

    That the key's own account may do everything is not enough: the role of a service has no policy
    of its own for keys. Raises CloudError.
    """
    client = access.client("kms", region)
    with translated(f"the policy of KMS key {key} in {region}", service="kms"):
        policy = json.loads(client.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        if policy_lets(policy, role):
            return True
        for page in client.get_paginator("list_grants").paginate(KeyId=key):
            for row in page["Grants"]:
                if row.get("GranteePrincipal") == role and set(LAUNCHES) <= set(row["Operations"]):
                    return True
    return False


def policy_lets(policy: dict[str, Any], role: str) -> bool:
    """Whether a key's policy allows a role, by its name, all that a launch needs."""
    patterns: list[str] = []
    for statement in _listed(policy.get("Statement", [])):
        principal = statement.get("Principal", {})
        names = principal.get("AWS", []) if isinstance(principal, dict) else principal
        if statement.get("Effect") == "Allow" and {role, "*"} & set(_listed(names)):
            patterns += [str(action).lower() for action in _listed(statement.get("Action", []))]
    return all(
        any(fnmatchcase(f"kms:{name}".lower(), pattern) for pattern in patterns)
        for name in LAUNCHES
    )


def allowed_principals(policy: dict[str, Any]) -> set[str]:
    """Whom a key policy allows anything that a launch needs."""
    found: set[str] = set()
    for statement in _listed(policy.get("Statement", [])):
        actions = {str(action) for action in _listed(statement.get("Action", []))}
        allows = statement.get("Effect") == "Allow"
        if not allows or not actions & {"*", "kms:*", "kms:Decrypt*", *NEEDED}:
            continue
        principal = statement.get("Principal", {})
        names = principal.get("AWS", []) if isinstance(principal, dict) else principal
        found.update(str(name) for name in _listed(names))
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_of(account: str, principal: str) -> bool:
    return principal == account or f"::{account}:" in principal
