"""Owns what a machine's metadata service tells about it: `instance.json`."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The address that QEMU's user network gives a guest (see `qemu.network_option`).
GUEST_ADDRESS = "169.254.10.15"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance's metadata. `public_keys` maps a key pair's name to its OpenSSH line."""

    instance_id: str
    ami_id: str = "ami-00000000000000000"
    instance_type: str = "goldpress.local"
    region: str = "local-1"
    zone: str = "local-1a"
    account_id: str = "000000000000"
    architecture: str = "x86_64"
    local_ipv4: str = GUEST_ADDRESS
    pending_time: str = "1970-01-01T00:00:00Z"
    public_keys: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes | None = None

    @property
    def hostname(self) -> str:
        """The private DNS name as EC2 forms it from the address."""
        return f"ip-{self.local_ipv4.replace('.', '-')}.{self.region}.compute.internal"


def meta_data(instance: Instance) -> dict[str, Any]:
    """The tree below /latest/meta-data/: a directory is a dict, a value a string."""
    tree: dict[str, Any] = {
        "ami-id": instance.ami_id,
        "hostname": instance.hostname,
        "instance-id": instance.instance_id,
        "instance-type": instance.instance_type,
        "local-hostname": instance.hostname,
        "local-ipv4": instance.local_ipv4,
        "placement": {"availability-zone": instance.zone, "region": instance.region},
    }
    if instance.public_keys:
        tree["public-keys"] = {
            str(index): {"name": name, "openssh-key": line}
            for index, (name, line) in enumerate(instance.public_keys.items())
        }
    if instance.tags:
        tree["tags"] = {"instance": dict(instance.tags)}
    return tree


def identity_document(instance: Instance) -> str:
    """The JSON text at /latest/dynamic/instance-identity/document."""
    return json.dumps(
        {
            "accountId": instance.account_id,
            "architecture": instance.architecture,
            "availabilityZone": instance.zone,
            "imageId": instance.ami_id,
            "instanceId": instance.instance_id,
            "instanceType": instance.instance_type,
            "pendingTime": instance.pending_time,
            "privateIp": instance.local_ipv4,
            "region": instance.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def configuration(instance: Instance, *, secret: str) -> dict[str, Any]:
    """What `imds.py` reads; `secret` is hex and signs the tokens."""
    latest: dict[str, Any] = {
        "meta-data": meta_data(instance),
        "dynamic": {"instance-identity": {"document": identity_document(instance)}},
    }
    if instance.user_data is not None:
        latest["user-data"] = ""  # named in the listing; the bytes are beside the tree
    data = instance.user_data
    return {
        "secret": secret,
        "user_data": None if data is None else base64.b64encode(data).decode(),
        "tree": {"latest": latest},
    }


def write_configuration(instance: Instance, path: Path) -> None:
    """Write `instance.json` with a new secret, readable by its owner only."""
    data = json.dumps(configuration(instance, secret=secrets.token_hex(32)), indent=1)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(data)
