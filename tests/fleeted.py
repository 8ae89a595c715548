"""Owns a site of tests whose fleets run in a cloud inside this process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from definitions import SERVING
from promotable import ACCOUNT, STAGING, Site

from goldpress import ami as amis
from goldpress.ami import Ami
from goldpress.channel import Channel, load_channel
from goldpress.emulator.checks import Rules
from goldpress.emulator.inprocess import Call, InProcessCloud, writes
from goldpress.emulator.scaling.operations import call
from goldpress.emulator.simulated.place import Place
from goldpress.fleet.place import Caller
from goldpress.promotion import record
from goldpress.promotion.record import Approval, Promotion
from goldpress.statements.signing import local_signer

REGION = "us-east-1"
#: Two instances and one, behind a load balancer; the image before is `a`, the one in force `b`.
FLEETS = """\
accounts: ["111122223333"]
fleets:
  - {name: here, region: us-east-1, silo: blue, groups: [web-a, web-b], max_age_days: 30}
waves:
  - {name: all, fleets: [here], soak_minutes: 0, gates: [healthy]}
"""


@dataclass(kw_only=True)
class Fleeted:
    """A site, its cloud, and the groups `web-a` (two instances) and `web-b` (one) of staging."""

    site: Site
    cloud: InProcessCloud
    before: str
    digest: str
    amis: dict[str, Ami] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return self.cloud.place(ACCOUNT, REGION)

    def reach(self, account: str) -> Caller:
        return self.cloud.access(account)

    @property
    def channel(self) -> Channel:
        return load_channel(self.site.ws.project, self.site.name, "staging")

    def ami(self, letter: str) -> str:
        return self.amis[letter].ami

    def scaling(self, operation: str, **request: Any) -> dict[str, Any]:
        """What somebody else does to a group."""
        return call(self.place.scaling, operation, request)

    def group(self, name: str) -> dict[str, Any]:
        rows = self.scaling("DescribeAutoScalingGroups", AutoScalingGroupNames=[name])
        found: dict[str, Any] = rows["AutoScalingGroups"][0]
        return found

    def members(self, name: str) -> list[str]:
        return [row["InstanceId"] for row in self.group(name)["Instances"]]

    def settle(self, seconds: float = 900) -> None:
        self.cloud.advance(seconds)

    def written(self) -> list[str]:
        """The changes that goldpress has asked for."""
        rows: tuple[Call, ...] = writes(self.cloud.calls)
        return [f"{row.service}:{row.operation}" for row in rows]


def make_fleeted(site: Site, *, running: str = "a") -> Fleeted:
    """Staging has `b` in force, and had `a` before; its groups run the image `running`."""
    folder = site.ws.project / "images" / site.name
    (folder / "channels").mkdir(exist_ok=True)
    (folder / "channels" / "staging.yaml").write_text(STAGING + FLEETS)
    (folder / "image.yaml").write_text(
        SERVING.replace("name: web\n", f"name: {site.name}\n") + "parameters: {stop_seconds: 310}\n"
    )
    rows = {letter: published(site, letter, number) for number, letter in enumerate("ab", 1)}
    before = in_force(site, rows["a"], "")
    digest = in_force(site, rows["b"], "a")
    cloud = InProcessCloud(start=time.time() - 3600)
    made = Fleeted(site=site, cloud=cloud, before=before, digest=digest, amis=rows)
    for row in rows.values():
        disk = {"DeviceName": row.root_device, "Ebs": {"SnapshotId": row.snapshot}}
        made.place.add_image(row.ami, BlockDeviceMappings=[disk])
    for name, count in (("web-a", 2), ("web-b", 1)):
        arn = made.place.add_target_group(name, rules=Rules(path="/healthz", delay=20))
        made.place.add_group(
            name, image=made.ami(running), desired=count, least=1, most=4, target_groups=(arn,)
        )
    made.settle()
    cloud.calls.clear()
    return made


def write_definition(site: Site) -> None:
    """What the work tree says of the image, and a folder for its channels."""
    folder = site.ws.project / "images" / site.name
    (folder / "channels").mkdir(exist_ok=True)
    name = f"name: {site.name}\n"
    (folder / "image.yaml").write_text(
        SERVING.replace("name: web\n", name) + "parameters: {stop_seconds: 310}\n"
    )


def published(site: Site, letter: str, number: int) -> Ami:
    """An image and its AMI, as the store has them; in no cloud but the one of this process."""
    made = site.press(letter)
    row = Ami(
        image=made.image, name=site.name, distribution="sandbox", stand_in=True, arch="x86_64",
        account=ACCOUNT, region=REGION, emulated=True, ami=f"ami-{number:017x}",
        ami_name=f"{site.name}-{letter}", snapshot=f"snap-{number:017x}", kms_key="",
        volume_gib=1, root_device="/dev/xvda", block_root=made.manifest.block_root, blocks="",
        promises="",
    )  # fmt: skip
    amis.keep(site.ws.store, row)
    return row


def in_force(site: Site, row: Ami, after: str) -> str:
    """Have staging promote an image, as a merged pull request would; its digest."""
    approval = Approval(
        repository="acme/images", pull=1, head="1" * 40, merge="2" * 40, tree="3" * 40,
        approvers=("ann",), merged_by="ann", expedited="",
    )  # fmt: skip
    promotion = Promotion(
        image=site.name, channel="staging", digest=row.image,
        previous=site.images[after].image if after else "", approval=approval, account=ACCOUNT,
        emulated=True, amis={REGION: row.ami}, evidence=(), at="", after="",
    )  # fmt: skip
    record.keep(site.ws.store, site.trust, promotion, local_signer(site.ws))
    return row.image


@pytest.fixture
def fleeted(site: Site) -> Fleeted:
    return make_fleeted(site)
