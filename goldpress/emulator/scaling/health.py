"""Owns the health of instances in service: EC2's checks, the load balancer's, and readiness.

[D] "Health checks for instances in an Auto Scaling group": an instance that is not running is
unhealthy at once; a failed status check, or a target that is unhealthy where the group's health
check type has ELB, only once the grace period is over; a custom check counts as it is set.
"""

from __future__ import annotations

from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.member import Member
from goldpress.emulator.scaling.world import NEVER

#: What each kind is called in `causes.HEALTH`.
KINDS = ("ended", "impaired", "elb", "user")


def examine(group: Group, member: Member, now: float) -> None:
    """Set an instance's health and readiness, and when to look again."""
    if group.may("HealthCheck") and not member.marked and fault(group, member, now):
        group.members.mark_health(member, "Unhealthy")
    settle_readiness(group, member, now)
    if member.health == "Unhealthy":
        # It stays so until it is replaced; whoever allows that again wakes the group.
        return
    group.look(member, _next_look(group, member, now), now)


def fault(group: Group, member: Member, now: float) -> str:
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
    if group.elb and any(
        target_health(group, arn, member) == "unhealthy" for arn in group.target_groups
    ):
        return "elb"
    return ""


def waits_for_elb(group: Group, member: Member) -> bool:
    """Whether the load balancer does not call it healthy, where the group asks it.

    [D] the refresh's status reason "... has insufficient data to evaluate its health with Elastic
    Load Balancing": with a health check type of EC2 alone target groups are not asked at all.
    """
    return group.elb and any(
        target_health(group, arn, member) != "healthy" for arn in group.target_groups
    )


def target_health(group: Group, arn: str, member: Member) -> str:
    """[M] TargetHealthStateEnum; a target group that somebody has deleted has no targets."""
    targets = group.cloud.targets
    return targets.health(arn, member.id) if targets.exists(arn) else "unused"


def settle_readiness(group: Group, member: Member, now: float) -> None:
    """Whether a refresh may count on it: see `Member.ready`."""
    ready = (
        member.state == "InService"
        and member.health == "Healthy"
        and now >= member.warm_until
        and not waits_for_elb(group, member)
    )
    group.members.mark_ready(member, ready=ready)


def _next_look(group: Group, member: Member, now: float) -> float:
    times = [group.cloud.machines.next_change(member.id)]
    times += [at for at in (member.grace_until, member.warm_until) if at > now]
    if group.elb:
        targets = group.cloud.targets
        times += [
            targets.next_change(arn, member.id)
            for arn in group.target_groups
            if targets.exists(arn)
        ]
    return min(times, default=NEVER)
