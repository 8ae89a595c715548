"""Owns an instance's way through a group: launched, in service, drained, gone.

[D] "Amazon EC2 Auto Scaling instance lifecycle": Pending, hooks, registered with the load balancer,
InService; Terminating, deregistered and drained, hooks, Terminated. Each step here is taken when
the machine, the target group or a hook says so, and says when the next look is due.
"""

from __future__ import annotations

from goldpress.emulator.scaling import causes, hooks
from goldpress.emulator.scaling.configuration import Configuration
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.health import examine, settle_readiness, target_health
from goldpress.emulator.scaling.hooks import Waits
from goldpress.emulator.scaling.member import TERMINATING, Member
from goldpress.emulator.scaling.world import NEVER, LaunchRefused, LaunchRequest, TemplateVersion

ENDING = frozenset({"shutting-down", "terminated"})
STOPPED = frozenset({"stopping", "stopped"})
NOT_STARTED = (
    "Instance failed to launch: it went from pending to {state}. Launching EC2 instance failed."
)


def launch(
    group: Group, now: float, *, configuration: Configuration, version: TemplateVersion, cause: str
) -> Member | None:
    """Launch one instance; None when EC2 refuses it in every zone and of every type.

    [D] "Benefits of Auto Scaling": the zone with the fewest instances; where a zone has no
    capacity, the others. A refusal is one failed activity, whatever was tried.
    """
    zones = group.members.in_zone
    places = sorted(group.subnets, key=lambda place: (zones[place[1]], place[1]))
    spot = configuration.spot_next(group.members.live, group.members.on_demand)
    kinds = configuration.candidates(version, group.launches, spot=spot)
    refusal: LaunchRefused | None = None
    for subnet, zone in places:
        for kind in kinds:
            own = kind.spec.resolved(group.cloud.templates) if kind.spec else version
            request = LaunchRequest(
                group=group.name, template=own, instance_type=kind.type, zone=zone, subnet=subnet,
                image_id=kind.image, spot=spot, tags=_tags(group, own),
            )  # fmt: skip
            try:
                instance = group.cloud.machines.launch(request)
            except LaunchRefused as refused:
                refusal = refusal or refused
                if refused.code != "InsufficientInstanceCapacity":
                    break
                continue
            return _launched(group, now, request, instance, cause)
        if refusal is not None and refusal.code != "InsufficientInstanceCapacity":
            break
    message = refusal.message if refusal else "There is no zone to launch in."
    activity = group.activities.begin("Launching a new EC2 instance.", cause, now)
    activity.end(now, failure=f"{message} Launching EC2 instance failed.")
    return None


def _tags(group: Group, version: TemplateVersion) -> dict[str, str]:
    """[D] "Tag Auto Scaling groups and instances": those that propagate, and AWS's own three."""
    tags = {
        key: str(row.get("Value") or "")
        for key, row in group.tags.items()
        if row.get("PropagateAtLaunch")
    }
    return {
        **tags,
        "aws:autoscaling:groupName": group.name,
        "aws:ec2launchtemplate:id": version.id,
        "aws:ec2launchtemplate:version": str(version.number),
    }


def _launched(
    group: Group, now: float, request: LaunchRequest, instance: str, cause: str
) -> Member:
    member = Member(
        id=instance, type=request.instance_type, zone=request.zone, template=request.template,
        image=request.image_id, spot=request.spot, launched=now, protected=group.protect_new,
    )  # fmt: skip
    member.activity = group.activities.begin(
        f"Launching a new EC2 instance: {instance}", cause, now, zone=request.zone
    )
    group.launches += 1
    group.members.add(member)
    group.look(member, group.cloud.machines.next_change(instance), now)
    return member


def step(group: Group, member: Member, now: float) -> None:
    """Whatever is due for an instance."""
    state = member.state
    if state == "Pending":
        _start(group, member, now)
    elif state == "Pending:Wait":
        _answered(group, member, now)
    elif state == "InService":
        examine(group, member, now)
    elif state in {"Terminating", "EnteringStandby", "Detaching"}:
        _drain(group, member, now)
    elif state == "Terminating:Wait":
        _answered(group, member, now)
    elif state == "Terminating:Proceed":
        _end(group, member, now)


def _start(group: Group, member: Member, now: float) -> None:
    state = group.cloud.machines.state(member.id)
    if state in ENDING | STOPPED:
        _failed(group, member, now, state)
        return
    if state != "running":
        group.look(member, group.cloud.machines.next_change(member.id), now)
        return
    if member.in_service is None and (waits := _waits(group, hooks.LAUNCHING, now)):
        member.waits = waits
        group.members.move(member, "Pending:Wait")
        if member.activity is not None:
            member.activity.status = "MidLifecycleAction"
        group.look(member, waits.next_time, now)
        return
    enter_service(group, member, now)


def _failed(group: Group, member: Member, now: float, state: str) -> None:
    """An instance that never ran is forgotten, and counts as a failed launch."""
    group.delay(now)
    if member.activity is not None:
        member.activity.end(now, failure=NOT_STARTED.format(state=state))
    group.cloud.machines.terminate(member.id)
    group.members.remove(member)


def _waits(group: Group, transition: str, now: float) -> Waits | None:
    rows = [hook for hook in group.hooks.values() if hook.transition == transition]
    if not rows:
        return None
    return Waits.begin(rows, now, tokens=[group.identity() for _ in rows])


def _answered(group: Group, member: Member, now: float) -> None:
    waits = member.waits
    if waits is not None:
        after_hooks(group, member, waits.settle(now), now)


def after_hooks(group: Group, member: Member, result: str, now: float) -> None:
    """Go on once the hooks are answered: `result` is CONTINUE, ABANDON or empty.

    [M] CompleteLifecycleAction; [D] "How lifecycle hooks work": ABANDON at a launch ends the
    instance, which is replaced; at an end both go on.
    """
    waits = member.waits
    if not result or waits is None:
        group.look(member, waits.next_time if waits else NEVER, now)
        return
    member.waits = None
    if member.state == "Terminating:Wait":
        group.members.move(member, "Terminating:Proceed")
        group.cloud.machines.terminate(member.id)
        _end(group, member, now)
    elif result == "CONTINUE":
        group.members.move(member, "Pending:Proceed")
        enter_service(group, member, now)
    else:
        if member.activity is not None:
            member.activity.end(now, cancelled=True)
        group.delay(now)
        terminate(
            group,
            member,
            now,
            causes.taken_out(now, member.id, "a lifecycle action that was abandoned"),
        )


def enter_service(group: Group, member: Member, now: float) -> None:
    """In service: registered with the target groups, its grace period and warm-up begin.

    [D] "Health check grace period" and "instance warmup": both begin with InService.
    """
    if group.may("AddToLoadBalancer"):
        for target_group in group.target_groups:
            if group.cloud.targets.exists(target_group):
                group.cloud.targets.register(target_group, member.id)
    group.failures = 0
    group.members.move(member, "InService")
    refresh = group.refresh
    warmup = group.warmup_seconds if refresh is None else refresh.warmup
    member.in_service = now
    member.grace_until, member.warm_until = now + group.grace, now + warmup
    if member.activity is not None:
        member.activity.end(now)
        member.activity = None
    examine(group, member, now)


def terminate(group: Group, member: Member, now: float, cause: str) -> None:
    """Begin an instance's end; its activity is kept until it is gone."""
    if member.state in TERMINATING:
        return
    if member.activity is not None:
        member.activity.end(now, cancelled=True)
    member.activity = group.activities.begin(
        f"Terminating EC2 instance: {member.id}", cause, now, zone=member.zone
    )
    member.waits = None
    leave(group, member, now, by="Terminating")


def leave(group: Group, member: Member, now: float, *, by: str) -> None:
    """Take an instance out of the target groups, by Terminating, EnteringStandby or Detaching."""
    group.members.move(member, by)
    for target_group in group.target_groups:
        if target_health(group, target_group, member) != "unused":
            group.cloud.targets.deregister(target_group, member.id)
            member.draining.add(target_group)
    if member.draining and member.activity is not None and by == "Terminating":
        member.activity.status = "WaitingForELBConnectionDraining"
    _drain(group, member, now)


def _drain(group: Group, member: Member, now: float) -> None:
    targets = group.cloud.targets
    gone = by_itself(group, member)
    following = NEVER
    for target_group in sorted(member.draining):
        state, until = targets.look(target_group, member.id)
        if gone or state == "unused":
            member.draining.discard(target_group)
        else:
            following = min(following, until)
    if member.draining:
        group.look(member, following, now)
    else:
        _drained(group, member, now, gone=gone)


def by_itself(group: Group, member: Member) -> bool:
    """Whether the machine has ended: nothing has to be waited for."""
    return group.cloud.machines.state(member.id) in ENDING


def _drained(group: Group, member: Member, now: float, *, gone: bool) -> None:
    if member.state == "EnteringStandby":
        group.members.move(member, "Standby")
        _close(member, now)
    elif member.state == "Detaching":
        _close(member, now)
        group.members.remove(member)
    elif not gone and (waits := _waits(group, hooks.TERMINATING, now)):
        member.waits = waits
        group.members.move(member, "Terminating:Wait")
        if member.activity is not None:
            member.activity.status = "MidLifecycleAction"
        group.look(member, waits.next_time, now)
    else:
        group.members.move(member, "Terminating:Proceed")
        group.cloud.machines.terminate(member.id)
        _end(group, member, now)


def _end(group: Group, member: Member, now: float) -> None:
    if group.cloud.machines.state(member.id) == "terminated":
        _close(member, now)
        group.members.remove(member)
    else:
        group.look(member, group.cloud.machines.next_change(member.id), now)


def _close(member: Member, now: float) -> None:
    if member.activity is not None:
        member.activity.end(now)
        member.activity = None


def return_to_service(group: Group, member: Member, now: float) -> None:
    """[D] "Temporarily remove instances": from Standby over Pending; nothing waits for hooks."""
    group.members.move(member, "Pending")
    member.in_service = now
    group.members.mark_health(member, "Healthy")
    group.look_at_once(member)


def set_health(group: Group, member: Member, health: str, now: float) -> None:
    """Someone says how an instance is; it stays so, whatever the checks say."""
    member.marked = health == "Unhealthy"
    group.members.mark_health(member, health)
    settle_readiness(group, member, now)
