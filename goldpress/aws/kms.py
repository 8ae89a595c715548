"""Owns KMS keys as far as disks need them: which key an id means, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Access
from goldpress.aws.errors import translated

#: What a launch from an encrypted EBS snapshot asks KMS for.
NEEDED = frozenset({"kms:Decrypt", "kms:CreateGrant"})


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key: its ARN, its state, and whether it is AWS's own, which cannot be shared."""

    arn: str
    account: str
    region: str
    state: str
    owned_by_aws: bool


def describe(access: Access, region: str, key: str) -> Key:
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
    access: Access, region: str, key: str, accounts: Iterable[str]
) -> tuple[str, ...]:
    """Those of `accounts` that neither the key's policy nor a grant names. Raises CloudError."""
    client = access.client("kms", region)
    with translated(f"the policy of KMS key {key} in {region}", service="kms"):
        policy = json.loads(client.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        named = allowed_principals(policy)
        for page in client.get_paginator("list_grants").paginate(KeyId=key):
            named.update(str(row.get("GranteePrincipal", "")) for row in page["Grants"])
    return tuple(sorted(a for a in set(accounts) if not any(_is_of(a, name) for name in named)))


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
