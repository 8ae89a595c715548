"""Owns target groups over HTTP: moto's settings, targets of this cloud.

moto calls every target healthy. Here a target group's targets are those of `targets`: virtual
instances answer by their model, real ones and addresses are asked by `probing`. [M] botocore's
`elbv2`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name  # noqa: TID251 - how moto names its methods
from moto.core.responses import ActionResult
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from goldpress.emulator import patches, targets
from goldpress.emulator.checks import PASSED, Result, Rules, matches, wrong_code
from goldpress.emulator.fronts import Call, Refused, answering
from goldpress.emulator.instances import life_of
from goldpress.emulator.machines import RealLife
from goldpress.emulator.probing import TIMED_OUT, failed
from goldpress.emulator.targets import TargetGroups
from goldpress.emulator.traffic import HTTP, Traffic
from goldpress.emulator.virtual import VirtualLife
from goldpress.emulator.world import World, current

SSH = 22
#: [D] CreateTargetGroup's defaults for HTTP and HTTPS that moto has otherwise.
DEFAULTS = {"HealthCheckTimeoutSeconds": 5, "HealthCheckPath": "/"}
CALLS: Mapping[str, Call[TargetGroups]] = {
    "RegisterTargets": targets.register_targets,
    "DeregisterTargets": targets.deregister_targets,
    "DescribeTargetHealth": targets.describe_target_health,
}

_TRAFFIC: dict[int, Traffic] = {}
_GROUPS: dict[tuple[int, str, str], TargetGroups] = {}


def extend_elbv2() -> None:
    """Give moto's target groups health, and its listeners ears. Raises RuntimeError."""
    if hasattr(ELBV2Response, "_goldpress"):
        return
    setattr(ELBV2Response, "_goldpress", True)  # noqa: B010 - moto's class
    own = {xform_name(n): answering("elbv2", n, call, _owner) for n, call in CALLS.items()}
    patches.replace(ELBV2Response, own)
    changes: dict[str, Callable[..., Callable[[Any], ActionResult]]] = {
        "create_target_group": _creating_group,
        "modify_target_group_attributes": _attributes,
    }
    for name, change in changes.items():
        method = patches.original(ELBV2Response, name, ("self",))
        setattr(ELBV2Response, name, change(method))
    patches.original(ELBv2Backend, "notify_terminate_instances", ("self", "instance_ids"))
    setattr(ELBv2Backend, "notify_terminate_instances", _ended)  # noqa: B010 - as above


def groups_of(account: str, region: str, world: World | None = None) -> TargetGroups:
    """The target groups of an account and region of a cloud."""
    cloud = world or current()
    with cloud.lock:
        found = _GROUPS.get((id(cloud), account, region))
        if found is None:
            traffic = traffic_of(cloud)
            found = TargetGroups(
                clock=cloud.clock,
                rules=functools.partial(_rules, account, region),
                answers=functools.partial(_answer, traffic),
                instance=_state,
                open_requests=traffic.open_requests,
            )
            _GROUPS[id(cloud), account, region] = found
        return found


def traffic_of(world: World) -> Traffic:
    """What flows in a cloud."""
    with world.lock:
        found = _TRAFFIC.get(id(world))
        if found is None:
            directory = world.directory / "balancers"
            mine = functools.partial(_groups, world)
            found = Traffic(directory=directory, where=where, groups=mine)
            _TRAFFIC[id(world)] = found
        return found


def _groups(world: World) -> list[TargetGroups]:
    return [groups for (cloud, _, _), groups in list(_GROUPS.items()) if cloud == id(world)]


def _owner(response: Any) -> TargetGroups:
    return groups_of(response.current_account, response.region)


def _rules(account: str, region: str, arn: str) -> Rules | None:
    """A target group's settings, as moto has them."""
    backend = elbv2_backends[account][region]
    group: FakeTargetGroup | None = backend.target_groups.get(arn)
    if group is None:
        return None
    port = str(group.health_check_port or "traffic-port")
    return Rules(
        port=int(group.port),
        path=str(group.health_check_path or "/"),
        protocol=str(group.health_check_protocol),
        check_port=0 if port == "traffic-port" else int(port),
        interval=float(group.health_check_interval_seconds),
        timeout=float(group.health_check_timeout_seconds),
        healthy=int(group.healthy_threshold_count),
        unhealthy=int(group.unhealthy_threshold_count),
        codes=str(group.matcher.get("HttpCode", "200")),
        enabled=bool(group.health_check_enabled),
        in_use=backend._any_listener_using(arn),  # noqa: SLF001 - moto's only way to ask
        delay=float(str(group.attributes["deregistration_delay.timeout_seconds"])),
        kind=str(group.target_type),
    )


def _answer(
    traffic: Traffic, rules: Rules, target: str, _port: int, at: float
) -> tuple[Result, float] | None:
    life = life_of(target)
    if rules.kind != "instance" or not isinstance(life, VirtualLife):
        traffic.start()
        return None
    status, until = life.answer(at)
    if not status:
        booting = at < life.launched + life.boots_at
        return (failed() if booting else TIMED_OUT), until
    return (PASSED if matches(rules.codes, status) else wrong_code(status)), until


def _state(instance: str) -> str:
    life = life_of(instance)
    return "terminated" if life is None else life.state


def where(target: str, port: int) -> tuple[str, int] | None:
    """Where a target's port is: a machine's forwarded one, or an address of this machine."""
    life = life_of(target)
    if life is None:
        return None if target.startswith("i-") else (target, port)
    if not isinstance(life, RealLife) or life.machine is None:
        return None
    ports = {HTTP: life.machine.http_port, SSH: life.machine.ssh_port}
    return (life.machine.address, ports[port]) if port in ports else None


def _creating_group(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def create_target_group(self: Any) -> ActionResult:
        """[M] CreateTargetGroup, with AWS's defaults and limits."""
        if str(self._get_param("Protocol")) in {"HTTP", "HTTPS"}:
            for name, value in DEFAULTS.items():
                self.params.setdefault(name, value)
        interval = int(self._get_param("HealthCheckIntervalSeconds") or 30)
        timeout = int(self._get_param("HealthCheckTimeoutSeconds") or 5)
        limits = (
            ("HealthCheckIntervalSeconds", interval, 5, 300),
            ("HealthCheckTimeoutSeconds", timeout, 2, 120),
            ("HealthyThresholdCount", self._get_int_param("HealthyThresholdCount", 5), 2, 10),
            ("UnhealthyThresholdCount", self._get_int_param("UnhealthyThresholdCount", 2), 2, 10),
        )
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise Refused("ValidationError", f"{name} '{value}' must be from {least} to {most}")
        if timeout >= interval:
            raise Refused(
                "ValidationError",
                f"Health check timeout '{timeout}' must be smaller than the interval '{interval}'",
            )
        return original(self)

    return create_target_group


def _attributes(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def modify_target_group_attributes(self: Any) -> ActionResult:
        """[M] TargetGroupAttribute: the deregistration delay is 0 to 3600 seconds."""
        for row in self._get_param("Attributes", []):
            if row["Key"] == "deregistration_delay.timeout_seconds" and not (
                str(row["Value"]).isdigit() and int(row["Value"]) <= 3600  # noqa: PLR2004 - above
            ):
                raise Refused(
                    "ValidationError", f"{row['Key']} '{row['Value']}' must be from 0 to 3600"
                )
        return original(self)

    return modify_target_group_attributes


def _ended(self: Any, instance_ids: list[str]) -> None:
    groups_of(self.account_id, self.region_name).ended(instance_ids)
