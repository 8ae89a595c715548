"""Attesting: what each stage signs, what it refuses to sign, and when it signs nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attested import AMI_ID, GOOD, INDEX, boot
from gits import Checkout, make_checkout
from rpms import make_rpms
from signed import manifest

from goldpress.ami import Ami
from goldpress.ami import keep as keep_ami
from goldpress.attesting import (
    attest_build,
    attest_publication,
    attest_trial,
    builder_versions,
)
from goldpress.controls import load_controls
from goldpress.definition import load_definition
from goldpress.digest import digest_of, sha256_file
from goldpress.disk.image import DiskImage
from goldpress.distribution import load_distribution
from goldpress.errors import MissingError, TrustError, VerifyError
from goldpress.host.run import run
from goldpress.lock import Lock, LockedPackage
from goldpress.press import Pressed, packages_digest
from goldpress.publish.blocks import BlockIndex, keep_index
from goldpress.rootfs.install import RPM_DATABASE
from goldpress.stage import Product
from goldpress.statements.chain import Chain, chain
from goldpress.statements.signing import VARIABLE, entry, make_key, trust_here
from goldpress.verify.evidence import Check, Evidence, Subject, VerifiedMachine
from goldpress.verify.promises import promises
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """A pressed image of a project in git, and its workspace."""

    ws: Workspace
    pressed: Pressed
    checkout: Checkout

    @property
    def facts(self) -> dict[str, Any]:
        found = promises(self.pressed.definition, self.pressed.lock, self.pressed.controls)
        return {**found, "root_hash": self.pressed.disk.root_hash}

    def evidence(self, **changes: Any) -> str:
        """The digest of evidence that is in the store, of a machine that all controls hold on."""
        value = self.facts["expected"]

        def checks(level: str) -> tuple[Check, ...]:
            return tuple(replace(GOOD, control=c, test=f"t::{c}") for c in value[level])

        distribution = self.pressed.lock.distribution
        made = Evidence(
            subject=Subject(
                image_digest=self.pressed.digest, disk_sha256=self.pressed.manifest.disk_sha256
            ),
            distribution=distribution,
            stand_in=self.pressed.lock.stand_in,
            machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
            suite_sha256="3" * 64,
            input_digest=digest_of(self.facts),
            not_exercised=self.facts["not_exercised"],
            offline=checks("offline"),
            boots=(boot(1, *checks("booted")), boot(2, *checks("booted"))),
        )
        found = replace(made, **changes)
        return self.ws.store.put_document("evidence", found.to_document())

    def launched(self, kind: str) -> str:
        """The digest of evidence of an instance, which rests on that of the local machine."""
        found = self.pressed.manifest
        local = self.ws.store.get_document("evidence", self.evidence())
        booted = local["boots"][0]["checks"]
        return self.evidence(
            subject=Subject(image_digest=found.digest, disk_sha256=found.disk_sha256, ami=AMI_ID),
            machine=VerifiedMachine(kind=kind, firmware="uefi", accelerator="", uuid="i-1"),
            offline=(),
            boots=(boot(1, *(Check(**row) for row in booted)),),
            rests_on=digest_of(local),
        )

    def ami(self, **changes: Any) -> Ami:
        found = self.pressed.manifest
        made = Ami(
            image=found.digest, name="web", distribution=found.distribution,
            stand_in=found.stand_in, arch="x86_64", account="123456789012", region="us-east-1",
            emulated=found.stand_in, ami=AMI_ID, ami_name="web/x", snapshot="snap-1", kms_key="",
            volume_gib=1, root_device="/dev/xvda", block_root=INDEX.root,
            blocks=keep_index(self.ws.store, INDEX), promises=digest_of(self.facts),
        )  # fmt: skip
        keep_ami(self.ws.store, replace(made, **changes))
        return replace(made, **changes)

    def chain(self) -> Chain:
        return chain(self.ws.store, self.pressed.digest, trust_here(self.ws))


def lock_of(rpms: list[Path], distribution: str) -> Lock:
    packages = tuple(
        LockedPackage(
            name=path.name.split("-")[0], epoch=3, version="1.0", release="1.el9", arch="noarch",
            sha256=sha256_file(path), size=path.stat().st_size, repository="baseos",
            source_rpm="one-1.0-1.el9.src.rpm", signer="A" * 40, why=("asked for",),
        )
        for path in rpms
    )  # fmt: skip
    return Lock(
        distribution=distribution, stand_in=distribution == "sandbox", arch="x86_64",
        platform="el9", snapshots={distribution: f"sha256:{'d' * 64}"}, request={},
        resolver="libsolv 1", source_date_epoch=1700000000, modules={}, packages=packages,
    )  # fmt: skip


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Two RPMs, and a tree whose package database has them."""
    directory = tmp_path_factory.mktemp("installed")
    rpms = make_rpms(directory / "rpms", {"one": {"Vendor": "CentOS"}, "two": {}}, epoch=3)
    database = directory / "stage/tree" / RPM_DATABASE.lstrip("/")
    database.mkdir(parents=True)
    run(("rpm", "--dbpath", database, "-i", "--justdb", "--nodeps", *rpms), timeout=60)
    return rpms, directory / "stage"


def make(tmp_path: Path, installed: tuple[list[Path], Path], distribution: str) -> Made:
    rpms, stage = installed
    checkout = make_checkout(tmp_path / "project")
    checkout.root.joinpath("trust.yaml").write_text("keys: {}\n")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "trust")
    ws = Workspace(project=checkout.root, build=tmp_path / "build")
    definition = load_definition(PROJECT / "images/web")
    lock = lock_of(rpms, distribution)
    found = manifest(
        distribution=distribution,
        stand_in=lock.stand_in,
        packages=packages_digest(lock),
        block_root=INDEX.root,
    )
    ws.store.put_document("manifest", found.to_document())
    raw = tmp_path / "raw"
    disk = DiskImage(
        raw=raw, kernel=raw, initrd=raw, command_line="ro", root_hash=found.root_hash,
        sha256=found.disk_sha256, block_root=found.block_root, sizes={},
    )  # fmt: skip
    product = Product(directory=stage, key="k", inputs={}, facts={}, fresh=False)
    pressed = Pressed(
        definition=definition, distribution=load_distribution(PROJECT, distribution), lock=lock,
        disk=disk, manifest=found, stages={"rootfs": product}, controls=load_controls(definition),
    )  # fmt: skip
    return Made(ws=ws, pressed=pressed, checkout=checkout)


@pytest.fixture
def stand_in(tmp_path: Path, installed: tuple[list[Path], Path]) -> Made:
    return make(tmp_path, installed, "sandbox")


@pytest.fixture
def real(
    tmp_path: Path, installed: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> Made:
    """An image of CentOS, and a key that may sign for it."""
    made = make(tmp_path, installed, "centos-stream-9")
    path = tmp_path / "release.pem"
    public = make_key(path)
    text = f"keys:\n{entry('release', public, ('build', 'verify', 'publish'))}"
    made.ws.project.joinpath("trust.yaml").write_text(text)
    made.checkout.git("commit", "-q", "-a", "-m", "a key")
    monkeypatch.setenv(VARIABLE, f"file:{path}")
    return made


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def missing(made: Made) -> Mapping[str, str]:
    return {link.name: link.why for link in made.chain().missing()}


@pytest.mark.parametrize("kind", ["stand_in", "real"])
def test_a_whole_chain(kind: str, request: pytest.FixtureRequest) -> None:
    made: Made = request.getfixturevalue(kind)
    assert len(attest_build(made.ws, made.pressed, made.evidence())) == 3
    assert set(missing(made)) == {"publication", "trial"}
    ami = made.ami()
    assert len(attest_publication(made.ws, ami, INDEX)) == 1
    assert set(missing(made)) == {"trial"}
    machine = "ec2-emulated" if kind == "stand_in" else "ec2"
    launched = made.launched(machine)
    assert len(attest_trial(made.ws, ami, launched)) == 1
    assert not missing(made)
    found = made.chain()
    assert {row.by for row in found.rows} == {"release" if kind == "real" else "(this machine)"}
    assert found.provenances[0].source.commit == made.checkout.git("rev-parse", "HEAD")
    assert found.provenances[0].source.clean
    assert found.bill is not None
    assert [row.vendor for row in found.bill.components] == ["CentOS", "CentOS"]


def test_the_same_again_says_nothing_new(real: Made) -> None:
    evidence = real.evidence()
    first = attest_build(real.ws, real.pressed, evidence)
    assert attest_build(real.ws, real.pressed, evidence) == first
    assert len(real.chain().rows) == 3


def test_without_a_signer_a_real_image_is_not_signed_and_that_is_said(
    real: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE)
    ami = real.ami()
    assert attest_build(real.ws, real.pressed, real.evidence()) == ()
    assert attest_publication(real.ws, ami, INDEX) == ()
    assert attest_trial(real.ws, ami, real.evidence()) == ()
    assert real.chain().rows == ()
    said = capsys.readouterr().err
    assert said.count("not signed: GOLDPRESS_SIGNER is not set; ") == 3
    assert not real.ws.keys.exists()


def test_a_real_image_from_changed_files_is_not_signed(real: Made) -> None:
    (real.ws.project / "new").write_text("x")
    with pytest.raises(TrustError) as caught:
        attest_build(real.ws, real.pressed, real.evidence())
    assert "is not signed: files were changed since its commit" in caught.value.message
    assert caught.value.hint.startswith("commit what was changed, then run the command again")
    assert real.chain().rows == ()


def test_a_real_image_without_git_is_not_signed(real: Made, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.joinpath("trust.yaml").write_bytes((real.ws.project / "trust.yaml").read_bytes())
    with pytest.raises(TrustError, match="it names no commit: it was not built in a git checkout"):
        attest_build(replace(real.ws, project=elsewhere), real.pressed, real.evidence())


def test_a_stand_in_may_come_from_anything(stand_in: Made) -> None:
    (stand_in.ws.project / "new").write_text("x")
    attest_build(stand_in.ws, stand_in.pressed, stand_in.evidence())
    assert not stand_in.chain().provenances[0].source.clean
    assert set(missing(stand_in)) == {"publication", "trial"}


def test_evidence_that_did_not_pass_is_not_signed(real: Made) -> None:
    failed = real.evidence(boots=(boot(1),))
    told = "did not pass: 0 checks failed, in 1 of 2 boots"
    with pytest.raises(VerifyError, match=told):
        attest_build(real.ws, real.pressed, failed)
    with pytest.raises(VerifyError, match=told):
        attest_trial(real.ws, real.ami(), failed)
    assert real.chain().rows == ()


def test_evidence_of_another_image_is_not_signed(real: Made) -> None:
    other = real.evidence(subject=Subject(image_digest=f"sha256:{'9' * 64}", disk_sha256=""))
    with pytest.raises(VerifyError, match="is of 999999999999, not of"):
        attest_build(real.ws, real.pressed, other)


def test_evidence_of_other_promises_is_not_signed(real: Made) -> None:
    other = real.evidence(input_digest=f"sha256:{'9' * 64}")
    with pytest.raises(VerifyError, match=r"compared [0-9a-f]{12} with something else"):
        attest_build(real.ws, real.pressed, other)


def test_evidence_that_is_not_there_is_told(real: Made) -> None:
    with pytest.raises(MissingError, match="the store has no evidence"):
        attest_build(real.ws, real.pressed, f"sha256:{'9' * 64}")


def test_an_ami_with_other_content_is_not_signed(real: Made) -> None:
    other = BlockIndex(blocks={0: b"x" * 32})
    with pytest.raises(TrustError) as caught:
        attest_publication(real.ws, real.ami(), other)
    assert caught.value.message == (
        f"{AMI_ID} in us-east-1 does not hold {real.pressed.digest[7:19]}: the block root is "
        f"{other.root[:12]} as read back, {INDEX.root[:12]} in its document, {INDEX.root[:12]} "
        "in the manifest"
    )
    wrong = real.ami(block_root="8" * 64)
    with pytest.raises(TrustError, match="888888888888 in its document"):
        attest_publication(real.ws, wrong, INDEX)
    assert real.chain().rows == ()


def test_a_key_that_may_not_publish_does_not(real: Made) -> None:
    text = (real.ws.project / "trust.yaml").read_text()
    (real.ws.project / "trust.yaml").write_text(text.replace(", publish]", "]"))
    with pytest.raises(
        TrustError, match="release may not sign publish statements, only build, ver"
    ):
        attest_publication(real.ws, real.ami(), INDEX)


def test_the_tools_of_the_build_are_named() -> None:
    found = builder_versions()
    assert {"rpm", "dnf", "e2fsprogs", "goldpress", "python"} <= set(found)
    assert found["goldpress"].startswith("sha256:")
    assert found == builder_versions()
