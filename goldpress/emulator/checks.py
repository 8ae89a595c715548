"""Owns a target's health checks: a target group's settings, one check's result, what follows.

[M] botocore's model of `elbv2`, TargetHealth: states and reason codes. [D] Application Load
Balancers' user guide, "Health checks for Application Load Balancer target groups": a new target
needs one passed check, an unhealthy one HealthyThresholdCount in a row; a healthy one leaves after
UnhealthyThresholdCount failed ones. Nothing here makes a request, or knows the time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

#: [D] each state's description, by its reason code.
WORDS = {
    "": "",
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.NotInUse": ("Target group is not configured to receive traffic from the load balancer"),
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.HealthCheckDisabled": "Health checks are disabled for this target group",
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A target group's settings; seconds and counts as CreateTargetGroup has them.

    `port` is the traffic's, `check_port` the check's (0: the one a target is registered with),
    `codes` HTTP statuses as in ``200,204,300-399``; `in_use` whether a listener forwards to it.
    """

    port: int = 80
    path: str = "/"
    protocol: str = "HTTP"
    check_port: int = 0
    interval: float = 30.0
    timeout: float = 5.0
    healthy: int = 5
    unhealthy: int = 2
    codes: str = "200"
    enabled: bool = True
    in_use: bool = True
    delay: float = 300.0
    kind: str = "instance"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check has shown: no `reason` when it passed."""

    reason: str = ""
    words: str = ""


PASSED = Result()


def wrong_code(status: int) -> Result:
    """The answer had a status that the matcher does not let through."""
    words = f"Health checks failed with these codes: [{status}]"
    return Result(reason="Target.ResponseCodeMismatch", words=words)


@functools.lru_cache(maxsize=1024)
def matches(codes: str, status: int) -> bool:
    """Whether a matcher such as ``200,204`` or ``200-299`` lets a status through."""
    for part in codes.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


#: What a model answers to a check of (these rules, target, port, time), and until when it answers
#: so; None: the target is no model's, and has to be asked itself.
Answers = Callable[[Rules, str, int, float], tuple[Result, float] | None]


@dataclass(kw_only=True)
class Target:
    """A registered target; times are Unix time in seconds. `good` and `bad` count in a row."""

    id: str
    port: int
    next_check: float
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    words: str = ""
    good: int = 0
    bad: int = 0
    deregistered: float | None = None

    def fold(self, result: Result, rules: Rules) -> None:
        """Take the result of one check in."""
        if not result.reason:
            self.good, self.bad = self.good + 1, 0
            if self.state == "initial" or self.good >= rules.healthy:
                self.state, self.reason, self.words = "healthy", "", ""
            return
        self.good, self.bad = 0, self.bad + 1
        if self.state == "unhealthy" or self.bad >= rules.unhealthy:
            self.state, self.reason, self.words = "unhealthy", result.reason, result.words
        elif self.state == "initial":
            self.reason = "Elb.InitialHealthChecking"

    def settled(self, result: Result) -> bool:
        """Whether more of the same result would change nothing."""
        return self.state == ("unhealthy" if result.reason else "healthy")

    def catch_up(self, rules: Rules, answers: Answers, now: float) -> None:
        """Take in every check that was due until now and that a model answers."""
        while self.next_check <= now:
            answer = answers(rules, self.id, self.port, self.next_check)
            if answer is None:
                return
            result, until = answer
            self.fold(result, rules)
            steps = 1
            if self.settled(result):
                # Every check until then shows the same: straight to the first that may not.
                past = math.floor((now - self.next_check) / rules.interval) + 1
                left = (until - self.next_check) / rules.interval
                steps = max(1, past if left >= past else math.ceil(left))
            self.next_check += steps * rules.interval
