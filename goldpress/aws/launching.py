"""Owns the launch of one machine from a launch template, with a key and a group of its own beside.

What a request says wins over the template. Security groups are said either on the network interface
or on the instance, never on both, so the request says them where the template does:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldpress.aws.instances import TAG
from goldpress.aws.templates import TemplateVersion


@dataclass(frozen=True, kw_only=True)
class TemplateLaunch:
    """What it is launched with; sent again with the same token, it is the same one.

    `key` and `group` are for the login alone; `types` the group's own instance types, of which the
    first is taken; empty: the template's.
    """

    token: str
    version: TemplateVersion
    key: str
    group: str
    subnet: str
    types: Sequence[str]
    tags: Mapping[str, str]

    @property
    def ami(self) -> str:
        """What it is launched from."""
        return self.version.ami

    def arguments(self) -> dict[str, Any]:
        """The arguments of RunInstances."""
        named = {**self.tags, TAG: self.token}
        tags = [{"Key": key, "Value": value} for key, value in sorted(named.items())]
        wanted: dict[str, Any] = {
            "LaunchTemplate": self.version.ref.specification(),
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": self.key,
            "ClientToken": self.token,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")
            ],
        }
        if self.types:
            wanted["InstanceType"] = self.types[0]
        interfaces = self.version.data.get("NetworkInterfaces", ())
        if interfaces:
            first = {k: v for k, v in interfaces[0].items() if k != "NetworkInterfaceId"}
            groups = [*first.get("Groups", ()), self.group]
            subnet = {"SubnetId": self.subnet} if self.subnet else {}
            wanted["NetworkInterfaces"] = [{**first, **subnet, "Groups": groups}]
        else:
            wanted["SecurityGroupIds"] = [
                *self.version.data.get("SecurityGroupIds", ()), self.group,
            ]  # fmt: skip
            if self.subnet:
                wanted["SubnetId"] = self.subnet
        return wanted
