"""Owns one account and region of a simulated cloud: machines, target groups, alarms, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.alarms import AlarmBook
from goldpress.emulator.checks import PASSED, Result, Rules, Target, matches, wrong_code
from goldpress.emulator.metrics import Key, Metrics
from goldpress.emulator.scaling.group import Group
from goldpress.emulator.scaling.operations import call
from goldpress.emulator.scaling.region import Region
from goldpress.emulator.scaling.world import Cloud, Time
from goldpress.emulator.settings import Settings
from goldpress.emulator.simulated.machines import Machines
from goldpress.emulator.simulated.templates import Templates
from goldpress.emulator.targets import TargetGroups

NAMESPACE = "AWS/ApplicationELB"
TIMED_OUT = Result(reason="Target.Timeout", words="Request timed out")
ZONES = ("a", "b", "c")
#: HTTP statuses from here on.
SERVER_ERRORS = 500
#: A target that a person has registered is seen by the traffic within this time.
COUNTED_SECONDS = 300.0
#: One that fails is soon left out.
FAILING_SECONDS = 30.0


@dataclass(kw_only=True)
class TargetGroup:
    """A target group of one load balancer. `requests` a minute come to it; 0: it has no traffic."""

    arn: str
    name: str
    balancer: str
    rules: Rules
    requests: float = 0.0

    @property
    def dimensions(self) -> tuple[tuple[str, str], ...]:
        """Of CloudWatch's metrics, in order."""
        group = self.arn.rpartition(":")[2]
        return (
            ("LoadBalancer", self.balancer.partition("loadbalancer/")[2]),
            ("TargetGroup", group),
        )


@dataclass(kw_only=True)
class Networks:
    """Subnets, each with its zone: ``subnet-<account>-<zone>``."""

    region: str
    subnets: dict[str, str]

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet. Raises KeyError."""
        return self.subnets[subnet]

    def zones(self) -> tuple[str, ...]:
        """The region's zones."""
        return tuple(f"{self.region}{letter}" for letter in ZONES)


@dataclass(kw_only=True, eq=False)
class Place:
    """One account and region. `images` and `parameters` are EC2's AMIs and SSM's parameters."""

    account: str
    region: str
    clock: Time
    settings: Settings
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    target_groups: dict[str, TargetGroup] = field(default_factory=dict)
    machines: Machines = field(init=False)
    targets: TargetGroups = field(init=False)
    metrics: Metrics = field(init=False)
    alarms: AlarmBook = field(init=False)
    templates: Templates = field(init=False)
    networks: Networks = field(init=False)
    scaling: Region = field(init=False)
    _known: dict[str, tuple[tuple[int, int], float, float, float | None]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        account, region = self.account, self.region
        self.machines = Machines(
            clock=self.clock, account=account, region=region, settings=self.settings,
            images=self.images, changed=self.wake,
        )  # fmt: skip
        self.targets = TargetGroups(
            clock=self.clock, rules=self._rules, answers=self._answer, instance=self.machines.state
        )
        self.metrics = Metrics(clock=self.clock)
        self.alarms = AlarmBook(metrics=self.metrics, account=account, region=region)
        self.templates = Templates(
            clock=self.clock, account=account, region=region, images=self.images
        )
        names = {f"subnet-{account}-{zone}": f"{region}{zone}" for zone in ZONES}
        self.networks = Networks(region=region, subnets=names)
        cloud = Cloud(
            clock=self.clock, account=account, region=region, machines=self.machines,
            targets=self.targets, alarms=self.alarms, templates=self.templates,
            networks=self.networks,
        )  # fmt: skip
        self.scaling = Region(cloud=cloud, seed=f"{self.settings.seed} {account} {region}")

    def wake(self, instance: str) -> None:
        """Something has happened to an instance that nobody could foresee."""
        self.scaling.wake(instance)

    def _rules(self, arn: str) -> Rules | None:
        found = self.target_groups.get(arn)
        return found.rules if found else None

    def _answer(self, rules: Rules, target: str, _port: int, at: float) -> tuple[Result, float]:
        status, until = self.machines.serves(target, at)
        if not status:
            return TIMED_OUT, until
        return (PASSED if matches(rules.codes, status) else wrong_code(status)), until

    def add_image(self, image: str, **given: Any) -> str:
        """An AMI that may be launched; `given` are members of [M] Image."""
        row: dict[str, Any] = {
            "ImageId": image, "State": "available", "OwnerId": self.account, "Name": image,
            "Architecture": "x86_64", "BootMode": "uefi", "RootDeviceName": "/dev/xvda",
            "RootDeviceType": "ebs", "ImageType": "machine", "VirtualizationType": "hvm",
            "EnaSupport": True, "ImdsSupport": "v2.0", "Public": False, "BlockDeviceMappings": [],
        }  # fmt: skip
        self.images[image] = {**row, **given}
        return image

    def add_target_group(
        self, name: str, *, requests: float = 0.0, rules: Rules | None = None
    ) -> str:
        """A target group behind a load balancer of its own; `requests` a minute come. Its ARN."""
        where = f"arn:aws:elasticloadbalancing:{self.region}:{self.account}"
        number = f"{len(self.target_groups) + 1:016x}"
        arn = f"{where}:targetgroup/{name}/{number}"
        self.target_groups[arn] = TargetGroup(
            arn=arn,
            name=name,
            balancer=f"{where}:loadbalancer/app/{name}/{number}",
            rules=rules or Rules(path="/healthz"),
            requests=requests,
        )
        return arn

    def add_group(
        self, name: str, *, image: str, desired: int, least: int = 0, most: int = 0,
        target_groups: tuple[str, ...] = (), kind: str = "t3.small", grace: int = 300,
        warmup: int = 60, **given: Any,
    ) -> Group:  # fmt: skip
        """A group with a launch template of its own, in all zones; its instances begin to boot.

        `given` are further members of CreateAutoScalingGroup; with a MixedInstancesPolicy among
        them the template is still made, as the newest one of the place.
        """
        data = {"ImageId": image, "InstanceType": kind}
        template = self.templates.make(name, data)
        request: dict[str, Any] = {
            "AutoScalingGroupName": name, "MinSize": least, "MaxSize": most or desired * 2,
            "DesiredCapacity": desired, "HealthCheckGracePeriod": grace,
            "DefaultInstanceWarmup": warmup, "TargetGroupARNs": list(target_groups),
            "HealthCheckType": "ELB" if target_groups else "EC2",
            "VPCZoneIdentifier": ",".join(self.networks.subnets), **given,
        }  # fmt: skip
        if "MixedInstancesPolicy" not in request:
            request["LaunchTemplate"] = {"LaunchTemplateId": template, "Version": "1"}
        call(self.scaling, "CreateAutoScalingGroup", request)
        return self.scaling.group(name)

    def beat(self) -> None:
        """A minute's requests to each target group, as its load balancer reports them."""
        for group in self.target_groups.values():
            if group.requests:
                self._report(group)

    def _report(self, group: TargetGroup) -> None:
        share, latency = self._serving(group)
        counts: Mapping[str, float] = {
            "RequestCount": group.requests,
            "HTTPCode_Target_5XX_Count": round(group.requests * share),
        }
        dimensions = tuple(sorted(group.dimensions))
        for name, value in counts.items():
            # [D] what did not occur is not reported.
            if value:
                self.metrics.add(Key(NAMESPACE, name, dimensions), value, unit="Count")
        if latency is not None:
            key = Key(NAMESPACE, "TargetResponseTime", dimensions)
            self.metrics.add(key, latency, count=group.requests, unit="Seconds")

    def _serving(self, group: TargetGroup) -> tuple[float, float | None]:
        """The share of requests that fails now, and the mean latency; None when nobody serves.

        Days pass in which nothing changes: then nothing is counted again.
        """
        table = self.targets.table.get(group.arn, {})
        groups = self.scaling.groups.values()
        changes = sum(row.members.revision for row in groups if group.arn in row.target_groups)
        now, state = self.clock.now(), (len(table), changes)
        known = self._known.get(group.arn)
        if known is None or known[0] != state or now >= known[1]:
            known = state, *self._counted(group.arn, table, now)
            self._known[group.arn] = known
        return known[2], known[3]

    def _counted(
        self, arn: str, table: Mapping[str, Mapping[int, Target]], now: float
    ) -> tuple[float, float, float | None]:
        there = [t for ports in table.values() for t in ports.values() if t.deregistered is None]
        told = {target.id: self.machines.serves(target.id, now) for target in there}
        for target in there:
            # As the checks left them; of one that does not serve nobody else may have looked.
            if target.state == "healthy" and not told[target.id][0]:
                self.targets.health(arn, target.id)
        healthy = [target for target in there if target.state == "healthy"]
        serving = [target.id for target in healthy or there]
        errors, slow, until = 0.0, 0.0, now + COUNTED_SECONDS
        for name in serving:
            status, change = told[name]
            until = min(until, change)
            if not status or status >= SERVER_ERRORS:
                errors += 1
                until = min(until, now + FAILING_SECONDS)
            else:
                bad, latency = self.machines.answers(name, now)
                errors += bad
                slow += latency
        count = len(serving)
        return until, errors / count if count else 1.0, slow / count if count else None
