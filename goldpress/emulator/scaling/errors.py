"""Owns how Auto Scaling refuses: codes of botocore's model, and messages as AWS words them.

The codes are those of the model's error shapes ([M]); ``ValidationError`` is the common error of
the query protocol, which the model leaves out. Messages that are quoted in AWS's documentation or
in public reports are worded as there; the others are our own, and say so in no other way than that
nothing should depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping

#: [M] the errors' HTTP statuses; what is not here is 400.
STATUSES: Mapping[str, int] = {
    "ResourceContention": 500,
    "ServiceLinkedRoleFailure": 500,
    "IdempotentCallInProgress": 500,
}


class ScalingError(Exception):
    """A refusal: `code` as clients see it, `message`, and the HTTP `status`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.status = STATUSES.get(code, 400)


def invalid(message: str) -> ScalingError:
    """A ValidationError."""
    return ScalingError("ValidationError", message)


def no_group(name: str) -> ScalingError:
    """There is no group of this name."""
    return invalid(f"AutoScalingGroup name not found - no such group: {name}")


def refresh_runs() -> ScalingError:
    """[M] InstanceRefreshInProgressFault, in AWS's words."""
    return ScalingError(
        "InstanceRefreshInProgress",
        "An Instance Refresh is already in progress and blocks the execution of this Instance "
        "Refresh.",
    )


def no_refresh(name: str) -> ScalingError:
    """[M] ActiveInstanceRefreshNotFoundFault."""
    return ScalingError(
        "ActiveInstanceRefreshNotFound",
        f"No in progress or pending Instance Refresh found for Auto Scaling group {name}",
    )


def irreversible(why: str) -> ScalingError:
    """[M] IrreversibleInstanceRefreshFault."""
    return ScalingError("IrreversibleInstanceRefresh", why)


def busy(name: str) -> ScalingError:
    """[M] ScalingActivityInProgressFault."""
    return ScalingError(
        "ScalingActivityInProgress", f"Scaling activity is in progress for group {name}."
    )


def in_use(message: str) -> ScalingError:
    """[M] ResourceInUseFault."""
    return ScalingError("ResourceInUse", message)


def limit(message: str) -> ScalingError:
    """[M] LimitExceededFault."""
    return ScalingError("LimitExceeded", message)
