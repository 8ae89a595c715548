"""Owns the quotas of running vCPUs in the embedded cloud: moto knows those of VPCs alone.

An account has as many as most real ones that were never raised by much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

from goldpress.aws.capacity import FAMILIES, STANDARD_QUOTA
from goldpress.emulator import patches

CODES = frozenset({STANDARD_QUOTA, *FAMILIES.values()})
VCPUS = 640.0
_DONE = "_goldpress_quotas"


def extend_quotas() -> None:
    """Teach moto EC2's quotas. Raises RuntimeError when moto has changed."""
    get = patches.original(
        ServiceQuotasBackend, "get_service_quota", ("self", "service_code", "quota_code")
    )
    if not hasattr(ServiceQuotasBackend, _DONE):
        setattr(ServiceQuotasBackend, "get_service_quota", _getting(get))  # noqa: B010
        setattr(ServiceQuotasBackend, _DONE, True)


def _getting(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != "ec2" or quota_code not in CODES:
            return original(self, service_code, quota_code)
        return {
            "ServiceCode": service_code,
            "QuotaCode": quota_code,
            "Value": VCPUS,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }

    return get_service_quota
