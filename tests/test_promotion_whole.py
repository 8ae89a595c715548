"""Two images into a channel and back, step by step as the tasks go; nothing is pressed or booted.

`test_real_promotion.py` goes the same way with real images and machines.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from attested import GOOD, boot
from emulated import Emulator
from github_server import GitHubServer
from journey import IMAGE, REGION, Journey, local_evidence, make_project
from publications import block, keep, make_disk
from test_attesting import installed, lock_of  # noqa: F401 - a fixture

from goldpress import build, holds, publishing, tracing
from goldpress.ami import Ami
from goldpress.attesting import attest_trial
from goldpress.controls import load_controls
from goldpress.definition import load_definition
from goldpress.digest import digest_of
from goldpress.disk.image import DiskImage, measure
from goldpress.distribution import load_distribution
from goldpress.errors import PromotionError
from goldpress.manifest import ImageManifest
from goldpress.mirror.roots import IMAGE as IMAGES
from goldpress.press import Pressed, packages_digest
from goldpress.stage import Product
from goldpress.statements.verification import parse_evidence
from goldpress.trial import Trying
from goldpress.verify.evidence import Check, Evidence, Subject, VerifiedMachine
from goldpress.workspace import Workspace


def launched(ws: Workspace, ami: Ami, _: Trying, *, rests_on: str) -> str:
    """What a trial leaves behind where the instance passed as the local copy did."""
    local = parse_evidence(ws.store.get_document("evidence", rests_on))
    made = dataclasses.replace(
        local,
        subject=dataclasses.replace(local.subject, ami=ami.ami),
        machine=dataclasses.replace(local.machine, kind="ec2-emulated"),
        offline=(),
        boots=local.boots[:1],
        rests_on=rests_on,
    )
    document = keep(ws.store, made, ami.name)
    attest_trial(ws, ami, document)
    return document


@pytest.fixture
def journey(
    tmp_path: Path, github: GitHubServer, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Journey:
    monkeypatch.setattr("goldpress.aws.ssm.POLL_SECONDS", 0.02)
    monkeypatch.setattr("goldpress.aws.ec2.POLL_SECONDS", 0.02)
    monkeypatch.setattr("goldpress.github.api.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(publishing, "try_ami", launched)
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    emulator.ask("settings", {"driver": "virtual", "complete_seconds": 0.0})
    project = make_project(tmp_path / "project", github)
    ws = Workspace(project=project, build=tmp_path / "build")
    return Journey(ws=ws, github=github, endpoint=emulator.url)


def pressed(
    journey: Journey,
    letter: str,
    tmp_path: Path,
    rpms: tuple[list[Path], Path],
) -> Pressed:
    """A small disk under the image's name, with the tree and lock of some packages."""
    ws = journey.ws
    raw = make_disk(
        tmp_path / letter, {0: block(str(tmp_path)), 3: block(f"{tmp_path} {letter}")}, count=8
    )
    definition = load_definition(ws.project / "images/web")
    lock = lock_of(rpms[0], "sandbox")
    sha256, root = measure(raw)
    manifest = ImageManifest(
        name=IMAGE, distribution="sandbox", stand_in=True, arch="x86_64",
        packages=packages_digest(lock), definition=digest_of(letter), command_line="ro",
        root_hash=digest_of(letter)[7:], disk_sha256=sha256, disk_bytes=raw.stat().st_size,
        block_root=root,
    )  # fmt: skip
    ws.store.put_document("manifest", manifest.to_document())
    ws.store.enter(IMAGES, "web.sandbox.x86_64", manifest.digest)
    disk = DiskImage(
        raw=raw, kernel=raw, initrd=raw, command_line="ro", root_hash=manifest.root_hash,
        sha256=sha256, block_root=root, sizes={},
    )  # fmt: skip
    tree = Product(directory=rpms[1], key="k", inputs={}, facts={}, fresh=False)
    return Pressed(
        definition=definition, distribution=load_distribution(ws.project, "sandbox"), lock=lock,
        disk=disk, manifest=manifest, stages={"rootfs": tree}, controls=load_controls(definition),
    )  # fmt: skip


def verified(journey: Journey, image: Pressed) -> str:
    """Evidence of a local copy on which every expected control holds; its digest."""
    expected = build.promises(image)["expected"]

    def checks(level: str) -> tuple[Check, ...]:
        return tuple(
            dataclasses.replace(GOOD, control=control, test=f"t::{control}")
            for control in expected[level]
        )

    like = Evidence(
        subject=Subject(image_digest="", disk_sha256=""),
        distribution="sandbox",
        stand_in=True,
        machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
        suite_sha256="",
        input_digest="",
        not_exercised=build.promises(image)["not_exercised"],
        offline=checks("offline"),
        boots=(boot(1, *checks("booted")), boot(2, *checks("booted"))),
    )
    return local_evidence(journey.ws, image, like)


def test_one_image_follows_another_and_goes_back(
    journey: Journey,
    tmp_path: Path,
    installed: tuple[list[Path], Path],  # noqa: F811 - the fixture
) -> None:
    unset = journey.pointer()
    first = pressed(journey, "A", tmp_path, installed)
    before = journey.went_public(first, verified(journey, first))
    assert journey.pointer() == unset
    assert journey.promoted(first.digest).amis == {REGION: before.ami}
    assert journey.pointer() == journey.versioned(first.digest) == before.ami

    second = pressed(journey, "B", tmp_path, installed)
    after = journey.went_public(second, verified(journey, second))
    assert journey.pointer() == before.ami
    assert journey.promoted(second.digest).previous == first.digest
    assert journey.pointer() == journey.versioned(second.digest) == after.ami

    back = journey.promoted(first.digest)
    assert (back.previous, journey.pointer()) == (second.digest, before.ami)
    assert [row.digest for row in journey.history()] == [
        first.digest, second.digest, first.digest,
    ]  # fmt: skip
    for ami in (before, after):
        tracing.audit(journey.ws, ami.ami, endpoint=journey.endpoint).refuse_unproven()


def test_a_held_image_is_not_proposed_and_one_that_was_merged_is_not_promoted(
    journey: Journey,
    tmp_path: Path,
    installed: tuple[list[Path], Path],  # noqa: F811 - the fixture
) -> None:
    unset = journey.pointer()
    image = pressed(journey, "A", tmp_path, installed)
    journey.went_public(image, verified(journey, image))
    _, pull = journey.proposed(image.digest)
    journey.merged(pull)
    holds.hold_here(journey.ws, image.digest, "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .* held since .* it burns"):
        journey.promote()
    assert (journey.pointer(), journey.history()) == (unset, ())
    holds.release_here(journey.ws, image.digest, "it was put out")
    assert journey.promote().digest == image.digest
    other = pressed(journey, "B", tmp_path, installed)
    journey.went_public(other, verified(journey, other))
    holds.hold_here(journey.ws, other.digest, "it burns, too")
    assert journey.refused(other.digest).rule == "not-held"
