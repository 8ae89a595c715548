"""Owns isolation: one instance out of service for a look, and back; every change in a journal.

    journals/quarantine/<account>/<region>/<instance>.json

Taken out, it gets no requests, its disks outlive it, its group has another in its place, and no
refresh ends it. Put back, all of that is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from goldpress import progress
from goldpress.aws.running import QUARANTINE, Running
from goldpress.aws.scaling import IN_SERVICE, STANDBY
from goldpress.errors import ConflictError, MissingError
from goldpress.fleet.place import Place
from goldpress.store.journal import Journal
from goldpress.store.objects import Objects

PREFIX = "journals/quarantine/"
#: Longest value of a tag.
WHY_LENGTH = 200
Way = Literal["standby", "detached", "alone"]
DRAINING = frozenset({"draining", "unused", "unhealthy.draining"})


@dataclass(frozen=True, kw_only=True)
class Isolated:
    """An instance in quarantine: its group (empty: it had none), how it was taken out, and why.

    `devices` are those of its disks that went with it before. `targets` are the target groups that
    it was taken out of.
    """

    account: str
    region: str
    instance: str
    group: str
    way: Way
    why: str
    devices: tuple[str, ...]
    targets: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print, and in the journal."""
        return {**vars(self), "devices": list(self.devices), "targets": list(self.targets)}


def journal_of(objects: Objects, place: Place, instance: str) -> Journal:
    """The journal of an instance."""
    key = f"{PREFIX}{place.account}/{place.region}/{instance}.json"
    return Journal.read(objects, key)


def isolate(
    objects: Objects, place: Place, instance: str, *, why: str, detach: bool = False
) -> Isolated:
    """Take an instance out of service; run again it goes on from where it ended.

    It goes into standby, or with `detach` out of its group for good: a refresh of somebody else may
    end what is in standby, and never what it does not know. Raises MissingError for one that is not
    there, ConflictError for one in a state that AWS takes nothing out of, CloudError.
    """
    running = _running(place, instance)
    journal = journal_of(objects, place, instance)
    plan = (
        parse(journal.values["instance"])
        if journal.values.get("state") in {"begun", "isolated"}
        else _planned(place, running, why=why, detach=detach)
    )
    journal.write(state="begun", instance=plan.document(), desired=None)
    with progress.step(f"quarantine {instance}", plan.group or "in no group") as step:
        place.runs.mark(instance, QUARANTINE, plan.why)
        place.volumes.let_end(instance, plan.devices, ends=False)
        _take_out(place, plan)
        for arn in plan.targets:
            target = place.targets.of(arn, instance)
            if target is not None and target.state not in DRAINING:
                place.targets.deregister(arn, [instance])
        step.update(plan.way)
    journal.write(state="isolated")
    return plan


def put_back(objects: Objects, place: Place, instance: str) -> Isolated:
    """Put an instance back into service, and everything as it was; run again it goes on.

    Its group has had another in its place, and AWS counts one more when it is back: the desired
    capacity is lowered by that one again, unless an autoscaler or a person has changed it in the
    meantime. Which instance AWS ends for that is up to the group's termination policy.

    Raises MissingError for one that is not in quarantine, ConflictError when its group is full,
    CloudError.
    """
    journal = journal_of(objects, place, instance)
    if not journal.values:
        raise MissingError(
            f"{place.name}: {instance} is not in quarantine, by the journal",
            hint="is GOLDPRESS_STORE the store that it was put there with?",
        )
    plan = parse(journal.values["instance"])
    found = place.runs.one(instance)
    with progress.step(f"release {instance}", plan.group or "in no group"):
        if found is None or found.ended:
            progress.note(f"{place.name}: {instance} has ended")
        else:
            if plan.group:
                _bring_in(place, plan, journal)
            else:
                for arn in plan.targets:
                    place.targets.register(arn, [instance])
            # Before the group gets smaller: it may be this one that AWS ends then.
            place.volumes.let_end(instance, plan.devices, ends=True)
            place.runs.unmark(instance, QUARANTINE)
        _lower(place, plan, journal)
    journal.clear()
    return plan


def parse(value: Mapping[str, Any]) -> Isolated:
    """The inverse of `document`. Raises TypeError or KeyError for anything else."""
    return Isolated(
        **{**value, "devices": tuple(value["devices"]), "targets": tuple(value["targets"])}
    )


def _planned(place: Place, running: Running, *, why: str, detach: bool) -> Isolated:
    found = place.groups.group_of(running.id)
    group, state = found or ("", "")
    targets: tuple[str, ...] = ()
    if group:
        if state != IN_SERVICE and state not in STANDBY:
            raise ConflictError(
                f"{place.name}: {running.id} is {state} in {group}: AWS takes out only what is in "
                "service",
                hint="wait until that is over, then run the command again",
            )
        described = place.groups.group(group)
        arns = described.target_groups if described else ()
        targets = tuple(arn for arn in arns if place.targets.of(arn, running.id) is not None)
    return Isolated(
        account=place.account,
        region=place.region,
        instance=running.id,
        group=group,
        way=("detached" if detach else "standby") if group else "alone",
        why=" ".join(why.split())[:WHY_LENGTH],
        devices=tuple(row.device for row in place.volumes.of([running.id]) if row.ends),
        targets=targets,
    )


def _take_out(place: Place, plan: Isolated) -> None:
    now = place.groups.group_of(plan.instance)
    if now is None or now[0] != plan.group:
        return
    if plan.way == "detached":
        place.groups.detach(plan.group, [plan.instance], decrement=False)
    elif now[1] not in STANDBY:
        place.groups.enter_standby(plan.group, [plan.instance], decrement=False)


def _bring_in(place: Place, plan: Isolated, journal: Journal) -> None:
    group = place.groups.group(plan.group)
    if group is None:
        raise MissingError(
            f"{place.name}: {plan.instance} was of the group {plan.group}, which is gone",
            hint="end the instance, once it has been looked at",
        )
    now = place.groups.group_of(plan.instance)
    if now is None or now[1] in STANDBY:
        if group.desired >= group.max:
            raise ConflictError(
                f"{group.key} has {group.desired} of at most {group.max} instances: there is no "
                f"room for {plan.instance}",
                hint=f"end it instead: `aws ec2 terminate-instances --instance-ids {plan.instance}`"
                "; its disks stay",
            )
        # What AWS makes of it: one more than now.
        journal.write(state="releasing", desired=group.desired + 1)
        if now is None:
            place.groups.attach(plan.group, [plan.instance])
        else:
            place.groups.exit_standby(plan.group, [plan.instance])


def _lower(place: Place, plan: Isolated, journal: Journal) -> None:
    """Take back the one that AWS counts more, if it still does."""
    wanted = journal.values.get("desired")
    if wanted is None:
        return
    after = place.groups.group(plan.group)
    if after is not None and after.desired == wanted and after.desired > after.min:
        place.groups.set_desired(plan.group, after.desired - 1)
    elif after is not None and after.desired != wanted - 1:
        progress.note(
            f"{after.key}: its desired capacity is {after.desired}, and not {wanted}: somebody has "
            "changed it, so it stays"
        )
    journal.write(desired=None)


def _running(place: Place, instance: str) -> Running:
    found = place.runs.one(instance)
    if found is None or found.ended:
        state = f"is {found.state}" if found else "is not there"
        raise MissingError(f"{place.name}: {instance} {state}")
    return found
