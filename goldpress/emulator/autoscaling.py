"""Owns Auto Scaling over HTTP: moto's front, with the rules of `scaling` behind it.

What is due is done at each request, when the clock is moved, and by a beat that begins with the
first group. moto's own groups are not used; what `scaling` does not have (launch configurations,
scaling policies, scheduled actions, warm pools) is refused, so that nobody takes moto's word for
it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name  # noqa: TID251 - how moto names its methods
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models.instances import Instance as MotoInstance

from goldpress.emulator import patches
from goldpress.emulator.cloudwatch import book_of
from goldpress.emulator.elbv2 import groups_of
from goldpress.emulator.fronts import answering, refusing
from goldpress.emulator.scaling import operations
from goldpress.emulator.scaling.region import Region
from goldpress.emulator.scaling.world import NEVER, Cloud
from goldpress.emulator.surroundings import Machines, Networks, Templates
from goldpress.emulator.world import World, current

SERVICE = operations.SERVICE
BEAT_SECONDS = 0.5
#: The clock is moved from one thing that is due to the next; real machines are looked at so often
#: that a jump of days would never end.
MOST_MOMENTS = 20_000
#: moto's actions beside those of `operations`.
REFUSED = (
    "CreateLaunchConfiguration", "DescribeLaunchConfigurations", "DeleteLaunchConfiguration",
    "PutScheduledUpdateGroupAction", "BatchPutScheduledUpdateGroupAction",
    "DescribeScheduledActions", "DeleteScheduledAction", "BatchDeleteScheduledAction",
    "PutScalingPolicy", "DescribePolicies", "DeletePolicy", "ExecutePolicy",
    "AttachLoadBalancers", "DescribeLoadBalancers", "DetachLoadBalancers",
    "EnableMetricsCollection", "PutWarmPool", "DescribeWarmPool", "DeleteWarmPool",
)  # fmt: skip

_REGIONS: dict[tuple[int, str, str], Region] = {}
_BEATS: dict[int, threading.Thread] = {}


def extend_autoscaling() -> None:
    """Put these rules behind moto's front. Raises RuntimeError when moto has changed."""
    if hasattr(AutoScalingResponse, "_goldpress"):
        return
    methods = {xform_name(name): _answering(name) for name in operations.OPERATIONS}
    lacking = {name: method for name, method in methods.items() if not _has(name)}
    own = {name: method for name, method in methods.items() if _has(name)}
    own |= {xform_name(name): refusing(SERVICE, name) for name in REFUSED}
    patches.replace(AutoScalingResponse, own)
    patches.add(AutoScalingResponse, lacking)
    setattr(AutoScalingResponse, "_goldpress", True)  # noqa: B010 - moto's class
    for name in ("terminate", "stop", "start"):
        method = patches.original(MotoInstance, name, ("self",))
        setattr(MotoInstance, name, _telling(method))


def _has(name: str) -> bool:
    return name in vars(AutoScalingResponse)


def _answering(name: str) -> Callable[[Any], ActionResult]:
    def call(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        with current().lock:
            look(region)
            return operations.call(region, name, request)

    return answering(SERVICE, name, call, _owner)


def _owner(response: Any) -> Region:
    return region_of(response.current_account, response.region)


def region_of(account: str, region: str, world: World | None = None) -> Region:
    """The groups of an account and region of a cloud."""
    cloud = world or current()
    with cloud.lock:
        found = _REGIONS.get((id(cloud), account, region))
        if found is None:
            place = {"account": account, "region": region}
            around = Cloud(
                clock=cloud.clock,
                machines=Machines(**place),
                targets=groups_of(account, region, cloud),
                alarms=book_of(account, region, cloud),
                templates=Templates(**place),
                networks=Networks(**place),
                **place,
            )
            found = Region(cloud=around)
            _REGIONS[id(cloud), account, region] = found
            _begin_beat(cloud)
        return found


def look(region: Region) -> None:
    """Do what is due; alarms that refreshes watch are looked at whenever someone looks.

    Someone may have set one by SetAlarmState, which nobody could foresee.
    """
    for group in list(region.groups.values()):
        if group.refresh is not None and group.refresh.preferences.alarms:
            region.settle_group(group)
    region.settle()


def _regions(world: World) -> list[Region]:
    return [region for (cloud, *_), region in list(_REGIONS.items()) if cloud == id(world)]


def _begin_beat(world: World) -> None:
    if id(world) in _BEATS:
        return
    thread = threading.Thread(target=functools.partial(_beat, world), daemon=True)
    _BEATS[id(world)] = thread
    thread.start()


def _beat(world: World) -> None:
    pause = threading.Event()
    while not pause.wait(BEAT_SECONDS):
        for region in _regions(world):
            try:
                with world.lock:
                    look(region)
            except Exception as error:  # noqa: BLE001 - the cloud goes on, and says what it lost
                sys.stderr.write(f"auto scaling in {region.cloud.region}: {error!r}\n")


def move_clock(world: World, values: Mapping[str, Any]) -> float:
    """Set the clock; on the way forward everything happens at its own time. Raises ValueError."""
    advance = float(values.get("advance", 0.0))
    with world.lock:
        now = world.clock.set(**{**values, "advance": min(advance, 0.0)})
        target = now + advance
        for _ in range(MOST_MOMENTS):
            regions = _regions(world)
            for region in regions:
                look(region)
            due = min((region.next_time for region in regions), default=NEVER)
            now = world.clock.now()
            if due > target or now >= target:
                break
            world.clock.set(advance=max(due - now, 0.0))
        now = world.clock.set(advance=max(target - world.clock.now(), 0.0))
        for region in _regions(world):
            look(region)
        return now


def _telling(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """moto's method, after which the instance's group looks at it."""

    def method(self: Any) -> Any:
        done = original(self)
        backend = self.ec2_backend
        found = _REGIONS.get((id(current()), backend.account_id, backend.region_name))
        if found is not None:
            found.wake(self.id)
        return done

    return method
