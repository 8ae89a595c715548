"""`publish`, `audit`, `verify` and `sweep` as a whole, in the embedded cloud without machines."""

from __future__ import annotations

import dataclasses
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulated import Emulator
from publications import (
    ACCOUNT,
    REGION,
    ami_evidence_of,
    block,
    evidence_of,
    keep,
    make_disk,
    manifest_of,
)
from rich.console import Console

from goldpress import publishing, sweeping
from goldpress.aws import ec2, instances
from goldpress.aws.client import Access
from goldpress.controls import load_controls
from goldpress.definition import load_definition
from goldpress.digest import digest_of
from goldpress.disk.image import DiskImage
from goldpress.distribution import load_distribution
from goldpress.errors import (
    CloudError,
    DocumentError,
    MissingError,
    PromotionError,
    TrustError,
    VerifyError,
)
from goldpress.holds import hold_here, release_here
from goldpress.lock import Lock
from goldpress.machine import ec2 as machines
from goldpress.press import Pressed
from goldpress.publish import outcome
from goldpress.publish.region import PREFIX, journal_key
from goldpress.publish.settings import load_settings, targets
from goldpress.statements.chain import Chain, chain
from goldpress.statements.signing import trust_here
from goldpress.store.journal import Journal, journals
from goldpress.trial import Trying, try_ami
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
OTHER_REGION = "eu-west-1"
SECRET = "wJalrXUtnFEMI-not-a-real-secret-7Q"  # noqa: S105 - what is looked for afterwards
TEXT = "regions:\n  us-east-1: {}\n  eu-west-1: {}\ntrial: {boot_seconds: 2}\n"


@pytest.fixture
def cloud(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setattr(ec2, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(instances, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(machines, "POLL_SECONDS", 0.05)
    values = {"driver": "virtual", "pending_seconds": 0.1, "shutting_down_seconds": 0.1}
    emulator.ask("settings", {**values, "complete_seconds": 0.1})
    return emulator


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """A project with the web image, whose settings name two regions."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "images/web", project / "images/web", symlinks=True)
    shutil.copytree(PROJECT / "verify", project / "verify")
    (project / "images/web/publish.yaml").write_text(TEXT)
    (project / "trust.yaml").write_text("keys: {}\n")
    return Workspace(project=project, build=tmp_path / "build")


@pytest.fixture
def pressed(ws: Workspace, tmp_path: Path) -> Pressed:
    raw = make_disk(tmp_path / "raw", {i: block(f"{tmp_path} {i}") for i in range(6)}, count=16)
    manifest = manifest_of(raw, name="web")
    ws.store.put_document("manifest", manifest.to_document())
    lock = Lock(
        distribution="sandbox", stand_in=True, arch="x86_64", platform="el9", snapshots={},
        request={}, resolver="none", source_date_epoch=1, modules={}, packages=(),
    )  # fmt: skip
    disk = DiskImage(
        raw=raw, kernel=raw, initrd=raw, command_line="ro", root_hash=manifest.root_hash,
        sha256=manifest.disk_sha256, block_root=manifest.block_root, sizes={},
    )  # fmt: skip
    definition = load_definition(ws.project / "images/web")
    found = Pressed(
        definition=definition, distribution=load_distribution(PROJECT, "sandbox"), lock=lock,
        disk=disk, manifest=manifest, stages={}, controls=load_controls(definition),
    )  # fmt: skip
    keep(ws.store, evidence_of(ws, found), "web")
    return found


def test_every_region_gets_an_upload_of_its_own(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    rows = publishing.publish(ws, pressed, endpoint=cloud.url, launch=False)
    assert outcome.failure(rows) is None
    documents = [row.document() for row in rows]
    assert [row["region"] for row in documents] == [REGION, OTHER_REGION]
    assert [row["sent_blocks"] for row in documents] == [6, 6]
    assert len({row["ebs_snapshot"] for row in documents}) == 2
    assert "ec2:CopyImage" not in cloud.ask("calls")
    for row in documents:
        audited = publishing.audit(ws, row["ami"], endpoint=cloud.url)
        assert (audited["blocks"], audited["region"]) == (6, row["region"])


def test_a_region_that_fails_leaves_the_others_be(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    cloud.fail({"service": "ebs", "action": "StartSnapshot", "status": 400, "times": 1,
                "code": "ConcurrentLimitExceededException"})  # fmt: skip
    rows = publishing.publish(ws, pressed, endpoint=cloud.url, launch=False)
    assert [row.document()["state"] for row in rows] == ["FAILED", "available"]
    error = outcome.failure(rows)
    assert error is not None
    assert error.message.startswith(f"1 of 2 regions failed:\n  {REGION}: an EBS snapshot in")


def test_an_instance_that_does_not_answer_is_ended_and_told(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    """A virtual instance runs, and prints nothing on its console."""
    text = TEXT.replace("boot_seconds: 2", "boot_seconds: 1")
    (ws.project / "images/web/publish.yaml").write_text(text)
    rows = publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    made = rows[0].published
    assert made is not None
    with pytest.raises(Exception, match=f"of {made.ami.ami} in {REGION} ") as caught:
        publishing.verify_ami(ws, made.ami.ami, endpoint=cloud.url)
    assert "the whole console: " in str(caught.value)
    live = [
        row["State"]["Name"]
        for r in Access(endpoint=cloud.url)
        .client("ec2", REGION)
        .describe_instances()["Reservations"]
        for row in r["Instances"]
        if row["ImageId"] == made.ami.ami
    ]
    assert live == ["terminated"]
    assert sweeping.sweep(ws, endpoint=cloud.url, every=True) == []


def test_one_that_is_kept_is_ended_by_a_sweep(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    (row,) = publishing.publish(
        ws, pressed, regions=(REGION,), endpoint=cloud.url, keep_on_failure=True
    )
    assert row.error is not None
    assert row.published is not None
    assert sweeping.sweep(ws, endpoint=cloud.url) == []
    (swept,) = sweeping.sweep(ws, endpoint=cloud.url, every=True)
    assert swept["removed"][0].startswith("i-")
    assert sweeping.sweep(ws, endpoint=cloud.url, every=True) == []


def test_an_upload_that_nobody_goes_on_with_is_swept(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    fault = {"service": "ebs", "action": "CompleteSnapshot", "status": 403}
    cloud.fail({**fault, "code": "ExpiredTokenException", "times": 0})
    publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    cloud.fail()
    (journal,) = journals(ws.store.objects, PREFIX)
    snapshot = journal.values["snapshot"]
    assert sweeping.sweep(ws, endpoint=cloud.url) == []
    (swept,) = sweeping.sweep(ws, endpoint=cloud.url, every=True)
    assert swept == {"region": REGION, "removed": [snapshot]}
    rows = publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    assert outcome.failure(rows) is None


def test_a_sweep_that_is_denied_says_what_is_left(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    expired = {"service": "ebs", "action": "CompleteSnapshot", "status": 403, "times": 0}
    cloud.fail({**expired, "code": "ExpiredTokenException"})
    publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    denied = {"service": "ec2", "action": "DeleteSnapshot", "status": 403, "times": 0}
    cloud.fail({**denied, "code": "UnauthorizedOperation"})
    with pytest.raises(CloudError, match="AWS denies ec2:DeleteSnapshot"):
        sweeping.sweep(ws, endpoint=cloud.url, every=True)


def test_an_ami_is_looked_for_in_the_cloud_where_it_is(
    cloud: Emulator,
    ws: Workspace,
    pressed: Pressed,
    anew: Callable[..., None],
) -> None:
    rows = publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    made = rows[0].published
    assert made is not None
    anew(AWS_ENDPOINT_URL=None)
    with pytest.raises(CloudError, match=f"{made.ami.ami} is in the embedded cloud") as caught:
        publishing.audit(ws, made.ami.ami)
    assert caught.value.hint == "add --sandbox"
    anew(AWS_ENDPOINT_URL=cloud.url, AWS_ACCESS_KEY_ID="AKIA0000111122223333")
    with pytest.raises(CloudError, match=f"account {ACCOUNT}, but the credentials are of 1111"):
        publishing.audit(ws, made.ami.ami)


def test_what_was_never_published_is_told(ws: Workspace) -> None:
    with pytest.raises(MissingError, match="ami-0123456789abcdef0: the store has no record of it"):
        publishing.audit(ws, "ami-0123456789abcdef0")
    with pytest.raises(DocumentError, match="'web' is not the id of an AMI"):
        publishing.audit(ws, "web")


def test_a_stand_in_is_never_published_to_aws(
    ws: Workspace,
    pressed: Pressed,
    cloud: Emulator,
    anew: Callable[..., None],
) -> None:
    cloud.ask("calls", {})
    anew(AWS_ENDPOINT_URL=None)
    with pytest.raises(TrustError, match="it is never published to AWS"):
        publishing.publish(ws, pressed)
    assert cloud.ask("calls") == {}


def test_a_disk_that_was_changed_is_not_published(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    manifest = dataclasses.replace(pressed.manifest, block_root="0" * 64)
    other = dataclasses.replace(pressed, manifest=manifest)
    keep(ws.store, evidence_of(ws, other), "web")
    with pytest.raises(TrustError, match="but its manifest says 0000"):
        publishing.publish(ws, other, endpoint=cloud.url, launch=False)


def test_only_a_verified_image_is_published(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    """And nothing is asked of the cloud but who calls."""
    cloud.ask("calls", {})
    manifest = dataclasses.replace(pressed.manifest, command_line="another")
    with pytest.raises(VerifyError, match=r"was never verified .* it is not published") as caught:
        publishing.publish(ws, dataclasses.replace(pressed, manifest=manifest), endpoint=cloud.url)
    assert caught.value.hint.startswith("run `./inv build-image --sandbox`: it boots")
    keep(ws.store, evidence_of(ws, pressed, offline=()), "web")
    with pytest.raises(VerifyError, match=r"failed its last verification.*\n  evidence: .*\.json"):
        publishing.publish(ws, pressed, endpoint=cloud.url)
    (ws.project / "verify/booted/test_new.py").touch()
    with pytest.raises(VerifyError, match="was verified by another suite, or for other controls"):
        publishing.publish(ws, pressed, endpoint=cloud.url)
    assert set(cloud.ask("calls")) == {"sts:GetCallerIdentity"}


def test_an_audit_comes_before_the_launch(cloud: Emulator, ws: Workspace, pressed: Pressed) -> None:
    places: dict[str, Any] = {"regions": (REGION,), "endpoint": cloud.url}
    (row,) = publishing.publish(ws, pressed, **places, audited=True, launch=False)
    assert (row.document()["audited_blocks"], row.state) == (6, "available")
    assert row.published is not None
    cloud.ask("corrupt", {"snapshot": row.published.ami.snapshot, "index": 3})
    cloud.ask("calls", {})
    (row,) = publishing.publish(ws, pressed, **places, audited=True)
    assert "1 blocks differ\n    block 3: expected " in row.document()["error"]
    assert row.state == "FAILED"
    assert not {"ec2:RunInstances", "ebs:PutSnapshotBlock"} & set(cloud.ask("calls"))


def believed(ws: Workspace, pressed: Pressed) -> Chain:
    return chain(ws.store, pressed.digest, trust_here(ws))


def test_what_is_new_is_read_back_and_stated_once(
    cloud: Emulator, ws: Workspace, pressed: Pressed, capfd: pytest.CaptureFixture[str]
) -> None:
    places: dict[str, Any] = {"regions": (REGION,), "endpoint": cloud.url, "launch": False}
    (row,) = publishing.publish(ws, pressed, **places)
    assert row.published is not None
    assert row.audited == 6
    assert f"{row.published.ami.ami} is new here: what is signed is" in capfd.readouterr().err
    (stated,) = believed(ws, pressed).publications
    assert (stated.ami, stated.block_root) == (row.published.ami, pressed.manifest.block_root)
    cloud.ask("calls", {})
    (again,) = publishing.publish(ws, pressed, **places)
    assert (again.error, again.audited) == (None, None)
    assert "ebs:GetSnapshotBlock" not in cloud.ask("calls")
    assert len(believed(ws, pressed).rows) == 1
    # An audit that was asked for is not another statement, either.
    publishing.publish(ws, pressed, **places, audited=True)
    assert cloud.ask("calls")["ebs:GetSnapshotBlock"] == 6
    assert len(believed(ws, pressed).rows) == 1
    # What was killed before it was said is said by the next run.
    ws.store.forget("statement", pressed.digest, believed(ws, pressed).rows[0].document)
    publishing.publish(ws, pressed, **places)
    assert believed(ws, pressed).publications == (stated,)


def test_what_is_read_back_and_differs_is_not_stated(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    places: dict[str, Any] = {"regions": (REGION,), "endpoint": cloud.url}
    (row,) = publishing.publish(ws, pressed, **places, launch=False)
    assert row.published is not None
    ws.store.forget("statement", pressed.digest, believed(ws, pressed).rows[0].document)
    cloud.ask("corrupt", {"snapshot": row.published.ami.snapshot, "index": 3})
    cloud.ask("calls", {})
    (row,) = publishing.publish(ws, pressed, **places)
    assert "1 blocks differ\n    block 3: expected " in str(row.error)
    assert believed(ws, pressed).rows == ()
    assert "ec2:RunInstances" not in cloud.ask("calls")


def test_a_trust_file_that_is_spoiled_is_told_before_anything_is_sent(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    (ws.project / "trust.yaml").write_text("keys: {x: {}}\n")
    cloud.ask("calls", {})
    with pytest.raises(DocumentError, match=r"trust\.yaml: keys\.x\.keyid: this key is required"):
        publishing.publish(ws, pressed, endpoint=cloud.url)
    assert set(cloud.ask("calls")) == {"sts:GetCallerIdentity"}


def test_a_held_image_is_neither_published_nor_verified(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    places: dict[str, Any] = {"regions": (REGION,), "endpoint": cloud.url}
    (row,) = publishing.publish(ws, pressed, **places, launch=False)
    assert row.published is not None
    ami = row.published.ami
    hold_here(ws, pressed.digest, "it burns")
    cloud.ask("calls", {})
    told = rf"not-held: {pressed.digest} is held since .* by \(this machine\): it burns"
    with pytest.raises(PromotionError, match=told):
        publishing.publish(ws, pressed, **places)
    with pytest.raises(PromotionError, match=told):
        publishing.verify_ami(ws, ami.ami, endpoint=cloud.url)
    assert cloud.ask("calls") == {}
    release_here(ws, pressed.digest, "it was put out")
    (row,) = publishing.publish(ws, pressed, **places, launch=False)
    assert row.error is None


def test_an_image_that_is_held_meanwhile_is_not_launched(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    (row,) = publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    assert row.published is not None
    access = Access(endpoint=cloud.url)
    settings = load_settings(ws.project / "images/web")
    (target,) = targets(settings, (REGION,), emulated=True)
    trying = Trying(access=access, settings=settings, target=target, keep=False)
    hold_here(ws, pressed.digest, "it burns")
    cloud.ask("calls", {})
    with pytest.raises(PromotionError, match=r"not-held: .*: it burns"):
        try_ami(ws, row.published.ami, trying, rests_on=f"sha256:{'1' * 64}")
    assert cloud.ask("calls") == {}


def test_an_ami_that_passed_is_not_launched_again(
    cloud: Emulator, ws: Workspace, pressed: Pressed, capfd: pytest.CaptureFixture[str]
) -> None:
    places: dict[str, Any] = {"regions": (REGION,), "endpoint": cloud.url}
    (row,) = publishing.publish(ws, pressed, **places, launch=False)
    assert row.published is not None
    ami = row.published.ami.ami
    rests_on = digest_of(evidence_of(ws, pressed).to_document())
    there = keep(ws.store, ami_evidence_of(ws, pressed, ami, rests_on), "web")
    cloud.ask("calls", {})
    (row,) = publishing.publish(ws, pressed, **places)
    assert row.document()["evidence"] == there
    assert "ec2:RunInstances" not in cloud.ask("calls")
    assert f"{ami} passed this suite before: evidence {there[7:19]}" in capfd.readouterr().err
    trials = [row for row in believed(ws, pressed).rows if row.link == "trial"]
    assert [row.by for row in trials] == ["(this machine)"]
    # A suite that has changed since is run.
    (ws.project / "verify/booted/test_new.py").touch()
    keep(ws.store, evidence_of(ws, pressed), "web")
    (row,) = publishing.publish(ws, pressed, **places)
    assert row.error is not None
    assert cloud.ask("calls")["ec2:RunInstances"] == 1


def test_what_an_ended_cloud_had_is_made_anew(
    cloud: Emulator, ws: Workspace, pressed: Pressed
) -> None:
    """Its journals name what is in no cloud any more, and may be seconds old."""
    journal = Journal(objects=ws.store.objects, key=journal_key(ACCOUNT, REGION, pressed.digest))
    journal.write(
        endpoint="http://127.0.0.1:1", emulated=True, generation=3, sealed=True,
        snapshot="snap-0123456789abcdef0", begun=int(time.time()),
    )  # fmt: skip
    (row,) = publishing.publish(ws, pressed, regions=(REGION,), endpoint=cloud.url, launch=False)
    assert row.error is None
    assert row.document()["sent_blocks"] == 6
    journal.look()
    assert journal.values["endpoint"] == cloud.url


def test_the_rows_for_people() -> None:
    error = CloudError("it is full")
    rows = [outcome.Row(region=REGION, error=error)]
    shown = io.StringIO()
    Console(file=shown, width=120).print(outcome.table(rows))
    assert "us-east-1 │     │              │ FAILED" in shown.getvalue()
    assert rows[0].document() == {"region": REGION, "state": "FAILED", "error": "it is full"}


def test_no_secret_is_written_anywhere(
    cloud: Emulator,
    ws: Workspace,
    pressed: Pressed,
    capfd: pytest.CaptureFixture[str],
    anew: Callable[..., None],
) -> None:
    """By the standard chain: the environment's credentials, and the endpoint's."""
    anew(AWS_SECRET_ACCESS_KEY=SECRET)
    rows: list[Any] = publishing.publish(ws, pressed, regions=(REGION,), keep_on_failure=True)
    cloud.fail({"service": "ec2", "status": 403, "code": "UnauthorizedOperation", "times": 0})
    rows += publishing.publish(ws, pressed, regions=(REGION,))
    cloud.fail()
    printed = "".join(capfd.readouterr()) + repr(rows) + str(outcome.failure(rows))
    assert "AWS denies ec2:" in printed
    assert SECRET not in printed
    keys = [path for path in ws.build.rglob("login_key")]  # noqa: C416 - as a list
    private = [path.read_text().splitlines()[2] for path in keys]
    assert private
    for path in ws.build.rglob("*"):
        if path.is_file() and path not in keys:
            text = path.read_bytes().decode(errors="replace")
            assert SECRET not in text, path
            assert not any(line in text for line in private), path
    sweeping.sweep(ws, every=True)
