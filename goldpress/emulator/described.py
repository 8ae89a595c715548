"""Owns what EC2 says of EBS snapshots: own and shared ones, in pages, and the default key."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import generic_filter

from goldpress.emulator import patches
from goldpress.emulator.images import Ec2Error
from goldpress.emulator.snapshots import default_key, find

PAGE = (5, 1000)


def extend_described() -> None:
    """Teach moto what DescribeSnapshots leaves out. Raises RuntimeError when moto has changed."""
    patches.replace(ElasticBlockStore, {"describe_snapshots": describe_snapshots})
    patches.replace(ElasticBlockStore, {"copy_snapshot": copy_snapshot})
    patches.add(EC2Response, {"get_ebs_default_kms_key_id": get_default_key})


def get_default_key(self: Any) -> ActionResult:
    """[M] GetEbsDefaultKmsKeyId."""
    return ActionResult({"KmsKeyId": default_key(self.current_account, self.region)})


def copy_snapshot(_self: Any) -> ActionResult:
    """Each region gets its own upload; nothing here copies."""
    raise Ec2Error("UnsupportedOperation", "the embedded cloud has no CopySnapshot")


def describe_snapshots(self: Any) -> ActionResult:
    """[M] DescribeSnapshots: own ones, and those that others share with this account."""
    account, region = self.current_account, self.region
    names = [name for other in list(ec2_backends) for name in ec2_backends[other][region].snapshots]
    found = [s for s in (find(account, region, name) for name in names) if s is not None]
    if ids := self._get_param("SnapshotIds", []):
        for name in ids:
            if all(snapshot.id != name for snapshot in found):
                raise Ec2Error("InvalidSnapshot.NotFound", f"The snapshot '{name}' does not exist.")
        found = [snapshot for snapshot in found if snapshot.id in ids]
    if owners := self._get_param("OwnerIds", []):
        wanted = {account if owner == "self" else owner for owner in owners}
        found = [snapshot for snapshot in found if snapshot.owner_id in wanted]
    found = generic_filter(self._filters_from_querystring(), found)
    start, most = int(self._get_param("NextToken") or 0), self._get_param("MaxResults")
    if most is None:
        return ActionResult({"Snapshots": found[start:]})
    if not PAGE[0] <= int(most) <= PAGE[1]:
        raise Ec2Error("InvalidParameterValue", f"MaxResults {most} is not in {PAGE}")
    end = start + int(most)
    result: dict[str, Any] = {"Snapshots": found[start:end]}
    return ActionResult({**result, "NextToken": str(end)} if end < len(found) else result)
