"""Owns publications in tests: small synthetic disks, their evidence, the embedded cloud."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress import build
from goldpress.aws.client import Access
from goldpress.aws.ebs import BLOCK_BYTES
from goldpress.digest import digest_of, sha256_tree
from goldpress.disk.image import measure
from goldpress.manifest import ImageManifest
from goldpress.press import Pressed
from goldpress.publish.blocks import index_disk
from goldpress.publish.region import Publication
from goldpress.publish.settings import Settings, Target, targets
from goldpress.store import Store
from goldpress.verify.evidence import Boot, Check, Evidence, Subject, VerifiedMachine
from goldpress.workspace import Workspace

ACCOUNT = "123456789012"
REGION = "us-east-1"
DIGEST = "sha256:" + "0" * 64


def block(seed: str) -> bytes:
    """A block of bytes that follow from a word."""
    return hashlib.shake_256(seed.encode()).digest(BLOCK_BYTES)


def make_disk(path: Path, blocks: Mapping[int, bytes], *, count: int) -> Path:
    """A sparse disk of `count` blocks with data in some of them."""
    with path.open("wb") as stream:
        stream.truncate(count * BLOCK_BYTES)
        for index, data in blocks.items():
            stream.seek(index * BLOCK_BYTES)
            stream.write(data)
    return path


def manifest_of(raw: Path, **changes: Any) -> ImageManifest:
    """A manifest of this disk; its name is new, so that no other test's AMI is its parent."""
    sha256, root = measure(raw)
    made = ImageManifest(
        name=f"test-{secrets.token_hex(4)}",
        distribution="sandbox",
        stand_in=True,
        arch="x86_64",
        packages=DIGEST,
        definition=DIGEST,
        command_line="ro",
        root_hash="1" * 64,
        disk_sha256=sha256,
        disk_bytes=raw.stat().st_size,
        block_root=root,
    )
    return dataclasses.replace(made, **changes)


def settings_of(**changes: Any) -> Settings:
    """Settings with one region."""
    return Settings(**{"regions": {REGION: {}}, **changes})


def publication(
    work: Path,
    raw: Path,
    *,
    manifest: ImageManifest | None = None,
    settings: Settings | None = None,
    region: str = REGION,
    access: Access | None = None,
    store: Store | None = None,
) -> Publication:
    """The publication of a disk to one region, with a store in `work`."""
    made = manifest or manifest_of(raw)
    wishes = settings or settings_of()
    target: Target = targets(wishes, (region,), emulated=False)[0]
    return Publication(
        access=access or Access(),
        store=store or Store(root=work / "store"),
        records=work / "records",
        manifest=made,
        raw=raw,
        index=index_disk(raw, expected_root=made.block_root),
        promises=DIGEST,
        settings=wishes,
        target=target,
        account=ACCOUNT,
    )


CHECK = Check(control="os-x", test="test_os::test_x", outcome="passed", seconds=0.1)


def boot_of(number: int) -> Boot:
    """A good boot."""
    return Boot(
        number=number, host_key="SHA256:x", checks=(CHECK,), faults=(), started="", ended="",
        boot_to_200_seconds=1.0, console_sha256="5" * 64, junit_sha256="6" * 64,
    )  # fmt: skip


def evidence_of(ws: Workspace, pressed: Pressed, **changes: Any) -> Evidence:
    """That a local copy of the image passed its suite as it is now."""
    made = Evidence(
        subject=Subject(image_digest=pressed.digest, disk_sha256=pressed.disk.sha256),
        distribution=pressed.manifest.distribution,
        stand_in=pressed.manifest.stand_in,
        machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
        suite_sha256=sha256_tree(ws.suite(pressed.definition)),
        input_digest=digest_of(build.promises(pressed)),
        not_exercised={},
        offline=(CHECK,),
        boots=(boot_of(1), boot_of(2)),
    )
    return dataclasses.replace(made, **changes)


def ami_evidence_of(ws: Workspace, pressed: Pressed, ami: str, rests_on: str) -> Evidence:
    """That an AMI passed it, too."""
    plain = evidence_of(ws, pressed, offline=(), boots=(boot_of(1),), rests_on=rests_on)
    return dataclasses.replace(
        plain,
        subject=dataclasses.replace(plain.subject, ami=ami),
        machine=dataclasses.replace(plain.machine, kind="ec2-emulated"),
    )


def keep(store: Store, evidence: Evidence, image: str) -> str:
    """Store evidence as an examination does; returns its digest."""
    digest = store.put_document("evidence", evidence.to_document())
    name = evidence.subject.reference(image, evidence.distribution)
    store.enter("evidence", name, digest)
    return digest
