"""Owns Auto Scaling's API without HTTP: a request as boto3 takes it, an answer as boto3 gives it.

    call(region, "StartInstanceRefresh", {"AutoScalingGroupName": "web"})

raises ScalingError as AWS refuses. Whatever is due is done before and after each call. Answers are
not copied: nobody may change them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from goldpress.emulator.scaling import (
    belonging,
    capacity_operations,
    described,
    group_operations,
    hook_operations,
    refresh_operations,
    requests,
)
from goldpress.emulator.scaling.region import Region

SERVICE = "autoscaling"
Operation = Callable[[Region, Mapping[str, Any]], dict[str, Any]]
#: By the model's names.
OPERATIONS: Mapping[str, Operation] = {
    **group_operations.OPERATIONS,
    **described.OPERATIONS,
    **belonging.OPERATIONS,
    **capacity_operations.OPERATIONS,
    **hook_operations.OPERATIONS,
    **refresh_operations.OPERATIONS,
}


def call(region: Region, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request. Raises ScalingError, KeyError for an operation that is not here."""
    function = OPERATIONS[operation]
    requests.checked(SERVICE, operation, request)
    region.settle()
    return function(region, request)
