"""Owns the words of activities: why an instance is launched or ended, as AWS puts it.

Worded as in "Verify a scaling activity" of the user guide and in public reports of real groups.
"""

from __future__ import annotations

from goldpress.emulator.scaling.activities import stamp

REFRESH = "an instance refresh"
#: How each kind of unhealthiness is told: [D] "Troubleshoot: Health checks".
HEALTH = {
    "ended": "an EC2 health check indicating it has been terminated or stopped",
    "impaired": "an EC2 instance status check failure",
    "elb": "an ELB system health check failure",
    "user": "a user health-check",
}


def launched(now: float, before: int, after: int, because: str) -> str:
    """An instance is started because the capacity has to grow."""
    at = stamp(now)
    return (
        f"{because}At {at} an instance was started in response to a difference between desired and "
        f"actual capacity, increasing the capacity from {before} to {after}."
    )


def desired_changed(now: float, before: int, after: int) -> str:
    """Someone has set the desired capacity."""
    return (
        f"At {stamp(now)} a user request explicitly set group desired capacity changing the "
        f"desired capacity from {before} to {after}.  "
    )


def created(now: float, least: int, most: int, desired: int) -> str:
    """A group has been made."""
    return (
        f"At {stamp(now)} a user request created an AutoScalingGroup changing the desired capacity "
        f"from 0 to {desired} (min: {least}, max: {most}).  "
    )


def refreshed_launch(now: float) -> str:
    """A refresh starts an instance."""
    return f"At {stamp(now)} an instance was launched in response to {REFRESH}."


def taken_out(now: float, instance: str, why: str) -> str:
    """An instance is ended because of `why`."""
    at = stamp(now)
    return (
        f"At {at} an instance was taken out of service in response to {why}.  "
        f"At {at} instance {instance} was selected for termination."
    )


def shrunk(now: float, instance: str, before: int, after: int, because: str) -> str:
    """An instance is ended because there are too many."""
    at = stamp(now)
    return (
        f"{because}At {at} an instance was taken out of service in response to a difference "
        f"between desired and actual capacity, shrinking the capacity from {before} to {after}.  "
        f"At {at} instance {instance} was selected for termination."
    )


def asked(now: float, instance: str, what: str) -> str:
    """Someone asked for it."""
    return f"At {stamp(now)} instance {instance} was {what} in response to a user request."
