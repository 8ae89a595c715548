"""Owns what a launch takes of AWS: instance types and what they can boot, addresses, vCPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Client
from goldpress.aws.errors import cause_code, translated
from goldpress.errors import CloudError

#: Most types of one request.
TYPES = 100
PAGE = 1000
#: Quotas of running vCPUs, by the first letters of instance types; those of On-Demand instances.
#: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
STANDARD = frozenset("acdhimrtz")
STANDARD_QUOTA = "L-1216C47A"
FAMILIES: Mapping[str, str] = {
    "f": "L-74FC7D96",
    "g": "L-DB2E81BA",
    "vt": "L-DB2E81BA",
    "inf": "L-1945791B",
    "p": "L-417A185B",
    "x": "L-7295265B",
    "dl": "L-6E869C2A",
    "trn": "L-2C3B7624",
    "hpc": "L-F7808C92",
}
NO_TYPE = "InvalidInstanceType"


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """An instance type: the architectures and boot modes that it can have, and its vCPUs."""

    name: str
    architectures: frozenset[str]
    boot_modes: frozenset[str]
    vcpus: int

    @property
    def quota(self) -> str:
        """The code of the quota that its vCPUs count for; empty where that is not known."""
        return quota_of(self.name)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota of running vCPUs of On-Demand instances, and how many of them are used."""

    code: str
    most: float
    used: int


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What one region has for launches; `quotas` is a client of Service Quotas."""

    client: Client
    quotas: Client
    region: str

    def types(self, names: Iterable[str]) -> Mapping[str, InstanceType | None]:
        """What these instance types can, None for one that the region does not have."""
        wanted = sorted(set(names))
        found: dict[str, InstanceType | None] = dict.fromkeys(wanted)
        for start in range(0, len(wanted), TYPES):
            for row in self._types(wanted[start : start + TYPES]):
                found[row.name] = row
        return found

    def types_of(self, requirements: Mapping[str, Any], *, architecture: str) -> tuple[str, ...]:
        """The types that attributes (an override's InstanceRequirements) allow, by name."""
        found: list[str] = []
        following: dict[str, str] = {}
        while True:
            with self._about("instance types by attributes"):
                answer = self.client.get_instance_types_from_instance_requirements(
                    ArchitectureTypes=[architecture],
                    VirtualizationTypes=["hvm"],
                    InstanceRequirements=requirements,
                    **following,
                )
            found += [str(row["InstanceType"]) for row in answer["InstanceTypes"]]
            if not answer.get("NextToken"):
                return tuple(sorted(found))
            following = {"NextToken": str(answer["NextToken"])}

    def addresses(self, subnets: Sequence[str]) -> Mapping[str, int]:
        """How many IPv4 addresses each of these subnets has free. Raises CloudError."""
        if not subnets:
            return {}
        with self._about(", ".join(subnets)):
            rows = self.client.describe_subnets(SubnetIds=list(subnets))["Subnets"]
        return {str(row["SubnetId"]): int(row["AvailableIpAddressCount"]) for row in rows}

    def quota(self, code: str) -> Quota:
        """A quota and what is used of it now. Raises CloudError."""
        with translated(f"the quota {code} in {self.region}", service="servicequotas"):
            most = self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"][
                "Value"
            ]
        counts: dict[str, int] = {}
        for name in self._on_demand():
            if quota_of(name) == code:
                counts[name] = counts.get(name, 0) + 1
        types = self.types(counts)
        used = sum(row.vcpus * counts[name] for name, row in types.items() if row is not None)
        return Quota(code=code, most=float(most), used=used)

    def _types(self, names: Sequence[str]) -> Iterator[InstanceType]:
        try:
            with self._about(", ".join(names)):
                rows = self.client.describe_instance_types(InstanceTypes=list(names))
        except CloudError as error:
            if cause_code(error) != NO_TYPE:
                raise
            # AWS refuses all of them for one that it does not have: then each by itself.
            if len(names) > 1:
                for name in names:
                    yield from self._types([name])
            return
        yield from map(_type, rows["InstanceTypes"])

    def _on_demand(self) -> Iterator[str]:
        """The type of every instance that runs, or is about to, and is no Spot instance."""
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        following: dict[str, str] = {}
        while True:
            with self._about("instances"):
                answer = self.client.describe_instances(
                    Filters=filters, MaxResults=PAGE, **following
                )
            for reservation in answer["Reservations"]:
                for row in reservation["Instances"]:
                    if row.get("InstanceLifecycle") != "spot":
                        yield str(row["InstanceType"])
            if not answer.get("NextToken"):
                return
            following = {"NextToken": str(answer["NextToken"])}

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="ec2")


def quota_of(name: str) -> str:
    """The code of the quota that an instance type counts for; empty where that is not known."""
    family = name.partition(".")[0]
    letters = family[: next((i for i, c in enumerate(family) if not c.isalpha()), len(family))]
    if letters in FAMILIES:
        return FAMILIES[letters]
    return STANDARD_QUOTA if letters[:1] in STANDARD and letters != "mac" else ""


def _type(row: Mapping[str, Any]) -> InstanceType:
    return InstanceType(
        name=str(row["InstanceType"]),
        architectures=frozenset(
            str(name) for name in row["ProcessorInfo"].get("SupportedArchitectures", ())
        ),
        boot_modes=frozenset(str(name) for name in row.get("SupportedBootModes", ())),
        vcpus=int(row["VCpuInfo"]["DefaultVCpus"]),
    )
