"""Owns what Auto Scaling's rules ask of the embedded cloud: `scaling.world` over moto's EC2.

Groups launch as RunInstances does, by the launch template's version, so with the driver `qemu` they
launch real machines, and every rule of `launches` and `instances` holds for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from goldpress.emulator import launches
from goldpress.emulator.images import launchable
from goldpress.emulator.instances import life_of
from goldpress.emulator.scaling.world import (
    NEVER,
    LaunchRefused,
    LaunchRequest,
    TemplateVersion,
)
from goldpress.emulator.virtual import VirtualLife

#: How often a real machine is looked at while it changes, and while it runs.
SOON_SECONDS, LATER_SECONDS = 1.0, 5.0
CHANGING = frozenset({"pending", "shutting-down", "stopping"})


@dataclass(frozen=True, kw_only=True)
class Machines:
    """`scaling.world.Machines`: moto's instances of an account and region, with their lives."""

    account: str
    region: str

    @property
    def backend(self) -> Any:
        """moto's EC2 there."""
        return ec2_backends[self.account][self.region]

    def launch(self, request: LaunchRequest) -> str:
        """The new instance's id. Raises LaunchRefused."""
        where = {"subnet_id": request.subnet} if request.subnet else {"placement": request.zone}
        template = {
            "LaunchTemplateId": request.template.id,
            "Version": str(request.template.number),
        }
        options = {"instance_market_options": {"MarketType": "spot"}} if request.spot else {}
        try:
            made = self.backend.run_instances(
                request.image_id, 1, None, [], launch_template=template,
                instance_type=request.instance_type, is_instance_type_default=False,
                region_name=self.region, tags={"instance": dict(request.tags)}, **where, **options,
            )  # fmt: skip
        except ServiceException as error:
            raise LaunchRefused(str(error.code), str(error.message)) from error
        return str(made.instances[0].id)

    def state(self, instance: str) -> str:
        """[M] InstanceStateName; `terminated` for one that nobody remembers."""
        life = life_of(instance)
        return "terminated" if life is None else life.state

    def impaired(self, instance: str) -> bool:
        """Whether EC2's status check says so; a young one is not even asked."""
        life = life_of(instance)
        if life is None:
            return False
        young = life.world.clock.now() < life.launched + life.world.settings.impaired_seconds
        # A check that asks a machine takes seconds when it does not answer.
        return (isinstance(life, VirtualLife) or not young) and life.status == "impaired"

    def next_change(self, instance: str) -> float:
        """Until when `state` and `impaired` stay as they are; of real ones, when to look again."""
        life = life_of(instance)
        if life is None:
            return NEVER
        now, settings = life.world.clock.now(), life.world.settings
        if not isinstance(life, VirtualLife):
            return now + (SOON_SECONDS if life.state in CHANGING else LATER_SECONDS)
        times = [life.launched + settings.pending_seconds, life.launched + life.boots_at]
        times.append(life.launched + settings.impaired_seconds)
        if life.dies_at is not None:
            times.append(life.launched + life.dies_at)
        ends = [at for at in (life.ended, life.stopped) if at is not None]
        times += [at + settings.shutting_down_seconds for at in ends]
        return min((at for at in times if at > now), default=NEVER)

    def terminate(self, instance: str) -> None:
        """[M] TerminateInstances: the guest gets its time to shut down."""
        life = life_of(instance)
        if life is not None and life.ended is None:
            self.backend.terminate_instances([instance])
            elbv2_backends[self.account][self.region].notify_terminate_instances([instance])

    def place(self, instance: str) -> tuple[str, str]:
        """Its type and zone. Raises KeyError."""
        try:
            found = self.backend.get_instance(instance)
        except ServiceException as error:
            raise KeyError(instance) from error
        return str(found.instance_type), str(found.placement.zone)


@dataclass(frozen=True, kw_only=True)
class Templates:
    """`scaling.world.Templates`: moto's launch templates of an account and region."""

    account: str
    region: str

    def version(self, template: str, version: str) -> TemplateVersion:
        """A version by the template's id or name; empty is ``$Default``. Raises KeyError."""
        backend = ec2_backends[self.account][self.region]
        try:
            if template.startswith("lt-"):
                found = backend.get_launch_template(template)
            else:
                found = backend.get_launch_template_by_name(template)
            row = found.get_version(version or "$Default")
        except ServiceException as error:
            raise KeyError(template) from error
        return TemplateVersion(id=found.id, name=found.name, number=int(row.number), data=row.data)

    def problem(self, version: TemplateVersion) -> str:
        """Why RunInstances would refuse it, in EC2's words; empty: it would not."""
        place = {"account": self.account, "region": self.region}
        wanted = str(version.data.get("ImageId") or "")
        try:
            image = launchable(self.account, self.region, launches.resolved(wanted, **place))
            if kind := version.data.get("InstanceType"):
                launches.check_type(str(kind), image)
            launches.check_key(version.data.get("KeyName"), **place)
        except ServiceException as error:
            return str(error.message)
        return ""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """`scaling.world.Networks`: moto's subnets and zones of an account and region."""

    account: str
    region: str

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet. Raises KeyError."""
        try:
            found = ec2_backends[self.account][self.region].get_subnet(subnet)
        except ServiceException as error:
            raise KeyError(subnet) from error
        return str(found.availability_zone)

    def zones(self) -> tuple[str, ...]:
        """The region's zones."""
        backend = ec2_backends[self.account][self.region]
        return tuple(str(zone.name) for zone in backend.describe_availability_zones())
