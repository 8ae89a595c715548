"""Owns simulated EC2 instances: `scaling.world.Machines` with fates drawn by their AMI's model.

Nothing here runs: a state is computed from an instance's few times when someone asks for it, so
five thousand of them cost as much as their changes.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from goldpress.emulator import fates
from goldpress.emulator.scaling.activities import utc
from goldpress.emulator.scaling.world import NEVER, LaunchRefused, LaunchRequest, Time
from goldpress.emulator.settings import Model, Settings

#: [M] InstanceState: the low byte of the code.
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48}
#: [D] "Terminated instances ... remain visible for a short while": about an hour.
SHOWN_SECONDS = 3600.0
#: To look for them at every question would take longer than the answer.
FORGET_SECONDS = 60.0
HOUR = 3600.0
NO_CAPACITY = (
    "We currently do not have sufficient {kind} capacity in the Availability Zone you requested "
    "({zone}). Our system will be working on provisioning additional capacity."
)


@dataclass(kw_only=True, eq=False)
class Instance:
    """One instance. Times are Unix seconds: `runs` from pending, `boots` from when it answers.

    `ends` is when it ends by itself (Spot, or because it never ran), `ended` when it was ended.
    """

    id: str
    image: str
    type: str
    zone: str
    subnet: str
    launched: float
    runs: float
    boots: float
    dies: float
    ends: float
    spot: bool
    model: Model
    tags: dict[str, str]
    address: str
    ended: float | None = None
    row: tuple[str, dict[str, Any]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Machines:
    """The instances of one account and region. `changed` is told of what nobody could foresee.

    `images` are the AMIs that may be launched, by id; a group with another one launches nothing.
    `capacity` is how many may run in a zone (or of a type), for keys that it has; `bucket` is
    RunInstances's token bucket and what it gets back a second (size 0: no bucket).
    """

    clock: Time
    account: str
    region: str
    settings: Settings
    images: Mapping[str, Mapping[str, Any]]
    changed: Callable[[str], None] = lambda _: None
    capacity: dict[str, int] = field(default_factory=dict)
    bucket: tuple[float, float] = (0.0, 0.0)
    every: dict[str, Instance] = field(default_factory=dict)
    by_group: dict[str, dict[str, Instance]] = field(default_factory=dict)
    running: Counter[str] = field(default_factory=Counter)
    launched: int = 0
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _tokens: tuple[float, float] | None = None
    _forgot: float = 0.0

    def launch(self, request: LaunchRequest) -> str:
        """[M] RunInstances, as Auto Scaling calls it. Raises LaunchRefused."""
        data = request.template.data
        image = request.image_id or str(data.get("ImageId") or "")
        return self.run(
            image=image, kind=request.instance_type, zone=request.zone, subnet=request.subnet,
            spot=request.spot, tags=dict(request.tags), extra=data,
        ).id  # fmt: skip

    def run(
        self,
        *,
        image: str,
        kind: str,
        zone: str,
        subnet: str = "",
        spot: bool = False,
        tags: dict[str, str],
        extra: Mapping[str, Any],
    ) -> Instance:
        """Launch one instance. Raises LaunchRefused."""
        now = self.clock.now()
        self._check(image, kind, zone, now)
        settings, number = self.settings, next(self._numbers)
        model = settings.models.get(image, settings.models["*"])
        name = f"{self.account} {self.region} {number}"
        fate = fates.drawn(
            model, seed=settings.seed, image_id=image, number=number, zone=zone, kind=kind
        )
        runs = now + settings.pending_seconds
        made = Instance(
            id=f"i-{hashlib.blake2b(name.encode(), digest_size=9).hexdigest()[:17]}",
            image=image, type=kind, zone=zone, subnet=subnet, launched=now, runs=runs,
            boots=runs + fate.boots, dies=runs + fate.dies, spot=spot, model=model, tags=tags,
            ends=now + _spot_seconds(settings, name) if spot else NEVER,
            address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", extra=extra,
        )  # fmt: skip
        if not fate.runs:
            made.ends = (now + runs) / 2
        self.every[made.id] = made
        self.by_group.setdefault(tags.get("aws:autoscaling:groupName", ""), {})[made.id] = made
        self.running[zone] += 1
        self.running[kind] += 1
        self.launched += 1
        return made

    def _check(self, image: str, kind: str, zone: str, now: float) -> None:
        if image not in self.images:
            raise LaunchRefused("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
        for key in (zone, kind):
            most = self.capacity.get(key)
            if most is None and key == zone and self.settings.zone_capacity:
                most = self.settings.zone_capacity
            if most is not None and self.running[key] >= most:
                raise LaunchRefused(
                    "InsufficientInstanceCapacity", NO_CAPACITY.format(kind=kind, zone=zone)
                )
        size, refill = self.bucket
        if size:
            left, at = self._tokens or (size, now)
            left = min(size, left + (now - at) * refill)
            if left < 1:
                raise LaunchRefused("RequestLimitExceeded", "Request limit exceeded.")
            self._tokens = (left - 1, now)

    def _release(self, row: Instance, at: float) -> None:
        row.ended = at
        self.running[row.zone] -= 1
        self.running[row.type] -= 1

    def state(self, instance: str) -> str:
        """[M] InstanceStateName; `terminated` for one that nobody remembers."""
        row = self.every.get(instance)
        return self.state_of(row, self.clock.now()) if row else "terminated"

    def state_of(self, row: Instance, now: float) -> str:
        """An instance's state at this time."""
        ended = row.ends if row.ended is None else min(row.ended, row.ends)
        if now >= ended:
            over = now >= ended + self.settings.shutting_down_seconds
            return "terminated" if over else "shutting-down"
        return "running" if now >= row.runs else "pending"

    def impaired(self, instance: str) -> bool:
        """Whether its status check says so: for a while it may still be initializing."""
        row, now = self.every[instance], self.clock.now()
        if now < row.runs:
            return False
        if now >= row.dies:
            return True
        return now < row.boots and now >= row.launched + self.settings.impaired_seconds

    def next_change(self, instance: str) -> float:
        """Until when `state` and `impaired` stay as they are."""
        row = self.every.get(instance)
        if row is None:
            return NEVER
        now, impaired = self.clock.now(), row.launched + self.settings.impaired_seconds
        ended = row.ends if row.ended is None else min(row.ended, row.ends)
        times = [row.runs, ended, ended + self.settings.shutting_down_seconds]
        if row.ended is None:
            times += [row.dies, row.boots, impaired if impaired < row.boots else NEVER]
        return min([at for at in times if at > now], default=NEVER)

    def serves(self, instance: str, at: float) -> tuple[int, float]:
        """The HTTP status of a check at this time (0: none comes), and until when it is so."""
        row = self.every.get(instance)
        if row is None:
            return 0, NEVER
        ends = row.ends if row.ended is None else min(row.ended, row.ends)
        over = min(row.dies, ends)
        if at >= over:
            return 0, NEVER
        return (0, row.boots) if at < row.boots else (row.model.serves, over)

    def answers(self, instance: str, at: float) -> tuple[float, float]:
        """Of one that serves: the share of its requests that fails, and the others' latency."""
        row = self.every[instance]
        model = row.model
        if not model.errors_per_hour and not model.latency_per_hour:
            return model.errors, model.latency_seconds
        hours = max(0.0, at - row.boots) / HOUR
        return (
            min(1.0, model.errors + model.errors_per_hour * hours),
            model.latency_seconds + model.latency_per_hour * hours,
        )

    def terminate(self, instance: str) -> None:
        """[M] TerminateInstances."""
        row, now = self.every.get(instance), self.clock.now()
        if row is not None and row.ended is None:
            self._release(row, min(now, row.ends))

    def interrupt(self, instance: str) -> None:
        """Somebody or something ends it past its group: a person, a Spot interruption."""
        self.terminate(instance)
        self.changed(instance)

    def place(self, instance: str) -> tuple[str, str]:
        """Its type and zone. Raises KeyError."""
        row = self.every[instance]
        return row.type, row.zone

    def forget(self) -> None:
        """Drop instances that EC2 would no longer show, so that a long simulation stays small."""
        now = self.clock.now()
        if now < self._forgot + FORGET_SECONDS:
            return
        self._forgot = now
        for row in list(self.every.values()):
            if row.ended is not None and now >= row.ended + SHOWN_SECONDS:
                del self.every[row.id]
                self.by_group[row.tags.get("aws:autoscaling:groupName", "")].pop(row.id, None)

    def change(self, instance: str, **values: Any) -> None:
        """Bend an instance's fate: `dies`, `ends`, `boots` (Unix seconds)."""
        self.every[instance] = replace(self.every[instance], row=None, **values)
        row = self.every[instance]
        self.by_group[row.tags.get("aws:autoscaling:groupName", "")][instance] = row
        self.changed(instance)

    def document(self, row: Instance, account: str) -> dict[str, Any]:
        """[M] Instance: the same object while its state is; nobody may change it."""
        state = self.state_of(row, self.clock.now())
        if row.row is None or row.row[0] != state:
            row.row = state, _document(row, state, account)
        return row.row[1]


def _spot_seconds(settings: Settings, name: str) -> float:
    if not settings.spot_loss_per_hour:
        return NEVER
    chance = random.Random(f"{settings.seed} spot {name}")  # noqa: S311 - no secret
    # A share of 5 % an hour: exponential with the rate -ln(0.95) an hour.
    share = min(settings.spot_loss_per_hour, 0.999)
    return chance.expovariate(-math.log(1 - share)) * 3600


def _document(row: Instance, state: str, account: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "InstanceId": row.id,
        "ImageId": row.image,
        "InstanceType": row.type,
        "State": {"Name": state, "Code": CODES[state]},
        "LaunchTime": utc(row.launched).replace(microsecond=0),
        "Placement": {"AvailabilityZone": row.zone, "Tenancy": "default"},
        "PrivateIpAddress": row.address,
        "Architecture": "x86_64",
        "BootMode": "uefi",
        "RootDeviceName": "/dev/xvda",
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(row.tags.items())],
        "OwnerId": account,
    }
    if row.subnet:
        found["SubnetId"] = row.subnet
    if row.spot:
        found["InstanceLifecycle"] = "spot"
    if code := _reason(row, state):
        found["StateReason"] = {"Code": code, "Message": f"{code}: {code.partition('.')[2]}"}
    return found


def _reason(row: Instance, state: str) -> str:
    """[M] StateReason: the code of what ended it; empty while it runs."""
    if state not in {"shutting-down", "terminated"}:
        return ""
    if row.ended is not None and row.ended < row.ends:
        return "Client.UserInitiatedShutdown"
    # What never ran has ended while it was pending.
    taken = row.spot and row.ends >= row.runs
    return "Server.SpotInstanceTermination" if taken else "Server.InternalError"
