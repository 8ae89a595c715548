"""Owns a load balancer of tests: in front of small web servers, in an account of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from clouds import Account
from web_targets import Web, webs

from goldpress.host import tools
from goldpress.rehearsal.traffic import Load, Traffic


@dataclass(frozen=True, kw_only=True)
class Front:
    """A load balancer with one listener in front of a target group, and what it may send to."""

    account: Account
    group: str
    listener: str
    load_balancer: str
    webs: list[Web]

    @property
    def elb(self) -> Any:
        return self.account.client("elbv2")

    @property
    def place(self) -> tuple[str, int]:
        (row,) = [
            row
            for row in self.account.emulator.ask("balancers")
            if row["listener"] == self.listener
        ]
        return row["address"], row["port"]

    def targets(self, *numbers: int) -> list[dict[str, Any]]:
        return [{"Id": self.webs[n].address, "Port": self.webs[n].port} for n in numbers]

    def register(self, *numbers: int) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=self.targets(*numbers))

    def deregister(self, *numbers: int) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=self.targets(*numbers))

    def health(self, number: int) -> dict[str, str]:
        (row,) = self.elb.describe_target_health(
            TargetGroupArn=self.group, Targets=self.targets(number)
        )["TargetHealthDescriptions"]
        health: dict[str, str] = row["TargetHealth"]
        return health

    def becomes(self, number: int, state: str, *, step: float = 5.0) -> dict[str, str]:
        """Let checks happen, one interval after the other, until a target has this state."""
        for _ in range(12):
            end = time.monotonic() + 3
            while time.monotonic() < end:
                health = self.health(number)
                if health["State"] == state:
                    return health
                time.sleep(0.1)
                if time.monotonic() > end - 2.3:
                    break
            self.account.emulator.ask("clock", {"advance": step})
        raise AssertionError(f"{self.webs[number]} is {self.health(number)}, not {state}")

    def traffic(self, **given: Any) -> Load:
        address, port = self.place
        values = {"connections": 4, "pause": 0.02, "timeout": 10.0, **given}
        return Load(traffic=Traffic(url=f"http://{address}:{port}/page", **values))


def network(account: Account) -> dict[str, Any]:
    (vpc,) = account.ec2.describe_vpcs()["Vpcs"]
    subnets = account.ec2.describe_subnets()["Subnets"][:2]
    return {"vpc": vpc["VpcId"], "subnets": [row["SubnetId"] for row in subnets]}


def group(account: Account, name: str = "web", **given: Any) -> str:
    values = {
        "Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": network(account)["vpc"],
        "TargetType": "ip", "HealthCheckPath": "/healthz", "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2, **given,
    }  # fmt: skip
    made = account.client("elbv2").create_target_group(**values)["TargetGroups"]
    return str(made[0]["TargetGroupArn"])


def balancer(account: Account, name: str = "front") -> str:
    made = account.client("elbv2").create_load_balancer(
        Name=name, Subnets=network(account)["subnets"]
    )["LoadBalancers"]
    return str(made[0]["LoadBalancerArn"])


def listener(account: Account, arn: str, target_group: str, **given: Any) -> str:
    values = {
        "LoadBalancerArn": arn, "Protocol": "HTTP", "Port": 80,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": target_group}], **given,
    }  # fmt: skip
    return str(account.client("elbv2").create_listener(**values)["Listeners"][0]["ListenerArn"])


@pytest.fixture
def front(account: Account) -> Iterator[Front]:
    tools.ensure(tools.BALANCER)
    with webs(3) as made:
        target_group, arn = group(account), balancer(account)
        port = listener(account, arn, target_group)
        one = Front(
            account=account, group=target_group, listener=port, load_balancer=arn, webs=made
        )
        try:
            yield one
        finally:
            one.elb.delete_load_balancer(LoadBalancerArn=arn)
