"""Owns lifecycle hooks: an instance waits at its launch or its end until someone answers.

[M] PutLifecycleHook, CompleteLifecycleAction, RecordLifecycleActionHeartbeat, LifecycleHook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.scaling.errors import invalid, limit

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
RESULTS = ("CONTINUE", "ABANDON")
#: [M] HeartbeatTimeout: "The range is from 30 to 7200 seconds. The default value is 3600".
HEARTBEATS = range(30, 7201)
DEFAULT_HEARTBEAT = 3600
#: [M] GlobalTimeout: "172800 seconds (48 hours) or 100 times HeartbeatTimeout, whichever is less".
GLOBAL_SECONDS, GLOBAL_HEARTBEATS = 172_800, 100
#: [M] PutLifecycleHook: "by default is 50 per Auto Scaling group".
MOST_HOOKS = 50


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A hook of a group; `result` is what counts when nobody answers within `heartbeat` seconds."""

    name: str
    transition: str
    heartbeat: int = DEFAULT_HEARTBEAT
    result: str = "ABANDON"
    target: str = ""
    role: str = ""
    metadata: str = ""

    @property
    def longest(self) -> int:
        """Seconds that heartbeats can keep an instance waiting."""
        return min(GLOBAL_SECONDS, GLOBAL_HEARTBEATS * self.heartbeat)

    def document(self, group: str) -> dict[str, Any]:
        """[M] LifecycleHook."""
        row: dict[str, Any] = {
            "LifecycleHookName": self.name,
            "AutoScalingGroupName": group,
            "LifecycleTransition": self.transition,
            "HeartbeatTimeout": self.heartbeat,
            "GlobalTimeout": self.longest,
            "DefaultResult": self.result,
        }
        optional = {
            "NotificationTargetARN": self.target,
            "RoleARN": self.role,
            "NotificationMetadata": self.metadata,
        }
        return {**row, **{key: value for key, value in optional.items() if value}}


def put(hooks: Mapping[str, Hook], request: Mapping[str, Any]) -> Hook:
    """The hook that a request makes or changes. Raises ScalingError."""
    name = request["LifecycleHookName"]
    before = hooks.get(name)
    if before is None and len(hooks) >= MOST_HOOKS:
        raise limit(f"You may have at most {MOST_HOOKS} lifecycle hooks per group.")
    transition = request.get("LifecycleTransition", before.transition if before else "")
    if transition not in {LAUNCHING, TERMINATING}:
        raise invalid(f"Invalid lifecycle transition: '{transition}' for hook {name}")
    heartbeat = request.get("HeartbeatTimeout", before.heartbeat if before else DEFAULT_HEARTBEAT)
    if heartbeat not in HEARTBEATS:
        raise invalid(f"Heartbeat timeout must be between 30 and 7200 seconds, not {heartbeat}")
    result = request.get("DefaultResult", before.result if before else "ABANDON")
    _check_result(result)
    return Hook(
        name=name,
        transition=transition,
        heartbeat=heartbeat,
        result=result,
        target=request.get("NotificationTargetARN", before.target if before else ""),
        role=request.get("RoleARN", before.role if before else ""),
        metadata=request.get("NotificationMetadata", before.metadata if before else ""),
    )


def _check_result(result: str) -> None:
    if result not in RESULTS:
        raise invalid(f"Lifecycle action result must be CONTINUE or ABANDON, not '{result}'")


@dataclass(kw_only=True, slots=True)
class Waiting:
    """One instance's wait for one hook."""

    hook: Hook
    token: str
    began: float
    until: float


@dataclass(kw_only=True)
class Waits:
    """What an instance waits for in ``Pending:Wait`` or ``Terminating:Wait``, by hook."""

    rows: dict[str, Waiting] = field(default_factory=dict)

    @classmethod
    def begin(cls, hooks: Iterable[Hook], now: float, *, tokens: Iterable[str]) -> Waits:
        """Wait for all of these at once, as AWS does."""
        return cls(
            rows={
                hook.name: Waiting(hook=hook, token=token, began=now, until=now + hook.heartbeat)
                for hook, token in zip(hooks, tokens, strict=False)
            }
        )

    @property
    def next_time(self) -> float:
        """When the first of them runs out."""
        return min((row.until for row in self.rows.values()), default=float("inf"))

    def settle(self, now: float) -> str:
        """Take the default result of those that ran out; ABANDON, CONTINUE, or empty: still waits.

        [D] "Considerations for lifecycle hooks": at a launch, one ABANDON ends the others' wait.
        """
        for name, row in list(self.rows.items()):
            if row.until <= now:
                if row.hook.result == "ABANDON":
                    return "ABANDON"
                del self.rows[name]
        return "" if self.rows else "CONTINUE"

    def find(self, request: Mapping[str, Any]) -> Waiting | None:
        """The wait that a request means, by its hook and, if given, its token."""
        row = self.rows.get(request["LifecycleHookName"])
        token = request.get("LifecycleActionToken")
        return None if row is None or (token and token != row.token) else row

    def complete(self, request: Mapping[str, Any]) -> str:
        """Take an answer; what `settle` gives. Raises ScalingError for another word."""
        result = request["LifecycleActionResult"]
        _check_result(result)
        if result == "ABANDON":
            return "ABANDON"
        del self.rows[request["LifecycleHookName"]]
        return "" if self.rows else "CONTINUE"

    def beat(self, row: Waiting, now: float) -> None:
        """Begin the wait anew, as long as AWS lets it."""
        row.until = min(now + row.hook.heartbeat, row.began + row.hook.longest)
