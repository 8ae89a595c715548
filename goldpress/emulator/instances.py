"""Owns EC2 instances: launched from AMIs that can be, with states that take time, and an end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import Instance as MotoInstance
from moto.ec2.models.instances import InstanceBackend, InstanceState, Reservation, StateReason
from moto.ec2.responses.general import General
from moto.ec2.responses.instances import InstanceResponse

from goldpress.emulator import launches, machines, patches, trail, virtual
from goldpress.emulator.images import Ec2Error, Image, launchable
from goldpress.emulator.lives import Life, summary
from goldpress.emulator.machines import RealLife
from goldpress.emulator.snapshots import DirectSnapshot, find
from goldpress.emulator.world import current
from goldpress.machine.instance import Instance

LIFE = "_goldpress_life"
RUN = ("self", "image_id", "count", "user_data", "security_group_names", "kwargs")
_NUMBERS = itertools.count()


def extend_instances() -> None:
    """Give moto's instances a life. Raises RuntimeError when moto has changed."""
    run = patches.original(InstanceBackend, "run_instances", RUN)
    respond = patches.original(InstanceResponse, "run_instances", ("self",))
    end = patches.original(InstanceResponse, "terminate_instances", ("self",))
    patches.replace(General, {"get_console_output": get_console_output})
    for name in ("start", "stop", "terminate", "reboot"):
        patches.original(MotoInstance, name, ("self",))
    if hasattr(MotoInstance, LIFE):
        return
    setattr(InstanceBackend, "run_instances", _launching(run))  # noqa: B010 - moto's methods
    setattr(InstanceResponse, "run_instances", _answering(respond))  # noqa: B010
    setattr(InstanceResponse, "terminate_instances", _ending(end))  # noqa: B010
    terminate = MotoInstance.terminate
    changes: dict[str, Any] = {
        LIFE: None,
        "_state": property(_state, _set_state),
        "state_reason": property(_reason, _set_reason),
        "instance_status": property(lambda self: summary(_life(self).status)),
        "system_status": property(_system_status),
        "terminate": _terminating(terminate),
        "stop": _stop,
        "start": _start,
        "reboot": _reboot,
    }
    for name, value in changes.items():
        setattr(MotoInstance, name, value)


def _life(instance: Any) -> Life:
    life = getattr(instance, LIFE)
    if not isinstance(life, Life):
        raise TypeError(f"{instance.id} was launched past goldpress.emulator.instances")
    return life


def _state(self: Any) -> InstanceState:
    life = getattr(self, LIFE)
    found: InstanceState = life.moto_state() if life else vars(self)["_moto_state"]
    return found


def _set_state(self: Any, value: InstanceState) -> None:
    vars(self)["_moto_state"] = value


def _reason(self: Any) -> StateReason:
    life = getattr(self, LIFE)
    found: StateReason = life.reason() if life else vars(self)["_moto_reason"]
    return found


def _set_reason(self: Any, value: StateReason) -> None:
    vars(self)["_moto_reason"] = value


def _system_status(self: Any) -> dict[str, object]:
    """The host below is always well; it is the instance that fails its checks."""
    return summary("ok" if _life(self).state == "running" else "not-applicable")


def _terminating(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def terminate(self: Any) -> InstanceState:
        life = _life(self)
        before = life.moto_state()
        if life.ended is None:
            original(self)
        life.end()
        return before

    return terminate


def _ending(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def terminate_instances(self: Any) -> ActionResult:
        """[M] TerminateInstances: `SkipOsShutdown` leaves the guest no time."""
        done = original(self)
        if self._get_bool_param("SkipOsShutdown"):
            for name in self._get_param("InstanceIds", []):
                _life(self.ec2_backend.get_instance(name)).end(at_once=True)
        return done

    return terminate_instances


def _stop(self: Any) -> InstanceState:
    life = _only_virtual(self, "StopInstances")
    before = life.moto_state()
    life.stopped = life.world.clock.now()
    return before


def _start(self: Any) -> InstanceState:
    life = _only_virtual(self, "StartInstances")
    before = life.moto_state()
    life.stopped, life.launched = None, life.world.clock.now()
    return before


def _reboot(self: Any) -> None:
    life = _only_virtual(self, "RebootInstances")
    life.launched = life.world.clock.now() - life.world.settings.pending_seconds


def _only_virtual(instance: Any, action: str) -> Life:
    life = _life(instance)
    if isinstance(life, RealLife):
        raise Ec2Error(
            "UnsupportedOperation", f"the embedded cloud's real instances have no {action}"
        )
    return life


def _answering(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def run_instances(self: Any) -> ActionResult:
        """[M] RunInstances: idempotent by its ClientToken; as many as fit, up to MaxCount."""
        world = current()
        token = self._get_param("ClientToken")
        asked = {key: value for key, value in sorted(self.querystring.items())}  # noqa: C416
        place = ("RunInstances", self.current_account, self.region, token or "")
        with world.lock:
            if token and place in world.tokens:
                before, result = world.tokens[place]
                if before != asked:
                    raise Ec2Error(
                        "IdempotentParameterMismatch",
                        "the client token was used with other parameters",
                    )
                return ActionResult(result)
            least, most = self._get_param("MinCount"), self._get_param("MaxCount")
            if least > most:
                raise Ec2Error("InvalidParameterValue", "MinCount is more than MaxCount")
            self.params["MinCount"] = most
            try:
                done = original(self)
            except Ec2Error as error:
                if error.code != "InsufficientInstanceCapacity" or least == most:
                    raise
                self.params["MinCount"] = least
                done = original(self)
            if token:
                world.tokens[place] = (asked, done.result)
            return done

    return run_instances


def _launching(original: Callable[..., Reservation]) -> Callable[..., Reservation]:
    def run_instances(
        self: Any,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Reservation:
        """Every launch of this cloud, also an Auto Scaling group's."""
        with current().lock:
            template: Mapping[str, Any] = {}
            if kwargs.get("launch_template"):
                template = self._get_template_from_args(kwargs["launch_template"]).data
            account, region = self.account_id, self.region_name
            wanted = image_id or template.get("ImageId") or ""
            image = launchable(
                account, region, launches.resolved(wanted, account=account, region=region)
            )
            kind = kwargs.get("instance_type")
            if kwargs.get("is_instance_type_default"):
                kind = template.get("InstanceType") or kind
            launches.check_type(str(kind), image)
            key = kwargs.get("key_name") or template.get("KeyName")
            launches.check_key(key, account=account, region=region)
            given = kwargs.get("block_device_mappings") or template.get("BlockDeviceMappings")
            disks = launches.disks(image, given or [], account=account, region=region)
            options = launches.metadata_options(
                image, template.get("MetadataOptions") or {}, kwargs.get("metadata_options") or {}
            )
            _check_capacity(self, count, _zone(self, kwargs))
            # moto looks the snapshots of shared AMIs up in the wrong account.
            plain = [{**d, "Ebs": {**d["Ebs"], "SnapshotId": None}} for d in disks]
            kwargs |= {
                "block_device_mappings": plain, "metadata_options": options, "key_name": key
            }  # fmt: skip
            made = original(self, image.id, count, user_data, security_group_names, **kwargs)
            for instance in made.instances:
                _begin(instance, image, disks)
            tags = {row["key"]: row["value"] for row in made.instances[0].get_tags()}
            trail.launched(made.instances, account=account, region=region, tags=tags)
            return made

    return run_instances


def _zone(backend: Any, kwargs: Mapping[str, Any]) -> str:
    if subnet := kwargs.get("subnet_id"):
        return str(backend.get_subnet(subnet).availability_zone)
    return str(kwargs.get("placement") or f"{backend.region_name}a")


def _check_capacity(backend: Any, count: int, zone: str) -> None:
    world = current()
    live = [i for i in every_instance(backend) if _state(i).name in {"pending", "running"}]
    if world.settings.driver == "qemu":
        # What shuts down has given its place back, as on EC2, though it runs for a while.
        alive = sum(1 for _, life in real_lives() if life.alive and life.ended is None)
        room = world.settings.most_machines - alive
    elif world.settings.zone_capacity:
        room = world.settings.zone_capacity - sum(1 for i in live if i.placement.zone == zone)
    else:
        return
    if count > room:
        raise Ec2Error(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient capacity in the Availability Zone you requested "
            f"({zone}): {count} wanted, room for {max(room, 0)}",
        )


def every_instance(backend: Any) -> list[Any]:
    """Every instance of an account and region that was not forgotten."""
    return [i for r in list(backend.reservations.values()) for i in r.instances]


_LIVES: dict[str, Life] = {}
_REAL: dict[str, RealLife] = {}


def life_of(instance_id: str) -> Life | None:
    """An instance's life, without a search through all accounts and regions."""
    return _LIVES.get(instance_id)


def real_lives() -> list[tuple[str, RealLife]]:
    """Every instance of this cloud that is or was a machine, by its id."""
    return list(_REAL.items())


def _begin(instance: Any, image: Image, disks: list[dict[str, Any]]) -> None:
    world = current()
    instance.architecture = image.architecture
    instance.virtualization_type = image.virtualization_type
    instance.root_device_name = image.root_device_name
    instance.hypervisor = "xen"
    # [M] Instance: BootMode is the AMI's, CurrentInstanceBootMode what it was booted with.
    instance.boot_mode = image.boot_mode
    uefi = (image.boot_mode or "").startswith("uefi")
    instance.current_instance_boot_mode = "uefi" if uefi else "legacy-bios"
    for name, device in instance.get_block_device_mapping:
        row = next(d for d in disks if d["DeviceName"] == name)
        device.snapshot_id = row["Ebs"].get("SnapshotId")
        instance.ec2_backend.volumes[device.volume_id].snapshot_id = device.snapshot_id
    if world.settings.driver == "virtual":
        life: Life = virtual.launch(
            world,
            image_id=image.id,
            number=next(_NUMBERS),
            zone=str(instance.placement.zone),
            kind=instance.instance_type,
        )
    else:
        life = _real(instance, image, disks)
    setattr(instance, LIFE, life)
    _LIVES[instance.id] = life


def _real(instance: Any, image: Image, disks: list[dict[str, Any]]) -> RealLife:
    world = current()
    root = next(d["Ebs"] for d in disks if d["DeviceName"] == image.root_device_name)
    snapshot = find(image.owner_id, instance.region_name, root["SnapshotId"])
    if not isinstance(snapshot, DirectSnapshot):
        raise Ec2Error("InvalidSnapshot.NotFound", f"{root['SnapshotId']} has no blocks here")
    life = machines.boot(
        world, metadata(instance, image), snapshot, size_gib=int(root["VolumeSize"])
    )
    _REAL[instance.id] = life
    if life.machine is not None:
        nic = instance.nics[0]
        nic.private_ip_address = life.machine.address
        nic.public_ip = None
        for row in nic.private_ip_addresses:
            row["PrivateIpAddress"] = life.machine.address
    return life


def metadata(instance: Any, image: Image) -> Instance:
    """What the metadata service tells the instance about itself."""
    backend = instance.ec2_backend
    keys = {}
    if instance.key_name:
        pair = backend.key_pairs[instance.key_name]
        keys[pair.key_name] = str(pair.public_key).strip()
    tagged = instance.metadata_options.instance_metadata_tags == "enabled"
    return Instance(
        instance_id=instance.id,
        ami_id=image.id,
        instance_type=instance.instance_type,
        region=instance.region_name,
        zone=str(instance.placement.zone),
        account_id=backend.account_id,
        architecture=str(image.architecture),
        pending_time=instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        public_keys=keys,
        tags={tag["key"]: tag["value"] for tag in instance.get_tags()} if tagged else {},
        user_data=launches.user_data_bytes(instance.user_data),
    )


def get_console_output(self: Any) -> ActionResult:
    """[M] GetConsoleOutput."""
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    life = _life(instance)
    result: dict[str, Any] = {"InstanceId": instance.id, "Timestamp": life.world.clock.utc()}
    text = life.posted_console(latest=bool(self._get_param("Latest")))
    if text:
        result["Output"] = Base64EncodedString.from_raw_string(text.decode(errors="replace"))
    return ActionResult(result)


def machine_list() -> list[dict[str, Any]]:
    """What `/_goldpress/instances` tells."""
    return [machines.described(name, life) for name, life in real_lives()]


def end_machines() -> None:
    """Kill every machine: the cloud ends."""
    for _, life in real_lives():
        life.release(at_once=True)
