"""Owns target groups: who is registered, how well each is, and how it drains when it leaves.

[M] botocore's model of `elbv2`, TargetHealth: states and reason codes. [D] Application Load
Balancers' user guide, "Deregistration delay": a target without open requests leaves at once. A
group that no listener forwards to has `unused` targets.

Nothing here makes a request. What a model answers is asked when someone wants to know a state, for
all the checks that were due since; what has to be requested is done by `probing`, which tells the
results. A simulation of thousands costs as much as its instances change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.checks import WORDS, Answers, Result, Rules, Target
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.world import NEVER, Time

#: How soon something that is not a model's is worth another look.
SOON = 0.5


@dataclass(frozen=True, kw_only=True)
class Member:
    """A target as a load balancer sees it: it gets requests, or finishes what it has."""

    id: str
    port: int
    serving: bool


def _nobody(_group: str, _target: str, _port: int) -> int | None:
    return None


@dataclass(kw_only=True)
class TargetGroups:
    """The target groups of one account and region, by ARN: `scaling.world.Targets`.

    `rules` knows a group's settings now (None: there is no such group), `instance` an instance's
    state, `open_requests` how many requests a load balancer still has open with a target that it
    sends no new ones (None: nobody counts them, and the whole delay is waited).
    """

    clock: Time
    rules: Callable[[str], Rules | None]
    answers: Answers
    instance: Callable[[str], str]
    open_requests: Callable[[str, str, int], int | None] = _nobody
    table: dict[str, dict[str, dict[int, Target]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def exists(self, target_group: str) -> bool:
        """Whether there is such a target group."""
        return self.rules(target_group) is not None

    def register(self, target_group: str, instance: str, port: int = 0) -> None:
        """Add a target, on the group's port unless told; registered ones stay as they are.

        Raises ScalingError: TargetGroupNotFound.
        """
        rules = self.known(target_group)
        with self.lock:
            found = self.table.setdefault(target_group, {}).setdefault(instance, {})
            port = port or rules.port
            if port not in found or found[port].deregistered is not None:
                found[port] = Target(id=instance, port=port, next_check=self.clock.now())

    def deregister(self, target_group: str, instance: str, port: int = 0) -> None:
        """Begin to drain a target, on all its ports unless told; one that drains goes on.

        Raises ScalingError: TargetGroupNotFound. One that is not registered is no error, as on AWS.
        """
        rules = self.known(target_group)
        with self.lock:
            for target in self._of(target_group, rules, instance):
                if target.deregistered is None and port in {0, target.port}:
                    target.deregistered = self.clock.now()

    def known(self, target_group: str) -> Rules:
        """A group's settings. Raises ScalingError: TargetGroupNotFound."""
        rules = self.rules(target_group)
        if rules is None:
            raise ScalingError("TargetGroupNotFound", "One or more target groups not found")
        return rules

    def health(self, target_group: str, instance: str) -> str:
        """[M] TargetHealthStateEnum; on several ports, the least healthy."""
        return self.told(target_group, instance)[0]

    def look(self, target_group: str, instance: str) -> tuple[str, float]:
        """`health` and `next_change`; unused for ever where there is no such target group."""
        with self.lock:
            rules = self.rules(target_group)
            if rules is None:
                return "unused", NEVER
            found = self._of(target_group, rules, instance)
            if len(found) == 1:
                return self._told(rules, found[0])[0], self._next(target_group, rules, found[0])
        return self.health(target_group, instance), self.next_change(target_group, instance)

    def told(self, target_group: str, instance: str, port: int = 0) -> tuple[str, str, str]:
        """State, reason code and description of a target."""
        with self.lock:
            rules = self.known(target_group)
            found = [self._told(rules, t) for t in self._of(target_group, rules, instance)
                     if not port or port == t.port]  # fmt: skip
        if len(found) == 1:
            return found[0]
        none = ("unused", "Target.NotRegistered", WORDS["Target.NotRegistered"])
        return next((told for told in found if told[0] != "healthy"), (found or [none])[0])

    def every(self, target_group: str) -> list[tuple[str, int, tuple[str, str, str]]]:
        """Id, port, and what `told` tells of every target."""
        with self.lock:
            rules = self.known(target_group)
            return [(t.id, t.port, self._told(rules, t)) for t in self.targets(target_group)]

    def _told(self, rules: Rules, target: Target) -> tuple[str, str, str]:
        state, reason, words = target.state, target.reason, target.words
        if target.deregistered is not None:
            state, reason, words = "draining", "Target.DeregistrationInProgress", ""
        elif not rules.in_use:
            state, reason, words = "unused", "Target.NotInUse", ""
        elif rules.kind == "instance" and (now := self.instance(target.id)) in {
            "stopping", "stopped", "shutting-down", "terminated",
        }:  # fmt: skip
            state, reason, words = "unused", "Target.InvalidState", f"Target is in the {now} state"
        elif not rules.enabled:
            state, reason, words = "unavailable", "Target.HealthCheckDisabled", ""
        return state, reason, words or WORDS[reason]

    def next_change(self, target_group: str, instance: str) -> float:
        """Until when `health` stays as it is."""
        with self.lock:
            rules = self.known(target_group)
            times = [
                self._next(target_group, rules, t) for t in self._of(target_group, rules, instance)
            ]
        return min(times, default=NEVER)

    def _next(self, group: str, rules: Rules, target: Target) -> float:
        now = self.clock.now()
        if target.deregistered is not None:
            counted = self.open_requests(group, target.id, target.port) is not None
            return now + SOON if counted else target.deregistered + rules.delay
        if not rules.in_use or not rules.enabled:
            return NEVER
        if (answer := self.answers(rules, target.id, target.port, now)) is None:
            return now + SOON
        result, until = answer
        if target.settled(result):
            return until
        return target.next_check

    def targets(self, target_group: str) -> list[Target]:
        """Every target, the draining ones too, each as of now."""
        now, found = self.clock.now(), []
        with self.lock:
            rules = self.known(target_group)
            for name, ports in list(self.table.get(target_group, {}).items()):
                for target in list(ports.values()):
                    if target.deregistered is not None or len(ports) > 1:
                        found += self._of(target_group, rules, name)
                        break
                    if target.next_check <= now and rules.in_use and rules.enabled:
                        target.catch_up(rules, self.answers, now)
                    found.append(target)
        return found

    def members(self, target_group: str) -> list[Member]:
        """Whom a load balancer sends requests to, and who only finishes those that it has.

        [D] With no healthy target the requests go to all registered ones: it fails open.
        """
        with self.lock:
            rules = self.known(target_group)
            rows = [(t, self._told(rules, t)[0]) for t in self.targets(target_group)]
        some = any(state in {"healthy", "unavailable"} for _, state in rows)
        good = {"healthy", "unavailable"} if some else {"initial", "unhealthy"}
        return [Member(id=t.id, port=t.port, serving=state in good) for t, state in rows]

    def due(self) -> list[tuple[str, Target, Rules]]:
        """Checks that have to be requested now; the next one of each is an interval away."""
        now, found = self.clock.now(), []
        with self.lock:
            for group in list(self.table):
                rules = self.rules(group)
                if rules is None or not rules.in_use or not rules.enabled:
                    continue
                for target in self.targets(group):
                    # What a model answers is past its checks by now.
                    if target.deregistered is None and target.next_check <= now:
                        target.next_check = now + rules.interval
                        found.append((group, target, rules))
        return found

    def checked(self, group: str, target: Target, result: Result) -> None:
        """Take in what a requested check has shown; one of a target that has gone is nothing."""
        with self.lock:
            rules = self.rules(group)
            registered = self.table.get(group, {}).get(target.id, {}).get(target.port)
            if rules is not None and registered is target:
                target.fold(result, rules)

    def ended(self, instances: Iterable[str]) -> None:
        """[D] A terminated instance is deregistered by itself."""
        with self.lock:
            for group, name in [(g, n) for g in self.table for n in instances]:
                if self.exists(group):
                    self.deregister(group, name)

    def _of(self, group: str, rules: Rules, instance: str) -> list[Target]:
        """A target on each of its ports, as of now: what has drained is no more."""
        now, found = self.clock.now(), self.table.get(group, {}).get(instance, {})
        if len(found) == 1:
            # As nearly all are: of thousands, many times.
            (target,) = found.values()
            if target.deregistered is None:
                if target.next_check <= now and rules.in_use and rules.enabled:
                    target.catch_up(rules, self.answers, now)
                return [target]
        for port, target in list(found.items()):
            if target.deregistered is not None:
                waited = now >= target.deregistered + rules.delay
                if waited or self.open_requests(group, instance, port) == 0:
                    del found[port]
            elif rules.in_use and rules.enabled:
                target.catch_up(rules, self.answers, now)
        if not found:
            self.table.get(group, {}).pop(instance, None)
        return list(found.values())


def describe_target_health(groups: TargetGroups, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeTargetHealth. Raises ScalingError: TargetGroupNotFound."""
    arn = request["TargetGroupArn"]
    rules = groups.known(arn)
    wanted = [(row["Id"], row.get("Port", 0)) for row in request.get("Targets", ())]
    found = (
        [(name, port, groups.told(arn, name, port)) for name, port in wanted]
        if wanted
        else groups.every(arn)
    )
    rows = []
    for name, port, (state, reason, words) in found:
        health = {"State": state}
        if reason:
            health |= {"Reason": reason, "Description": words}
        shown = port or rules.port
        rows.append(
            {
                "Target": {"Id": name, "Port": shown},
                "HealthCheckPort": str(rules.check_port or shown),
                "TargetHealth": health,
            }
        )
    return {"TargetHealthDescriptions": rows}


def register_targets(groups: TargetGroups, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] RegisterTargets. Raises ScalingError: InvalidTarget for an instance that does not run."""
    rules = groups.known(request["TargetGroupArn"])
    for row in request["Targets"]:
        state = groups.instance(row["Id"]) if rules.kind == "instance" else "running"
        if state != "running":
            raise ScalingError(
                "InvalidTarget",
                "The following targets are not in a running state and cannot be registered: "
                f"'{row['Id']}' ({state})",
            )
    for row in request["Targets"]:
        groups.register(request["TargetGroupArn"], row["Id"], row.get("Port", 0))
    return {}


def deregister_targets(groups: TargetGroups, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeregisterTargets; a target that is not registered is no error. Raises ScalingError."""
    for row in request["Targets"]:
        groups.deregister(request["TargetGroupArn"], row["Id"], row.get("Port", 0))
    return {}
