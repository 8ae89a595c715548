"""Owns instances as EC2 knows them: launched, looked at, terminated; their keys and groups."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import cause_code, translated
from goldpress.errors import CloudError

ENDED = frozenset({"shutting-down", "terminated"})
NO_INSTANCE = frozenset({"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"})
#: An instance that was just launched may be unknown to other servers of EC2 for so long.
UNKNOWN_SECONDS = 60.0
TERMINATE_SECONDS = 600.0
POLL_SECONDS = 1.0
#: Holds the token of an instance's launch.
TAG = "goldpress:launch"
NOT_FREE = "DependencyViolation"
GONE = frozenset({"InvalidGroup.NotFound", "InvalidKeyPair.NotFound"})


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance as EC2 describes it; addresses are empty where it has none."""

    id: str
    state: str
    why: str
    type: str
    public_address: str
    private_address: str
    boot_mode: str
    token: str


class Launchable(Protocol):
    """What an instance is launched with."""

    @property
    def ami(self) -> str:
        """What it is launched from."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of RunInstances, a client token among them."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What an instance is launched with; sent again with the same token, it is the same one."""

    token: str
    ami: str
    instance_type: str
    key: str
    group: str
    subnet: str
    root_device: str
    volume_gib: int
    public: bool
    tags: Mapping[str, str]

    def arguments(self) -> dict[str, Any]:
        """The arguments of RunInstances."""
        named = {**self.tags, TAG: self.token}
        tags = [{"Key": key, "Value": value} for key, value in sorted(named.items())]
        interface: dict[str, Any] = {"DeviceIndex": 0, "Groups": [self.group]}
        if self.subnet:
            interface["SubnetId"] = self.subnet
        if self.public:
            interface["AssociatePublicIpAddress"] = True
        disk = {
            "VolumeSize": self.volume_gib,
            "VolumeType": "gp3",
            "DeleteOnTermination": True,
        }
        return {
            "ImageId": self.ami,
            "InstanceType": self.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": self.key,
            "ClientToken": self.token,
            "NetworkInterfaces": [interface],
            "BlockDeviceMappings": [{"DeviceName": self.root_device, "Ebs": disk}],
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
            "InstanceInitiatedShutdownBehavior": "terminate",
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Instances of one region."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Instances:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ec2", region), region=region)

    def launch(self, wanted: Launchable) -> str:
        """The id of the instance that this token launched, now or before. Raises CloudError."""
        with self._about(f"an instance of {wanted.ami}"):
            answer = self.client.run_instances(**wanted.arguments())
        return str(answer["Instances"][0]["InstanceId"])

    def instance(self, instance: str) -> Instance | None:
        """An instance by its id, or None."""
        with self._about(instance):
            try:
                answer = self.client.describe_instances(InstanceIds=[instance])
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in NO_INSTANCE:
                    return None
                raise
        return next(iter(_instances(answer)), None)

    def of_token(self, token: str) -> list[Instance]:
        """Instances that this token launched and that have not ended.

        The tag that they got with it narrows the search; the token itself decides.
        """
        filters = [{"Name": f"tag:{TAG}", "Values": [token]}]
        with self._about(f"instances of {token}"):
            answer = self.client.describe_instances(Filters=filters)
        return [
            row for row in _instances(answer) if row.state not in ENDED and row.token in {"", token}
        ]

    def checks(self, instance: str) -> int:
        """How many of EC2's two status checks it passes."""
        with self._about(instance):
            rows = self.client.describe_instance_status(
                InstanceIds=[instance], IncludeAllInstances=True
            )["InstanceStatuses"]
        return sum(
            row.get(name, {}).get("Status") == "ok"
            for row in rows
            for name in ("SystemStatus", "InstanceStatus")
        )

    def console(self, instance: str) -> bytes:
        """What it wrote to its console, the newest 64 KiB of it."""
        with self._about(instance):
            answer = self.client.get_console_output(InstanceId=instance, Latest=True)
        return str(answer.get("Output") or "").encode()

    def terminate(self, instance: str) -> None:
        """End it, and wait until EC2 says that it has ended. Raises CloudError.

        Nothing on it is worth a graceful shutdown, which a broken image would never end.
        """
        with self._about(instance):
            try:
                self.client.terminate_instances(InstanceIds=[instance], SkipOsShutdown=True)
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in NO_INSTANCE:
                    return
                raise
        end = time.monotonic() + TERMINATE_SECONDS
        while (found := self.instance(instance)) is not None and found.state != "terminated":
            if time.monotonic() > end:
                raise CloudError(
                    f"{instance} in {self.region} is still {found.state} after "
                    f"{TERMINATE_SECONDS:.0f} s",
                    hint="run `./inv sweep` later: it removes what is left",
                )
            time.sleep(POLL_SECONDS)

    def add_key(self, name: str, public: str) -> None:
        """Import a public key (one line in OpenSSH's form)."""
        with self._about(f"key pair {name}"):
            self.client.import_key_pair(KeyName=name, PublicKeyMaterial=public.encode())

    def remove_key(self, name: str) -> None:
        """Delete a key pair; one that is not there is no failure."""
        with self._about(f"key pair {name}"):
            self.client.delete_key_pair(KeyName=name)

    def network(self, subnet: str) -> tuple[str, str]:
        """(id, IPv4 range) of the subnet's VPC, or of the default one. Raises CloudError."""
        with self._about(subnet or "the default VPC"):
            if subnet:
                rows = self.client.describe_subnets(SubnetIds=[subnet])["Subnets"]
                vpcs = self.client.describe_vpcs(VpcIds=[rows[0]["VpcId"]])["Vpcs"]
            else:
                filters = [{"Name": "is-default", "Values": ["true"]}]
                vpcs = self.client.describe_vpcs(Filters=filters)["Vpcs"]
        if not vpcs:
            raise CloudError(
                f"{self.region} has no default VPC to launch an instance in",
                hint="name a subnet for it in publish.yaml",
            )
        return str(vpcs[0]["VpcId"]), str(vpcs[0]["CidrBlock"])

    def add_group(self, name: str, *, vpc: str, cidr: str) -> str:
        """Make a security group that lets `cidr` in on port 22, and nobody else; its id."""
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": cidr, "Description": "goldpress verifies an image"}],
        }
        with self._about(f"security group {name}"):
            group = self.client.create_security_group(
                GroupName=name,
                Description="goldpress verifies an image",
                VpcId=vpc,
                TagSpecifications=[
                    {"ResourceType": "security-group", "Tags": [{"Key": TAG, "Value": name}]}
                ],
            )["GroupId"]
            self.client.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        return str(group)

    def remove_group(self, name: str) -> None:
        """Delete the security groups of this name, once nothing is in them any more."""
        filters = [{"Name": "group-name", "Values": [name]}]
        with self._about(f"security group {name}"):
            rows = self.client.describe_security_groups(Filters=filters)["SecurityGroups"]
        for row in rows:
            self._remove_group(str(row["GroupId"]))

    def _remove_group(self, group: str) -> None:
        end = time.monotonic() + TERMINATE_SECONDS
        while True:
            try:
                with self._about(f"security group {group}"):
                    self.client.delete_security_group(GroupId=group)
            except CloudError as error:
                if cause_code(error) in GONE:
                    return
                # The interface of an instance that has ended goes a little later.
                if cause_code(error) != NOT_FREE or time.monotonic() > end:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="ec2")


def _instances(answer: Mapping[str, Any]) -> list[Instance]:
    rows = [row for group in answer["Reservations"] for row in group["Instances"]]
    return [
        Instance(
            id=str(row["InstanceId"]),
            state=str(row["State"]["Name"]),
            why=str(row.get("StateReason", {}).get("Message", "")),
            type=str(row.get("InstanceType", "")),
            public_address=str(row.get("PublicIpAddress") or ""),
            private_address=str(row.get("PrivateIpAddress") or ""),
            boot_mode=str(row.get("CurrentInstanceBootMode", "")),
            token=str(row.get("ClientToken") or ""),
        )
        for row in rows
    ]
