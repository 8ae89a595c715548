"""Owns the rules of preflight on the group itself: its template, its sizes, its health checks."""

from __future__ import annotations

from collections.abc import Mapping

from goldpress.aws.templates import RESOLVED
from goldpress.fleet.findings import Answer, bad, good
from goldpress.fleet.preflight_facts import LATEST, NO_TEMPLATE_HINT, Facts, known

#: Without these AWS replaces nothing, or does not find out whether what it launched is any good.
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-how-suspending-processes-affects-other-processes.html
NEEDED: Mapping[str, str] = {
    "Launch": "nothing is launched",
    "Terminate": "nothing is replaced",
    "InstanceRefresh": "a refresh waits",
    "HealthCheck": "a bad instance counts as healthy",
    "ReplaceUnhealthy": "a bad instance stays",
    "AddToLoadBalancer": "a new instance gets no requests",
}
#: These merely let a group be: somebody wants it so.
HARMLESS = frozenset({"AlarmNotification", "AZRebalance", "ScheduledActions"})
NO_ANSWER = "ABANDON"
DAY = 86_400


def template(facts: Facts) -> Answer:
    """It launches from one numbered version, which names an AMI: else nothing can be taken back."""
    group = facts.group
    if group.launch_configuration or not group.template.id:
        return bad(
            f"it launches from the launch configuration {group.launch_configuration or '(none)'}",
            NO_TEMPLATE_HINT,
        )
    adopt = f"`./inv roll.adopt {group.name}` moves it to the version that it launches now"
    if not group.template.numeric:
        return bad(
            f"it follows {group.template.version} of {group.template.name or group.template.id}: "
            "AWS cannot roll it back, and a new version is launched by any scale-out",
            adopt,
        )
    if facts.template.ami.startswith(RESOLVED):
        return bad(
            f"{group.template.text} takes its AMI from a parameter ({facts.template.ami}): AWS "
            "cannot roll it back, and a scale-out launches whatever is there then",
            adopt,
        )
    return good()


def template_of_others(facts: Facts) -> Answer:
    """No other group takes any new version of its template at once."""
    rows = [row.name for row in known(facts.same_template) if row.template.version == LATEST]
    if not rows:
        return good()
    return bad(
        f"{', '.join(rows)} of the same region follow {LATEST} of the same template: their next "
        "scale-out would launch the new image, unasked",
        "; ".join(f"`./inv roll.adopt {name}`" for name in rows),
    )


def way_back(facts: Facts) -> Answer:
    """What it launches now is an AMI that can be told, and gone back to, or not."""
    ami = facts.template.ami
    if not ami.startswith("ami-"):
        return bad(
            f"{facts.template.ref.text} launches {ami or 'no AMI'}: nobody can go back to that",
            f"`./inv roll.adopt {facts.group.name}`",
        )
    if why := no_way_back(facts):
        return good(f"{why}: AWS's own rollback is switched off, there is no way but forward")
    return good()


def no_way_back(facts: Facts) -> str:
    """Why the AMI that a group launches now may not be launched again; empty: it may.

    A group in that state is the one that most needs to be rolled: it is, without a rollback. Raises
    CloudError when nobody could look.
    """
    ami = facts.template.ami
    if ami in facts.wish.held:
        return f"{ami}, which it launches now, is held"
    image = known(facts.before)
    if image is None or image.state != "available":
        state = image.state if image else "gone, or not shared with this account"
        return f"{ami}, which it launches now, is {state}"
    return ""


def refresh(facts: Facts) -> Answer:
    """No refresh runs, unless it brings just this AMI."""
    active = facts.observed.active
    if active is None:
        return good()
    if known(facts.coming) == facts.wish.ami.ami and not active.rollback:
        return good(f"refresh {active.id} brings it already: it is gone on with")
    return bad(
        f"refresh {active.id} is {active.status} at {active.percentage} %",
        "wait until it has ended, or cancel it in the console if it is nobody's",
    )


def processes(facts: Facts) -> Answer:
    """Every process that a refresh needs runs."""
    off = sorted(facts.group.suspended & NEEDED.keys())
    if off:
        return bad(
            "; ".join(f"{name} is suspended: {NEEDED[name]}" for name in off),
            f"`aws autoscaling resume-processes --auto-scaling-group-name {facts.group.name} "
            f"--scaling-processes {' '.join(off)}`, once it is known who suspended it",
        )
    rest = sorted(facts.group.suspended & HARMLESS)
    return good(f"{', '.join(rest)} suspended: stays so" if rest else "")


def head_room(facts: Facts) -> Answer:
    """The group is there, and its maximum is above what it has, or AWS goes above it for a while.

    "Instance maintenance policies" of AWS's user guide: while instances are replaced a group may
    have more than its maximum. So that is never raised, and never forgotten to be lowered again.
    """
    group, surge = facts.group, facts.surge
    if group.status:
        return bad(f"the group is {group.status!r}", "take it out of the channel's fleets")
    if not group.min <= group.desired <= group.max:
        return bad(
            f"{group.desired} instances are wanted, at least {group.min} and at most {group.max} "
            "are allowed",
            "correct its sizes first: AWS changes them by itself otherwise",
        )
    if len(group.serving) < group.desired:
        return bad(
            f"{len(group.serving)} of {group.desired} instances are in service and healthy",
            "see to those first: `aws autoscaling describe-scaling-activities "
            f"--auto-scaling-group-name {group.name}`",
        )
    if group.desired == 0:
        return good("it has no instances: it only gets the new version")
    if group.desired + surge > group.max:
        return good(f"AWS goes {group.desired + surge - group.max} above its maximum for a while")
    return good()


def protected(facts: Facts) -> Answer:
    """What happens to instances that are protected from scale-in is said."""
    rows = [row.id for row in facts.group.members if row.protected]
    if not rows:
        return good()
    if facts.fleet.replacing.protected == "ignore":
        return bad(
            f"{len(rows)} protected from scale-in ({_few(rows)}) would keep the old image",
            "end their protection, or set replacing.protected of the fleet to refresh",
        )
    return good(f"{len(rows)} protected from scale-in ({_few(rows)}): replaced as the others")


def standby(facts: Facts) -> Answer:
    """What happens to instances in standby is said."""
    rows = [row.id for row in facts.group.members if row.standby]
    if not rows:
        return good()
    ends = facts.fleet.replacing.standby == "terminate"
    return good(
        f"{len(rows)} in standby ({_few(rows)}): "
        + ("ended" if ends else "left as they are, with the image that they have")
    )


def health_check(facts: Facts) -> Answer:
    """Behind a load balancer, an instance that does not serve is not healthy."""
    group = facts.group
    behind = bool(group.target_groups or group.balancers)
    if behind and "ELB" not in group.health_check.split(","):
        return bad(
            f"its health check is {group.health_check}: an instance that boots and serves nothing "
            "but errors counts as healthy, and the refresh goes on",
            f"`aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group.name} "
            "--health-check-type ELB`",
        )
    if group.balancers:
        return bad(
            f"it is behind the classic load balancer {', '.join(group.balancers)}",
            "use a target group: goldpress looks at the health of those",
        )
    if not behind:
        return good("no load balancer: healthy means no more than that it runs")
    kinds = {row.kind for row in known(facts.target_groups)}
    if kinds - {"instance"}:
        return bad(
            f"a target group has targets of kind {', '.join(sorted(kinds - {'instance'}))}",
            "use one with targets of kind instance: Auto Scaling registers those",
        )
    return good()


def grace(facts: Facts) -> Answer:
    """A new instance has time enough to boot before it is judged."""
    group = facts.group
    if not group.target_groups:
        return good()
    slowest = max((row.healthy_seconds for row in known(facts.target_groups)), default=0)
    needed = facts.wish.boot_seconds + slowest
    if group.grace_seconds < needed:
        return bad(
            f"its grace period is {group.grace_seconds} s; until an instance is healthy about "
            f"{needed} s pass: AWS would end it while it boots, again and again",
            f"`aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group.name} "
            f"--health-check-grace-period {max(2 * needed, 60)}`",
        )
    return good()


def hooks(facts: Facts) -> Answer:
    """A lifecycle hook that nobody answers makes no launch fail."""
    rows = known(facts.hooks)
    slow = [row for row in rows if row.launching and row.default == NO_ANSWER]
    if slow:
        names = ", ".join(f"{row.name} ({row.seconds} s)" for row in slow)
        return good(
            f"launches wait for an answer to {names}, and are abandoned without: no goldpress "
            "image gives one, something else has to"
        )
    if rows:
        names = ", ".join(f"{row.name} ({row.seconds} s)" for row in rows)
        return good(f"hooks: {names}: each replacement may take as much longer")
    return good()


def lifetime(facts: Facts) -> Answer:
    """AWS itself replaces nothing by its age while a roll is on its way."""
    seconds = facts.group.lifetime_seconds
    if seconds:
        return good(
            f"AWS replaces instances older than {seconds // DAY} days by itself; with the version "
            "that the group has, which is the old one until the roll is through"
        )
    return good()


def alarms(facts: Facts) -> Answer:
    """Every alarm that is to stop the roll is there, has data, and is quiet."""
    found = known(facts.alarms)
    missing = [name for name, row in found.items() if row is None]
    if missing:
        return bad(
            f"there is no alarm {', '.join(missing)} in {facts.group.region}",
            "correct `alarms` of the fleet, or make it",
        )
    loud = [row for row in found.values() if row is not None and row.state != "OK"]
    if loud:
        told = "; ".join(f"{row.name} is {row.state}: {row.why[:120]}" for row in loud)
        return bad(told, "AWS fails a refresh at once while an alarm is on: see to it first")
    return good("" if found else "no alarms: only health stops a refresh by itself")


def draining(facts: Facts) -> Answer:
    """nginx has longer to end its requests than the load balancer waits for them."""
    rows = known(facts.target_groups)
    stop = facts.wish.stop_seconds
    if not rows:
        return good()
    delay = max(row.delay_seconds for row in rows)
    if stop is None:
        return bad(
            f"the load balancer waits {delay} s for requests to end; how long the image's nginx "
            "does is not known",
            "set `stop_seconds` in `parameters` of its image.yaml",
        )
    if stop <= delay:
        return bad(
            f"the load balancer waits {delay} s for requests to end, nginx only {stop} s",
            f"raise `stop_seconds` of image.yaml above {delay}, or lower the deregistration delay",
        )
    if delay == 0:
        return bad(
            "the deregistration delay is 0 s: requests that are under way are cut off",
            "set it to the longest that a request takes",
        )
    return good()


def _few(rows: list[str]) -> str:
    return ", ".join(rows[:3]) + (", ..." if len(rows) > 3 else "")  # noqa: PLR2004 - a few
