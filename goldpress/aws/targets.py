"""Owns target groups of load balancers: what is registered, whether healthy, how it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated

HEALTHY = "healthy"
DRAINING = frozenset({"draining", "unhealthy.draining"})
#: Most ARNs of one request.
ARNS = 20


@dataclass(frozen=True, kw_only=True)
class Target:
    """An instance (or address) in a target group; `state` and `reason` as AWS names them."""

    id: str
    port: int
    state: str
    reason: str
    why: str

    @property
    def healthy(self) -> bool:
        """Whether the load balancer sends it requests because it answers well."""
        return self.state == HEALTHY

    @property
    def draining(self) -> bool:
        """Whether it gets no new requests, and ends those that it has."""
        return self.state in DRAINING


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    """A target group; `kind` is instance, ip, lambda or alb.

    `delay_seconds` is for how long one that leaves may end its requests. `balancers` are ARNs.
    """

    arn: str
    name: str
    kind: str
    protocol: str
    port: int
    check_path: str
    interval_seconds: int
    healthy_count: int
    unhealthy_count: int
    delay_seconds: int
    slow_start_seconds: int
    balancers: tuple[str, ...]

    @property
    def dimension(self) -> str:
        """How CloudWatch's metrics name it: ``targetgroup/name/id``."""
        return self.arn.rpartition(":")[2]

    @property
    def balancer_dimensions(self) -> tuple[str, ...]:
        """How they name its load balancers: ``app/name/id``."""
        return tuple(arn.rpartition(":loadbalancer/")[2] for arn in self.balancers)

    @property
    def healthy_seconds(self) -> int:
        """How long it takes from a first good answer until requests come."""
        return self.interval_seconds * max(0, self.healthy_count - 1)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Target groups of one region, of the account that calls."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Targets:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("elbv2", region), region=region)

    def groups(self, arns: Iterable[str]) -> tuple[TargetGroup, ...]:
        """The target groups of these ARNs, in their order. Raises CloudError for one not there."""
        return tuple(self._groups(list(dict.fromkeys(arns))))

    def health(self, arn: str) -> tuple[Target, ...]:
        """Everything registered in a target group, by id. Raises CloudError."""
        with self._about(arn):
            rows = self.client.describe_target_health(TargetGroupArn=arn)
        found = [_target(row) for row in rows["TargetHealthDescriptions"]]
        return tuple(sorted(found, key=lambda row: (row.id, row.port)))

    def of(self, arn: str, instance: str) -> Target | None:
        """One instance in a target group; None when it is not registered there."""
        return next((row for row in self.health(arn) if row.id == instance), None)

    def register(self, arn: str, instances: Sequence[str]) -> None:
        """Register instances; those that are registered stay so."""
        with self._about(arn):
            self.client.register_targets(TargetGroupArn=arn, Targets=_ids(instances))

    def deregister(self, arn: str, instances: Sequence[str]) -> None:
        """Let instances drain; those that are not registered are no failure."""
        with self._about(arn):
            self.client.deregister_targets(TargetGroupArn=arn, Targets=_ids(instances))

    def _groups(self, arns: Sequence[str]) -> Iterator[TargetGroup]:
        for start in range(0, len(arns), ARNS):
            wanted = list(arns[start : start + ARNS])
            with self._about(", ".join(wanted)):
                rows = self.client.describe_target_groups(TargetGroupArns=wanted)["TargetGroups"]
            by_arn = {str(row["TargetGroupArn"]): row for row in rows}
            for arn in wanted:
                yield _group(by_arn[arn], self._attributes(arn))

    def _attributes(self, arn: str) -> Mapping[str, str]:
        with self._about(arn):
            rows = self.client.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        return {str(row["Key"]): str(row.get("Value", "")) for row in rows}

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="elasticloadbalancing")


def _ids(instances: Sequence[str]) -> list[dict[str, str]]:
    return [{"Id": instance} for instance in instances]


def _target(row: Mapping[str, Any]) -> Target:
    health = row["TargetHealth"]
    return Target(
        id=str(row["Target"]["Id"]),
        port=int(row["Target"].get("Port", 0)),
        state=str(health["State"]),
        reason=str(health.get("Reason", "")),
        why=str(health.get("Description", "")),
    )


def _group(row: Mapping[str, Any], attributes: Mapping[str, str]) -> TargetGroup:
    return TargetGroup(
        arn=str(row["TargetGroupArn"]),
        name=str(row["TargetGroupName"]),
        kind=str(row.get("TargetType", "instance")),
        protocol=str(row.get("Protocol", "")),
        port=int(row.get("Port", 0)),
        check_path=str(row.get("HealthCheckPath", "")),
        interval_seconds=int(row.get("HealthCheckIntervalSeconds", 0)),
        healthy_count=int(row.get("HealthyThresholdCount", 0)),
        unhealthy_count=int(row.get("UnhealthyThresholdCount", 0)),
        delay_seconds=int(attributes.get("deregistration_delay.timeout_seconds", 300)),
        slow_start_seconds=int(attributes.get("slow_start.duration_seconds", 0)),
        balancers=tuple(str(arn) for arn in row.get("LoadBalancerArns", ())),
    )
