"""Owns shortages: launches that AWS refused for a reason that is not the image's. Pure.

An instance refresh fails alike, in AWS's words "timed out", where an image does not serve and where
no instance of it could be launched at all. Only the group's activities tell the two apart. In
doubt it is the image: whatever is not known here to be another's fault goes back, as before.

What AWS says is worded as in "Troubleshoot: EC2 instance launch failures" and "Service quotas" of
the user guides of Auto Scaling and EC2, and in public reports of failed activities; it is matched
by the error's code or by its words, whichever a message has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from goldpress.aws.autoscaling import Activity
from goldpress.aws.scaling import Refresh
from goldpress.fleet.journal import RollState

LAUNCHING, ENDING = "Launching a new EC2 instance", "Terminating EC2 instance"
#: Why Auto Scaling ends an instance that is not well: [D] "Troubleshoot: Health checks".
UNWELL = re.compile(r"health[ -]check|status check failure|system health", re.IGNORECASE)
_INSTANCE = re.compile(r"\bi-[0-9a-f]{8,17}\b")
LONGEST = 200
#: A shortage may pass by itself; AWS gives up after 3600.
SHORT_SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason for which AWS launches nothing: how its messages are known, and what helps."""

    words: re.Pattern[str]
    told: str
    hint: str


def _cause(words: str, told: str, hint: str) -> Cause:
    return Cause(words=re.compile(words, re.IGNORECASE), told=told, hint=hint)


#: Tried in this order.
CAUSES = (
    _cause(
        r"MaxSpotInstanceCountExceeded|max spot instance count",
        "the account's quota of Spot instances is used up",
        "raise it in Service Quotas, or let the group take fewer Spot instances",
    ),
    _cause(
        r"VcpuLimitExceeded|InstanceLimitExceeded|current (vCPU|instance) limit",
        "the account's quota of running instances is used up",
        "raise it in Service Quotas, or end what is not needed",
    ),
    _cause(
        r"VolumeLimitExceeded|volume limit exceeded",
        "the account's quota of EBS storage is used up",
        "raise it in Service Quotas, or remove volumes that nothing uses",
    ),
    _cause(
        r"InsufficientFreeAddressesInSubnet|(not enough|insufficient) free addresses",
        "a subnet of the group has no free address",
        "give the group another subnet, or free addresses in it",
    ),
    _cause(
        r"Insufficient(Instance|Host|Reserved|ReservedInstance)?Capacity|UnfulfillableCapacity"
        r"|SpotMaxPriceTooLow|do not have sufficient .*capacity|no spot capacity"
        r"|unable to fulfill capacity",
        "AWS has no capacity for the group's instance types in its zones",
        "wait, or give the group more instance types or zones",
    ),
    _cause(
        r"Client\.(InternalError|InvalidKMSKey)|KMSKey|Client error on launch",
        "the key of the volumes cannot be used for the group's launches",
        "grant it to the group's service-linked role, and see that it is enabled",
    ),
    _cause(
        r"RequestLimitExceeded|request limit exceeded|Server\.InternalError|internal error",
        "EC2 is too busy, or has an error of its own",
        "wait until EC2 launches again",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Why a group's refresh gets no instances: in words, AWS's own, what to do, since when.

    `since` is the moment (UTC) from which on every launch failed.
    """

    told: str
    words: str
    hint: str
    since: str

    @property
    def text(self) -> str:
        """It in a line."""
        return f"{self.told} (AWS: {self.words})"


def shortage_of(activities: Sequence[Activity], refresh: Refresh) -> Shortage | None:
    """Why a refresh got no instances, by its group's activities, the newest first.

    None where its last launch before it ended, or was taken back, did not fail, or failed for a
    reason that may be the image's; or where an instance that it had launched was not well.
    """
    end = refresh.turned or refresh.ended or "~"
    # What it launches at the very moment when it is taken back is of the way back already.
    rows = [row for row in activities if refresh.started <= row.started < end]
    launches = [row for row in rows if row.description.startswith(LAUNCHING)]
    if not launches or _unwell(activities, launches):
        return None
    found = [cause_of(row) for row in launches]
    newest = found[0]
    if newest is None:
        return None
    failed = launches[: next((i for i, row in enumerate(found) if row is None), len(found))]
    return Shortage(
        told=newest.told,
        words=_words(launches[0]),
        hint=newest.hint,
        since=failed[-1].started,
    )


def noticed(key: str, state: RollState, found: Refresh, short: Shortage, now: float) -> RollState:
    """The journal once it is certain that a group's refresh fails by a shortage: paused, not held.

    AWS gives up after an hour, and then takes back what is new already, by launches that it will
    not get either. So a person is asked, and the refresh cancelled, before.
    """
    roll = state.group(key)
    since = datetime.fromisoformat(short.since).timestamp()
    if roll.short or roll.lost or not (has_failed(found) or now >= since + SHORT_SECONDS):
        return state
    why = f"{key}: nothing is launched: {short.text}; {short.hint}"
    return replace(state.with_group(key, short=why), paused=why)


def has_failed(found: Refresh) -> bool:
    """Whether AWS has given a refresh up, or takes it back."""
    return found.rollback or found.status == "Failed"


def cause_of(activity: Activity) -> Cause | None:
    """Why a launch failed; None for one that did not, or that failed for what nobody knows."""
    if activity.status != "Failed":
        return None
    text = f"{activity.description} {activity.message}"
    return next((row for row in CAUSES if row.words.search(text)), None)


def _unwell(activities: Sequence[Activity], launches: Iterable[Activity]) -> bool:
    """Whether an instance was ended for its health that one of these launches had brought."""
    launched = {name for row in launches for name in _INSTANCE.findall(row.description)}
    return any(
        row.description.startswith(ENDING)
        and UNWELL.search(row.cause) is not None
        and not launched.isdisjoint(_INSTANCE.findall(row.description))
        for row in activities
    )


def _words(activity: Activity) -> str:
    """AWS's message without the end that every such message has."""
    text = activity.message or activity.description
    return text.removesuffix("Launching EC2 instance failed.").strip()[:LONGEST]
