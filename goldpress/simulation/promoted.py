"""Owns what a simulated roll needs besides a cloud: a store, a key, and an image in force.

The documents are those of a promoted image, made up and signed by a key of their own, in a folder
that nobody else uses: `roll` reads, believes and holds them as any others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from goldpress import ami as amis
from goldpress import holds
from goldpress.ami import Ami
from goldpress.channel import Channel
from goldpress.digest import digest_of, sha256_bytes
from goldpress.manifest import ImageManifest
from goldpress.promotion import record
from goldpress.promotion.record import Approval, Promotion
from goldpress.simulation.layout import Layout
from goldpress.statements.signing import (
    Signer,
    local_path,
    make_key,
    read_private,
    trust_here,
)
from goldpress.statements.trust import local_key
from goldpress.workspace import Workspace

ROOT_DEVICE = "/dev/xvda"
_DEFINITION = """\
name: {name}
summary: a simulated image
distribution: sandbox
arch: x86_64
packages: [nginx]
disk: {{esp_mib: 64, var_mib: 512}}
verify: {{suite: web, boot_seconds: 60}}
parameters: {{stop_seconds: {stop}}}
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is published everywhere; `amis` by region."""

    digest: str
    amis: dict[str, Ami]


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A workspace whose channel has `new` in force, and had `old` before."""

    ws: Workspace
    channel: Channel
    owner: str
    old: Image
    new: Image
    signer: Signer

    def approved(self, region: str) -> frozenset[str]:
        """The AMIs that anybody may launch in a region."""
        return frozenset(row.amis[region].ami for row in (self.old, self.new))

    @property
    def held(self) -> str:
        """Why the new image may not be launched; empty when it may."""
        found = holds.held(self.ws.store, trust_here(self.ws), self.new.digest)
        return found.why if found else ""


def promoted(directory: Path, layout: Layout) -> Promoted:
    """Write everything down below an empty `directory`."""
    channel = layout.channel
    folder = directory / "project" / "images" / channel.image
    (folder / "channels").mkdir(parents=True)
    stop = 10 + max((int(r.delay) for row in layout.groups for r in row.rules), default=0)
    (folder / "image.yaml").write_text(_DEFINITION.format(name=channel.image, stop=stop))
    (directory / "project" / "trust.yaml").write_text("keys: {}\n")
    ws = Workspace(project=directory / "project", build=directory / "build")
    make_key(local_path(ws))
    private = read_private(local_path(ws))
    signer = Signer(key=local_key(private.public_key), signs=private)
    regions = channel.policy.regions
    old, new = (
        _image(ws, channel.image, layout.owner, regions, word) for word in ("before", "after")
    )
    for image, previous in ((old, ""), (new, old.digest)):
        promotion = Promotion(
            image=channel.image, channel=channel.name, digest=image.digest, previous=previous,
            approval=Approval(
                repository="", pull=0, head="", merge="", tree="", approvers=(), merged_by="",
                expedited="",
            ),
            account=layout.owner, emulated=True,
            amis={region: row.ami for region, row in image.amis.items()},
            evidence=(), at="", after="",
        )  # fmt: skip
        record.keep(ws.store, trust_here(ws), promotion, signer)
    return Promoted(ws=ws, channel=channel, owner=layout.owner, old=old, new=new, signer=signer)


def _image(ws: Workspace, name: str, owner: str, regions: tuple[str, ...], word: str) -> Image:
    made = digest_of(f"{name} {word}")
    manifest = ImageManifest(
        name=name, distribution="sandbox", stand_in=True, arch="x86_64", packages=made,
        definition=made, command_line="", root_hash="", disk_sha256=made.removeprefix("sha256:"),
        disk_bytes=1 << 30, block_root=made,
    )  # fmt: skip
    ws.store.put_document("manifest", manifest.to_document())
    rows: dict[str, Ami] = {}
    for region in regions:
        number = sha256_bytes(f"{name} {word} {region}".encode())[:17]
        rows[region] = Ami(
            image=manifest.digest, name=name, distribution="sandbox", stand_in=True,
            arch="x86_64", account=owner, region=region, emulated=True, ami=f"ami-{number}",
            ami_name=f"{name}-{word}", snapshot=f"snap-{number}", kms_key="", volume_gib=1,
            root_device=ROOT_DEVICE, block_root=made, blocks="", promises="",
        )  # fmt: skip
        amis.keep(ws.store, rows[region])
    return Image(digest=manifest.digest, amis=rows)
