"""Owns the simulated cloud of one run: the layout's groups of the image before, and what happens.

What happens beside the roll (somebody's autoscaler, EC2 without capacity, Spot) is done past the
recorded calls: those are goldpress's alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.inprocess import Fault, InProcessCloud
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.operations import call
from goldpress.emulator.settings import Settings
from goldpress.emulator.simulated.place import Place
from goldpress.promotion.available import pointer_name
from goldpress.simulation.layout import Layout, Shape
from goldpress.simulation.promoted import ROOT_DEVICE, Promoted
from goldpress.simulation.scenario import GOOD, Scenario

#: A Tuesday.
START = 1_700_000_000.0
SETTLED_SECONDS = 1800.0
#: How finely time is cut. Load balancers ask every ten seconds, roll every five minutes.
GRAIN_SECONDS = 5.0
MINUTE, HOUR = 60.0, 3600.0
MOVES_SECONDS = 600.0
#: An alarm rings when so much of a minute's requests fails, in three minutes of five.
ALARM_SHARE = 0.03
NAMESPACE = "AWS/ApplicationELB"


@dataclass(kw_only=True, eq=False)
class Sized:
    """A simulated group, and the sizes that others than goldpress gave it."""

    shape: Shape
    place: Place
    group: Group
    sizes: tuple[int, int, int]


@dataclass(kw_only=True, eq=False)
class Fleet:
    """The cloud, and every group by its key; `began` is when the scenario begins."""

    layout: Layout
    scenario: Scenario
    promoted: Promoted
    seed: int
    cloud: InProcessCloud = field(init=False)
    groups: dict[str, Sized] = field(default_factory=dict)
    chance: random.Random = field(init=False)
    began: float = 0.0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed} {self.scenario.name}")  # noqa: S311 - a simulation
        models = {"*": GOOD} | {
            row.ami: self.scenario.model for row in self.promoted.new.amis.values()
        }
        settings = Settings(
            driver="virtual", models=models, seed=self.seed, pending_seconds=8.0,
            shutting_down_seconds=30.0, spot_loss_per_hour=self.scenario.spot,
        )  # fmt: skip
        self.cloud = InProcessCloud(settings=settings, start=START, grain=GRAIN_SECONDS)
        for shape in self.layout.groups:
            self._group(shape)
        self._pointers()
        self.cloud.traffic()
        self.cloud.advance(SETTLED_SECONDS)
        self.began = self.now
        self._begin()

    @property
    def now(self) -> float:
        """The cloud's time."""
        return self.cloud.clock.at

    def old(self, region: str) -> str:
        """The AMI before, of a region."""
        return self.promoted.old.amis[region].ami

    def new(self, region: str) -> str:
        """The AMI that is rolled, of a region."""
        return self.promoted.new.amis[region].ami

    def _place(self, account: str, region: str) -> Place:
        place = self.cloud.place(account, region)
        if not place.images:
            for image in (self.promoted.old, self.promoted.new):
                row = image.amis[region]
                disk = {"DeviceName": ROOT_DEVICE, "Ebs": {"SnapshotId": row.snapshot}}
                place.add_image(row.ami, OwnerId=row.account, BlockDeviceMappings=[disk])
        return place

    def _group(self, shape: Shape) -> None:
        place = self._place(shape.account, shape.region)
        arns = tuple(
            place.add_target_group(
                f"{shape.name}-{number}" if number else shape.name,
                requests=shape.requests, rules=rules,
            )
            for number, rules in enumerate(shape.rules)
        )  # fmt: skip
        subnets = []
        for zone in shape.zones:
            subnets.append(f"subnet-{shape.account}-{zone}")
            place.networks.subnets.setdefault(subnets[-1], f"{shape.region}{zone}")
        given: dict[str, Any] = {
            "HealthCheckType": "ELB" if shape.elb and arns else "EC2",
            "VPCZoneIdentifier": ",".join(subnets),
        }
        image = self.old(shape.region)
        if shape.types:
            given["MixedInstancesPolicy"] = _mixed(place, shape)
        group = place.add_group(
            shape.name, image=image, desired=shape.desired, least=shape.min, most=shape.max,
            target_groups=arns, kind=shape.kind, grace=shape.grace,
            warmup=-1 if shape.warmup is None else shape.warmup, **given,
        )  # fmt: skip
        for name in shape.alarms:
            self._alarm(place, name, shape, arns)
        self.groups[shape.key] = Sized(
            shape=shape, place=place, group=group, sizes=(group.min, group.max, group.desired)
        )

    def _alarm(self, place: Place, name: str, shape: Shape, arns: tuple[str, ...]) -> None:
        """An alarm of the fleet: too many answers 5xx of the group's target group."""
        client = self.cloud.client(place.account, "cloudwatch", place.region)
        dimensions = place.target_groups[arns[0]].dimensions if arns else ()
        client.put_metric_alarm(
            AlarmName=name, Namespace=NAMESPACE, MetricName="HTTPCode_Target_5XX_Count",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
            Statistic="Sum", Period=60, EvaluationPeriods=5, DatapointsToAlarm=3,
            Threshold=max(1.0, ALARM_SHARE * shape.requests), TreatMissingData="notBreaching",
            ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip

    def _pointers(self) -> None:
        """What consumers took before."""
        name = pointer_name(self.promoted.channel.image, self.promoted.channel.name)
        for region in self.promoted.channel.policy.regions:
            place = self._place(self.promoted.owner, region)
            place.parameters[name] = {
                "Name": name, "Type": "String", "Value": self.old(region), "Version": 1,
                "DataType": "aws:ec2:image", "ARN": f"arn:aws:ssm:{region}:{place.account}:{name}",
            }  # fmt: skip

    # ---- what happens ----

    def _begin(self) -> None:
        scenario = self.scenario
        self.cloud.calls.clear()
        if scenario.throttled:
            self.cloud.faults.append(Fault(code="Throttling", times=0, rate=scenario.throttled))
        if scenario.short is not None:
            self._shortage(*scenario.short)
        if scenario.moves:
            self.cloud.every(MOVES_SECONDS, self._move)

    def _shortage(self, percent: int, hours: float) -> None:
        """In the second region (or the only one) no zone has more than runs and so many percent."""
        regions = list(dict.fromkeys(region for _, region in self.layout.places))
        places = [p for p in self.cloud.places.values() if p.region == regions[-1]]
        for place in places:
            for zone in place.networks.zones():
                room = place.machines.running[zone] * percent // 100
                place.machines.capacity[zone] = place.machines.running[zone] + room

        def over() -> None:
            for place in places:
                place.machines.capacity.clear()

        self.cloud.at(self.now + hours * HOUR, over)

    def _move(self) -> None:
        """An autoscaler: every fifth group gets up to a fifth more or less, within its sizes."""
        for row in self.groups.values():
            if self.chance.random() >= 1 / 5:
                continue
            group = row.group
            by = round(group.desired * self.chance.uniform(-0.2, 0.2))
            wanted = min(group.max, max(group.min, group.desired + by))
            if wanted != group.desired:
                self.resize(row, wanted)

    def resize(self, row: Sized, desired: int) -> None:
        """Somebody else sets what a group is to have."""
        name = row.shape.name
        request = {"AutoScalingGroupName": name, "DesiredCapacity": desired}
        call(row.place.scaling, "SetDesiredCapacity", request)
        row.sizes = (row.sizes[0], row.sizes[1], desired)


def _mixed(place: Place, shape: Shape) -> Mapping[str, Any]:
    """[M] MixedInstancesPolicy, of the template that the group is about to get."""
    template = f"lt-{len(place.templates.by_id) + 1:017x}"
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
            "Overrides": [{"InstanceType": kind} for kind in shape.types],
        },
        "InstancesDistribution": {
            "OnDemandBaseCapacity": shape.base,
            "OnDemandPercentageAboveBaseCapacity": shape.on_demand,
        },
    }
