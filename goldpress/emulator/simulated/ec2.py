"""Owns EC2's calls of a simulated cloud: those that a roll makes, and no others."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from goldpress.emulator.scaling.activities import utc
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.world import LaunchRefused
from goldpress.emulator.simulated.disks import CALLS as DISKS
from goldpress.emulator.simulated.machines import Instance
from goldpress.emulator.simulated.place import Place
from goldpress.emulator.simulated.templates import CALLS as TEMPLATES

PAGE = 1000
GROUP = "tag:aws:autoscaling:groupName"
Call = Callable[[Place, Mapping[str, Any]], dict[str, Any]]


def describe_instances(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeInstances, by ids or filters, each instance in a reservation of its own."""
    place.machines.forget()
    rest = list(request.get("Filters", ()))
    if not request.get("InstanceIds"):
        # Those are chosen by the first such filter already.
        rest = _without_first_group(rest)
    rows = [row for row in _chosen(place, request) if _meets(place, row, rest)]
    start = int(request.get("NextToken") or 0)
    end = start + request.get("MaxResults", PAGE)
    shown = [place.machines.document(row, place.account) for row in rows[start:end]]
    answer: dict[str, Any] = {
        "Reservations": [{"ReservationId": "r-0", "Instances": shown}] if shown else []
    }
    return {**answer, "NextToken": str(end)} if end < len(rows) else answer


def _without_first_group(filters: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    first = next((i for i, row in enumerate(filters) if row["Name"] == GROUP), len(filters))
    return filters[:first] + filters[first + 1 :]


def _chosen(place: Place, request: Mapping[str, Any]) -> Iterator[Instance]:
    machines = place.machines
    if ids := request.get("InstanceIds"):
        for name in ids:
            yield _instance(place, name)
        return
    for wanted in request.get("Filters", ()):
        # What a roll asks for, without a look at every instance.
        if wanted["Name"] == GROUP:
            for name in wanted["Values"]:
                yield from machines.by_group.get(name, {}).values()
            return
    yield from machines.every.values()


def _instance(place: Place, name: str) -> Instance:
    found = place.machines.every.get(name)
    if found is None:
        raise ScalingError("InvalidInstanceID.NotFound", f"The instance ID '{name}' does not exist")
    return found


def _meets(place: Place, row: Instance, filters: list[Mapping[str, Any]]) -> bool:
    return all(
        any(
            fnmatch.fnmatchcase(value, pattern)
            for value in _values(place, row, wanted["Name"])
            for pattern in wanted["Values"]
        )
        for wanted in filters
    )


def _values(place: Place, row: Instance, name: str) -> tuple[str, ...]:
    if name.startswith("tag:"):
        value = row.tags.get(name.removeprefix("tag:"))
        return () if value is None else (value,)
    if name == "instance-state-name":
        return (place.machines.state(row.id),)
    known = {
        "image-id": row.image, "instance-id": row.id, "instance-type": row.type,
        "availability-zone": row.zone, "subnet-id": row.subnet,
    }  # fmt: skip
    if name == "tag-key":
        return tuple(row.tags)
    if name not in known:
        raise ScalingError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return (known[name],)


def describe_status(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeInstanceStatus: of running instances, unless all are asked for."""
    machines, now = place.machines, place.clock.now()
    rows = []
    for row in [_instance(place, name) for name in request.get("InstanceIds", ())]:
        state = machines.state(row.id)
        if state != "running" and not request.get("IncludeAllInstances"):
            continue
        status = "impaired" if machines.impaired(row.id) else "initializing"
        if row.boots <= now < row.dies:
            status = "ok"
        rows.append(
            {
                "InstanceId": row.id,
                "AvailabilityZone": row.zone,
                "InstanceState": {"Name": state},
                "InstanceStatus": {"Status": status},
                "SystemStatus": {"Status": "ok"},
            }
        )
    return {"InstanceStatuses": rows}


def run_instances(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] RunInstances: one, of a template or an AMI, in a subnet or the first zone."""
    data: Mapping[str, Any] = {}
    if spec := request.get("LaunchTemplate"):
        template = spec.get("LaunchTemplateId") or spec.get("LaunchTemplateName", "")
        try:
            data = place.templates.version(template, spec.get("Version", "")).data
        except KeyError as error:
            raise ScalingError(
                "InvalidLaunchTemplateId.NotFound", f"there is no launch template {template}"
            ) from error
    subnet = request.get("SubnetId", "")
    zone = request.get("Placement", {}).get("AvailabilityZone") or place.networks.zones()[0]
    tags = {
        tag["Key"]: tag["Value"]
        for row in request.get("TagSpecifications", ())
        if row["ResourceType"] == "instance"
        for tag in row["Tags"]
    }
    token = request.get("ClientToken", "")
    for row in place.machines.every.values() if token else ():
        if row.extra.get("ClientToken") == token:
            return _reservation(place, row)
    try:
        made = place.machines.run(
            image=request.get("ImageId") or data.get("ImageId", ""),
            kind=request.get("InstanceType") or data.get("InstanceType", "m1.small"),
            zone=place.networks.subnets.get(subnet, zone),
            subnet=subnet,
            tags=tags,
            extra={**data, "ClientToken": token},
        )
    except LaunchRefused as refused:
        raise ScalingError(refused.code, refused.message) from refused
    return _reservation(place, made)


def _reservation(place: Place, row: Instance) -> dict[str, Any]:
    shown = place.machines.document(row, place.account)
    return {"ReservationId": "r-0", "OwnerId": place.account, "Instances": [shown]}


def terminate_instances(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] TerminateInstances, past their groups, which will see it."""
    rows = []
    for row in [_instance(place, name) for name in request["InstanceIds"]]:
        before = place.machines.state(row.id)
        place.targets.ended([row.id])
        place.machines.interrupt(row.id)
        after = place.machines.state(row.id)
        rows.append(
            {
                "InstanceId": row.id,
                "PreviousState": {"Name": before},
                "CurrentState": {"Name": after},
            }
        )
    return {"TerminatingInstances": rows}


def create_tags(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CreateTags, of instances."""
    for row in [_instance(place, name) for name in request["Resources"]]:
        row.tags.update({tag["Key"]: tag.get("Value", "") for tag in request["Tags"]})
        row.row = None
    return {}


def delete_tags(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteTags, of instances."""
    for row in [_instance(place, name) for name in request["Resources"]]:
        for tag in request.get("Tags", ()):
            row.tags.pop(tag["Key"], None)
        row.row = None
    return {}


def describe_images(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeImages, by ids; without, all."""
    ids = request.get("ImageIds") or sorted(place.images)
    for name in ids:
        if name not in place.images:
            raise ScalingError("InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")
    return {"Images": [place.images[name] for name in ids]}


def describe_subnets(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeSubnets."""
    subnets = place.networks.subnets
    rows = []
    for name in request.get("SubnetIds") or sorted(subnets):
        if name not in subnets:
            raise ScalingError("InvalidSubnetID.NotFound", f"The subnet ID '{name}' does not exist")
        row = {
            "SubnetId": name, "AvailabilityZone": subnets[name], "VpcId": f"vpc-{place.account}",
            "CidrBlock": "10.0.0.0/14", "AvailableIpAddressCount": 200_000, "State": "available",
        }  # fmt: skip
        rows.append(row)
    return {"Subnets": rows}


def describe_types(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeInstanceTypes: any name is an x86_64 type of two processors that boots UEFI."""
    del place
    return {
        "InstanceTypes": [
            {
                "InstanceType": name,
                "VCpuInfo": {"DefaultVCpus": 2},
                "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
                "SupportedBootModes": ["legacy-bios", "uefi"],
                "SupportedVirtualizationTypes": ["hvm"],
                "NetworkInfo": {"EnaSupport": "required"},
                "Hypervisor": "nitro",
            }
            for name in request["InstanceTypes"]
        ]
    }


def console(place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] GetConsoleOutput: nothing writes one."""
    return {
        "InstanceId": _instance(place, request["InstanceId"]).id,
        "Timestamp": utc(place.clock.now()),
    }


def _template(call: Any) -> Call:
    return lambda place, request: dict(call(place.templates, request))


CALLS: Mapping[str, Call] = {
    "DescribeInstances": describe_instances,
    "DescribeInstanceStatus": describe_status,
    "RunInstances": run_instances,
    "TerminateInstances": terminate_instances,
    "CreateTags": create_tags,
    "DeleteTags": delete_tags,
    "DescribeImages": describe_images,
    "DescribeSubnets": describe_subnets,
    "DescribeInstanceTypes": describe_types,
    "GetConsoleOutput": console,
    **DISKS,
    **{name: _template(call) for name, call in TEMPLATES.items()},
}
