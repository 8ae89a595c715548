"""Owns the health of instances in service: EC2's checks, the load balancer's, and readiness.

[D] "Health checks for instances in an Auto Scaling group": an instance that is not running is
unhealthy at once; a failed status check, or a target that is unhealthy where the group's health
check type has ELB, only once the grace period is over; a custom check counts as it is set.
"""

from __future__ import annotations

from collections.abc import Sequence

from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.member import Member

#: What each kind is called in `causes.HEALTH`.
KINDS = ("ended", "impaired", "elb", "user")


def examine(group: Group, member: Member, now: float) -> None:
    """Set an instance's health and readiness, and when to look again."""
    seen = _seen(group, member)
    if group.may("HealthCheck") and not member.marked and fault(group, member, now, seen):
        group.members.mark_health(member, "Unhealthy")
    settle_readiness(group, member, now, seen)
    if member.health == "Unhealthy":
        # It stays so until it is replaced; whoever allows that again wakes the group.
        return
    group.look(member, _next_look(group, member, now, seen), now)


def _seen(group: Group, member: Member) -> list[tuple[str, float]] | None:
    """Its target health, and until when, in each target group; None where nobody asks that."""
    if not group.elb:
        return None
    look = group.cloud.targets.look
    return [look(arn, member.id) for arn in group.target_groups]


def fault(
    group: Group, member: Member, now: float, seen: Sequence[tuple[str, float]] | None = None
) -> str:
    """What is wrong with an instance in service, one of KINDS; empty: nothing."""
    machines = group.cloud.machines
    if machines.state(member.id) != "running":
        return "ended"
    if member.marked:
        return "user"
    if now < member.grace_until:
        return ""
    if machines.impaired(member.id):
        return "impaired"
    if any(state == "unhealthy" for state, _ in seen or _seen(group, member) or ()):
        return "elb"
    return ""


def waits_for_elb(
    group: Group, member: Member, seen: Sequence[tuple[str, float]] | None = None
) -> bool:
    """Whether the load balancer does not call it healthy, where the group asks it.

    [D] the refresh's status reason "... has insufficient data to evaluate its health with Elastic
    Load Balancing": with a health check type of EC2 alone target groups are not asked at all.
    """
    return any(state != "healthy" for state, _ in seen or _seen(group, member) or ())


def target_health(group: Group, arn: str, member: Member) -> str:
    """[M] TargetHealthStateEnum; a target group that somebody has deleted has no targets."""
    return group.cloud.targets.look(arn, member.id)[0]


def settle_readiness(
    group: Group, member: Member, now: float, seen: Sequence[tuple[str, float]] | None = None
) -> None:
    """Whether a refresh may count on it: see `Member.ready`."""
    ready = (
        member.state == "InService"
        and member.health == "Healthy"
        and now >= member.warm_until
        and not waits_for_elb(group, member, seen)
    )
    group.members.mark_ready(member, ready=ready)


def _next_look(
    group: Group, member: Member, now: float, seen: Sequence[tuple[str, float]] | None
) -> float:
    times = [group.cloud.machines.next_change(member.id)]
    times += [at for at in (member.grace_until, member.warm_until) if at > now]
    times += [until for _, until in seen or ()]
    return min(times)
