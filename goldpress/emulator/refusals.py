"""Owns how the EBS direct API refuses, and which EBS snapshots it knows.

Every refusal carries the `Reason` that botocore's model of `ebs` has for it. Where AWS does not
document which error a broken rule gets, it is a ValidationException: what matters is that it is
refused.
"""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException

from goldpress.emulator.snapshots import DirectSnapshot, find


class EbsError(ServiceException):  # type: ignore[misc,unused-ignore]
    """An error of the EBS direct API, with its reason."""

    def __init__(self, code: str, message: str, reason: str = "") -> None:
        super().__init__(code, message)
        if reason:
            self.Reason = reason


def invalid(message: str, reason: str = "INVALID_PARAMETER_VALUE") -> EbsError:
    """A ValidationException."""
    return EbsError("ValidationException", message, reason)


def known(self: Any, snapshot_id: str) -> DirectSnapshot:
    """The EBS snapshot. Raises ResourceNotFoundException, also for a while after its start."""
    found = find(self.current_account, self.region, snapshot_id)
    if not isinstance(found, DirectSnapshot) or not found.visible:
        raise EbsError(
            "ResourceNotFoundException",
            f"The snapshot '{snapshot_id}' does not exist.",
            "SNAPSHOT_NOT_FOUND",
        )
    return found


def completed(self: Any, snapshot_id: str) -> DirectSnapshot:
    """An EBS snapshot that can be read and can be a parent."""
    found = known(self, snapshot_id)
    if found.status != "completed":
        raise invalid(
            f"the snapshot '{snapshot_id}' is {found.status}, not completed", "INVALID_SNAPSHOT_ID"
        )
    return found
