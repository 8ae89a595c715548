"""Owns the end of AMIs: deprecated, protected, disabled, deregistered, and what is behind them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot

from goldpress.emulator.images import COOLDOWN_SECONDS, Ec2Error, own, users_of
from goldpress.emulator.snapshots import DirectSnapshot
from goldpress.emulator.world import current

#: [D] "Deprecate an Amazon EC2 AMI": at most ten years ahead.
MOST_DAYS = 3653


def deregister_image(self: Any) -> ActionResult:
    """[M] DeregisterImage, and with DeleteAssociatedSnapshots what is behind it."""
    with current().lock:
        account, region = self.current_account, self.region
        image = own(account, region, self._get_param("ImageId"))
        if image.deregistration_protection != "disabled":
            raise Ec2Error(
                "OperationNotPermitted",
                f"The image {image.id} is protected against deregistration: "
                f"{image.deregistration_protection}",
            )
        self.error_on_dryrun()
        backend = ec2_backends[account][region]
        del backend.amis[image.id]
        backend.deleted_amis.append(image.id)
        result: dict[str, Any] = {"Return": True}
        if self._get_param("DeleteAssociatedSnapshots"):
            result["DeleteSnapshotResults"] = [
                {"SnapshotId": name, "ReturnCode": _delete_behind(backend, name)}
                for name in image.snapshot_ids
            ]
    return ActionResult(result)


def _delete_behind(backend: Any, snapshot_id: str) -> str:
    if snapshot_id not in backend.snapshots:
        return "missing-permissions"
    if users_of(snapshot_id, backend.region_name):
        return "skipped"
    backend.delete_snapshot(snapshot_id)
    return "success"


def delete_snapshot(self: Any, snapshot_id: str) -> Snapshot:
    """[M] DeleteSnapshot: not while an AMI needs it. A pending one is cancelled by it."""
    with current().lock:
        found: Snapshot | None = self.snapshots.get(snapshot_id)
        if found is None:
            raise Ec2Error(
                "InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist."
            )
        if users := users_of(snapshot_id, self.region_name):
            raise Ec2Error(
                "InvalidSnapshot.InUse",
                f"The snapshot {snapshot_id} is currently in use by {users[0]}",
            )
        if isinstance(found, DirectSnapshot):
            found.blocks.remove()
        del self.snapshots[snapshot_id]
        return found


def disable_image(self: Any) -> ActionResult:
    """[M] DisableImage: it cannot be launched, and its sharing ends."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    self.error_on_dryrun()
    image.disabled = True
    image.launch_permissions = []
    return ActionResult({"Return": True})


def enable_image(self: Any) -> ActionResult:
    """[M] EnableImage."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    self.error_on_dryrun()
    image.disabled = False
    return ActionResult({"Return": True})


def enable_image_deprecation(self: Any) -> ActionResult:
    """[M] EnableImageDeprecation: rounded to minutes, in the future."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    asked = self._get_param("DeprecateAt")
    at = asked if isinstance(asked, dt.datetime) else dt.datetime.fromisoformat(asked)
    at = at.astimezone(dt.UTC) if at.tzinfo else at.replace(tzinfo=dt.UTC)
    at = (at + dt.timedelta(seconds=30)).replace(second=0, microsecond=0)
    now = current().clock.utc()
    if not now <= at <= now + dt.timedelta(days=MOST_DAYS):
        raise Ec2Error("InvalidParameterValue", f"DeprecateAt {at.isoformat()} is not ahead")
    self.error_on_dryrun()
    image.deprecation = at
    return ActionResult({"Return": True})


def disable_image_deprecation(self: Any) -> ActionResult:
    """[M] DisableImageDeprecation."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    self.error_on_dryrun()
    image.deprecation = None
    return ActionResult({"Return": True})


def enable_protection(self: Any) -> ActionResult:
    """[M] EnableImageDeregistrationProtection."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    self.error_on_dryrun()
    image.protection = "enabled-with-cooldown" if self._get_param("WithCooldown") else "enabled"
    return ActionResult({"Return": image.protection})


def disable_protection(self: Any) -> ActionResult:
    """[M] DisableImageDeregistrationProtection; [D] a cooldown lasts 24 more hours."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    self.error_on_dryrun()
    if image.protection == "enabled-with-cooldown":
        image.protected_until = current().clock.now() + COOLDOWN_SECONDS
    image.protection = "disabled"
    return ActionResult({"Return": image.deregistration_protection})
