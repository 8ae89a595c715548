"""Who reaches a fleet, and what is asked there before it is rolled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleets import ami, fleet, group, observed, version, wish
from stubbed import ACCOUNT, REGION, Stubbed

from goldpress.aws.client import Access
from goldpress.aws.scaling import Refresh
from goldpress.errors import CloudError
from goldpress.fleet.place import Place, place_of, reach_of
from goldpress.fleet.preflight_facts import Facts, gather, known

OTHER = "111122223333"
ROLE = f"arn:aws:iam::{OTHER}:role/goldpress-roll"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
SERVICE_ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/"
    "AWSServiceRoleForAutoScaling"
)


def test_the_own_account_is_reached_as_it_is_and_others_by_their_role() -> None:
    access = Access(role="arn:aws:iam::123456789012:role/promote")
    reach = reach_of({OTHER: ROLE}, own=ACCOUNT, access=access)
    assert place_of(fleet(), own=ACCOUNT, reach=reach).access == access
    there = place_of(fleet(account=OTHER), own=ACCOUNT, reach=reach)
    assert there.access == Access(role=ROLE)
    assert there.name == f"{OTHER}/{REGION}"


def test_an_account_without_a_role_is_not_reached() -> None:
    reach = reach_of({}, own=ACCOUNT, access=Access())
    with pytest.raises(CloudError, match=f"{OTHER}: no role reaches its groups") as caught:
        place_of(fleet(account=OTHER), own=ACCOUNT, reach=reach)
    assert "bootstrap/roller.yaml" in caught.value.hint


def test_the_embedded_cloud_is_one_account() -> None:
    access = Access(endpoint="http://127.0.0.1:1")
    reach = reach_of({OTHER: ROLE}, own=ACCOUNT, access=access)
    with pytest.raises(CloudError, match="the embedded cloud is one account"):
        reach(OTHER)


def described_key(cloud: Stubbed, **changes: Any) -> None:
    row = {
        "KeyId": "1", "Arn": KEY, "AWSAccountId": ACCOUNT, "KeyState": "Enabled",
        "KeyManager": "CUSTOMER", **changes,
    }  # fmt: skip
    cloud.says("kms", "describe_key", {"KeyMetadata": row})


def policy(cloud: Stubbed, *actions: str) -> None:
    said = ", ".join(f'"{action}"' for action in actions)
    text = (
        '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "'
        + SERVICE_ROLE
        + f'"}}, "Action": [{said}], "Resource": "*"}}]}}'
    )
    cloud.says("kms", "get_key_policy", {"Policy": text})


def gathered(cloud: Stubbed, **changes: Any) -> Facts:
    """The facts of a group in a cloud that answers about keys alone: the rest are errors."""
    place = Place(account=ACCOUNT, region=REGION, access=cloud)
    given = {"observed": observed(group(target_groups=())), "wish": wish(), **changes}
    return gather(place, fleet(), given["observed"], given["wish"])


def keys(cloud: Stubbed, **changes: Any) -> list[tuple[str, str, bool]]:
    return [(row.what, row.state, row.allowed) for row in known(gathered(cloud, **changes).keys)]


def test_an_encrypted_ami_needs_a_key_that_lets_auto_scaling_use_it() -> None:
    encrypted = replace(wish(), ami=ami(kms_key=KEY))
    cloud = Stubbed()
    described_key(cloud)
    policy(cloud, "kms:*")
    assert keys(cloud, wish=encrypted) == [("the AMI's EBS snapshot", "Enabled", True)]
    cloud = Stubbed()
    described_key(cloud)
    policy(cloud, "kms:Decrypt")
    cloud.says("kms", "list_grants", {"Grants": [], "Truncated": False})
    assert keys(cloud, wish=encrypted) == [("the AMI's EBS snapshot", "Enabled", False)]


def test_a_key_of_another_account_is_asked_about_there() -> None:
    """Its policy is told to nobody else."""
    key = KEY.replace(ACCOUNT, OTHER)
    cloud, owner = Stubbed(), Stubbed()
    described_key(owner, Arn=key, AWSAccountId=OTHER)
    policy(owner, "kms:*")
    found = keys(cloud, wish=replace(wish(), ami=ami(kms_key=key), owner=owner))
    assert found == [("the AMI's EBS snapshot", "Enabled", True)]
    owner.over()


@pytest.mark.parametrize(("account", "allowed"), [(ACCOUNT, True), (OTHER, False)])
def test_awss_own_key_is_for_its_account_alone(account: str, allowed: bool) -> None:
    cloud, owner = Stubbed(), Stubbed()
    key = KEY.replace(ACCOUNT, account)
    described_key(
        owner if account == OTHER else cloud, Arn=key, AWSAccountId=account, KeyManager="AWS"
    )
    found = keys(cloud, wish=replace(wish(), ami=ami(kms_key=key), owner=owner))
    assert [row[2] for row in found] == [allowed]


def test_an_account_that_encrypts_by_default_needs_its_key_as_well() -> None:
    """The AMI is not encrypted, and every volume is."""
    cloud = Stubbed()
    cloud.says("ec2", "describe_instance_types", {"InstanceTypes": []})
    cloud.says("ec2", "describe_images", {"Images": []})
    cloud.says("ec2", "describe_images", {"Images": []})
    cloud.says("ec2", "describe_subnets", {"Subnets": []})
    cloud.says("ec2", "get_ebs_encryption_by_default", {"EbsEncryptionByDefault": True})
    cloud.says("ec2", "get_ebs_default_kms_key_id", {"KmsKeyId": KEY})
    described_key(cloud)
    policy(cloud, "kms:*")
    assert keys(cloud) == [("the account's default encryption", "Enabled", True)]


def test_a_key_of_the_templates_own_disk_is_looked_at() -> None:
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"KmsKeyId": KEY}}
    cloud = Stubbed()
    described_key(cloud, KeyState="Disabled")
    policy(cloud, "kms:*")
    of = observed(group(target_groups=()), template=version(BlockDeviceMappings=[disk]))
    assert keys(cloud, observed=of) == [("the template's /dev/xvda", "Disabled", True)]


def test_what_was_refused_is_kept_as_the_error_of_that_fact_alone() -> None:
    cloud = Stubbed()
    cloud.refuses("autoscaling", "describe_lifecycle_hooks", "AccessDenied")
    found = gathered(cloud)
    assert isinstance(found.hooks, CloudError)
    assert found.hooks.message.startswith("web-a in us-east-1: AWS denies")
    assert found.target_groups == ()
    assert found.alarms == {}


def test_what_a_running_refresh_brings_is_asked_for() -> None:
    of = observed(group(target_groups=()))
    running = Refresh(
        id="r-1", status="InProgress", percentage=0, to_update=1, reason="", desired=None,
        started="", ended="", rollback=False,
    )  # fmt: skip
    assert gathered(Stubbed(), observed=replace(of, refreshes=(running,))).coming == ""
