"""Owns what is looked at before anything is made: who calls, which cloud, which key."""

from __future__ import annotations

from goldpress.aws import kms
from goldpress.aws.client import Access, checked_region
from goldpress.aws.ec2 import Images
from goldpress.aws.sts import Caller, caller
from goldpress.errors import CloudError, TrustError
from goldpress.publish.parent import Encryption
from goldpress.publish.settings import Settings


def access_of(settings: Settings, endpoint: str) -> Access:
    """Who calls. With an endpoint, the embedded cloud's own caller: never a role of AWS."""
    return Access(endpoint=endpoint) if endpoint else Access(role=settings.role)


def check_cloud(access: Access, *, stand_in: bool) -> None:
    """Raises TrustError for a stand-in image that would go to AWS."""
    if stand_in and not access.emulated:
        raise TrustError(
            "this image is made of a stand-in for CentOS: it is never published to AWS",
            hint="add --sandbox to publish it to the embedded cloud, or press the real image",
        )


def identify(access: Access, region: str) -> Caller:
    """Who calls in `region`. Raises CloudError for a wrong region or wrong credentials."""
    return caller(access, checked_region(region))


def choose_encryption(
    access: Access,
    images: Images,
    *,
    kms_key: str,
    account: str,
    share_with: tuple[str, ...],
) -> Encryption:
    """The key of the new snapshot, as an ARN, checked. Raises CloudError.

    Without `kms_key` it is the account's default one where the account encrypts by default.
    """
    region = images.region
    if kms_key.startswith("arn:"):
        _check_place(kms_key, region)
    wanted, by_default = kms_key, False
    if not wanted:
        default = images.default_encryption()
        if default is None:
            return Encryption(kms_key="")
        wanted, by_default = default, True
    try:
        found = kms.describe(access, region, wanted)
    except CloudError as error:
        other = wanted.split(":")[4] if wanted.startswith("arn:") else account
        if other == account:
            raise
        raise CloudError(
            f"KMS key {wanted} in {region} is of account {other}, which does not let {account} "
            f"use it: {error.message}",
            hint="name a key of this account, or have its owner allow this one",
        ) from error
    if found.state != "Enabled":
        raise CloudError(
            f"KMS key {found.arn} is {found.state}", hint="enable it, or name another one"
        )
    outside = tuple(other for other in share_with if other != account)
    if outside and found.owned_by_aws:
        raise CloudError(
            f"{found.arn} is AWS's own key: what it encrypts cannot be shared with "
            f"{', '.join(outside)}",
            hint=f"name a customer managed kms_key for {region} in publish.yaml",
        )
    if outside and (refused := kms.without_access(access, region, found.arn, outside)):
        raise CloudError(
            f"KMS key {found.arn} is not open to {', '.join(refused)}: the AMI could be shared "
            "with them, but not launched",
            hint="allow them kms:Decrypt and kms:CreateGrant in the key's policy",
        )
    return Encryption(kms_key=found.arn, by_default=by_default)


def _check_place(arn: str, region: str) -> None:
    of = arn.split(":")[3]
    if of != region:
        raise CloudError(
            f"KMS key {arn} is in {of}: it cannot encrypt anything in {region}",
            hint=f"name a key of {region} in publish.yaml",
        )
