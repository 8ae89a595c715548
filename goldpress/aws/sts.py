"""Owns who calls: the account behind the credentials."""

from __future__ import annotations

from dataclasses import dataclass

from goldpress.aws.client import Access
from goldpress.aws.errors import translated


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An account (12 digits) and the ARN that calls."""

    account: str
    arn: str


def caller(access: Access, region: str) -> Caller:
    """Who calls in this region. Raises CloudError for credentials that AWS does not accept."""
    with translated(f"the credentials in {region}", service="sts"):
        answer = access.client("sts", region).get_caller_identity()
    return Caller(account=str(answer["Account"]), arn=str(answer["Arn"]))
