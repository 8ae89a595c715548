"""An image in force, pressed once more: which it is, from what, and whether the bytes are the same.

What presses is a double here: `test_real_build.py` presses.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from attested import AMI_ID, REGION, World, world
from emulated import Emulator
from gits import Checkout, make_checkout
from invoke.context import Context
from policies import IAM, actions
from pressing import PROJECT
from publications import block, make_disk

from goldpress import reproducing
from goldpress.attesting import builder_versions
from goldpress.channel import edited, load_channel
from goldpress.commands import building
from goldpress.controls import load_controls
from goldpress.digest import short
from goldpress.disk.image import DiskImage, measure
from goldpress.distribution import Signers
from goldpress.errors import BuildError, DocumentError, GoldpressError, MissingError, TrustError
from goldpress.host import checkout
from goldpress.lock import KIND as LOCK
from goldpress.lock import parse_lock
from goldpress.locking.places import Supply
from goldpress.press import Press, Pressed, definition_digest
from goldpress.promotion import record
from goldpress.promotion.record import Approval, Promotion
from goldpress.statements.provenance import Source
from goldpress.statements.signing import local_signer, trust_here
from goldpress.statements.statement import PROVENANCE, PUBLICATION
from goldpress.store import Store
from goldpress.workspace import Workspace

CHANNEL = "staging"
MIB = 1 << 20
SIZES = {"esp": MIB, "root": 4 * MIB, "root-verity": MIB, "var": MIB, "disk": 9 * MIB, "written": 1}
APPROVAL = Approval(
    repository="example/images", pull=12, head="a" * 40, merge="b" * 40, tree="c" * 40,
    approvers=("ann",), merged_by="ben", expedited="",
)  # fmt: skip


@dataclass(kw_only=True)
class Place:
    """A project with an image about which everything was said, and what its presses come to."""

    ws: Workspace
    checkout: Checkout
    image: World
    source: Source
    #: what the next press makes otherwise
    otherwise: dict[str, Any] = field(default_factory=dict)
    presses: list[Press] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return self.image.image

    def said(self, **changes: Any) -> None:
        """Its provenance, by this checkout and machine but for these, and its publication."""
        given = {"source": self.source, "tools": builder_versions(), **changes}
        self.image.say(PROVENANCE, self.image.provenance(**given).predicate())
        self.image.say(PUBLICATION, self.image.publication().predicate())

    def promoted(self) -> Promotion:
        wanted = Promotion(
            image="web", channel=CHANNEL, digest=self.digest, previous="", approval=APPROVAL,
            account="123456789012", emulated=True, amis={REGION: AMI_ID}, evidence=(), at="",
            after="",
        )  # fmt: skip
        return record.keep(self.ws.store, trust_here(self.ws), wanted, local_signer(self.ws))

    def merged(self) -> None:
        """The channel's file names it."""
        path = self.ws.project / f"images/web/channels/{CHANNEL}.yaml"
        path.write_bytes(edited(load_channel(self.ws.project, "web", CHANNEL), self.digest))

    def ready(self) -> None:
        self.said()
        self.promoted()

    def reproduce(self) -> dict[str, Any]:
        return reproducing.reproduce_channel(self.ws, "web", CHANNEL, sandbox=True)

    def make(self, press: Press) -> Pressed:
        """What stands for a press: the image's bytes, but for what is `otherwise`."""
        self.presses.append(press)
        manifest = dataclasses.replace(self.image.manifest, **self.otherwise)
        assert press.workspace.apart is not None
        raw = press.workspace.apart / "disk.raw"
        raw.parent.mkdir(parents=True)
        make_disk(raw, {0: block("0"), 6: block("x")}, count=18)
        if "block_root" in self.otherwise:
            manifest = dataclasses.replace(manifest, block_root=measure(raw)[1])
        disk = DiskImage(
            raw=raw, kernel=raw, initrd=raw, command_line="ro", root_hash=manifest.root_hash,
            sha256=manifest.disk_sha256, block_root=manifest.block_root, sizes=SIZES,
        )  # fmt: skip
        return Pressed(
            definition=press.definition, distribution=press.distribution, lock=press.lock,
            disk=disk, manifest=manifest, stages={}, controls=load_controls(press.definition),
        )  # fmt: skip


def make_place(directory: Path, **settings: Any) -> Place:
    made = make_checkout(directory / "project")
    for name in ("images/web", "rpm-mirror"):
        shutil.copytree(PROJECT / name, made.root / name, symlinks=True)
    (made.root / "trust.yaml").write_text("keys: {}\n")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "images")
    ws = Workspace(project=made.root, build=directory / "build", **settings)
    plain = world(ws.store)
    definition = definition_digest(ws.definition("web"))
    manifest = dataclasses.replace(plain.manifest, definition=definition)
    ws.store.put_document("manifest", manifest.to_document())
    signer = local_signer(ws)
    image = dataclasses.replace(plain, manifest=manifest, signer=signer, trust=trust_here(ws))
    commit, clean = checkout.state(ws.project)
    return Place(ws=ws, checkout=made, image=image, source=Source(commit=commit, clean=clean))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    made = make_place(tmp_path)
    doubled(made, monkeypatch)
    return made


def doubled(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses and the keys of the sandbox are doubles."""
    nobody = Supply(sources={}, signers=Signers(fingerprints=(), key_files=(), repositories={}))
    monkeypatch.setattr(reproducing, "supply", lambda *_: nobody)

    def make(press: Press) -> Pressed:
        return place.make(press)

    monkeypatch.setattr(Press, "make", make)


def refused(kind: type[GoldpressError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# ---- the image in force, pressed once more ----


def test_the_image_in_force_is_pressed_from_its_own_lock_and_is_the_same(place: Place) -> None:
    place.said()
    promotion = place.promoted()
    found = place.reproduce()
    assert found == {
        "image": "web",
        "channel": CHANNEL,
        "since": promotion.since,
        "image_digest": place.digest,
        "distribution": "sandbox",
        "stand_in": True,
        "commit": place.source.commit,
        "lock": place.image.lock.digest,
        "disk_sha256": place.image.manifest.disk_sha256,
        "root_hash": place.image.manifest.root_hash,
        "identical": True,
    }
    (press,) = place.presses
    lock = parse_lock(place.ws.store.get_document(LOCK, place.image.lock.digest))
    assert (press.lock, press.judged, press.definition.name) == (lock, False, "web")
    assert not (place.ws.build / "reproduce").exists()


def test_nothing_of_it_is_written_to_the_store(place: Place) -> None:
    place.ready()
    place.otherwise = {"block_root": ""}
    root = place.ws.store.root
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    refused(BuildError, place.reproduce)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_other_bytes_are_told_by_the_first_block_and_its_partition(place: Place) -> None:
    place.ready()
    place.otherwise = {"disk_sha256": "0" * 64, "block_root": ""}
    said = refused(BuildError, place.reproduce)
    assert said.startswith(f"{short(place.digest)} was not reproduced, its inputs made ")
    assert "disk_sha256, block_root differ; the first difference is in the partition table" in said
    assert "at byte 0 of the disk: block 0: expected " in said
    assert not (place.ws.build / "reproduce").exists()


def test_without_a_publication_the_manifests_tell_the_part(place: Place) -> None:
    given = {"source": place.source, "tools": builder_versions()}
    place.image.say(PROVENANCE, place.image.provenance(**given).predicate())
    place.promoted()
    place.otherwise = {"root_hash": "0" * 64}
    said = refused(BuildError, place.reproduce)
    assert "the first difference is in the root file system: its root hash is another" in said


def test_inputs_that_are_not_the_images_are_named_and_nothing_is_pressed(place: Place) -> None:
    place.ready()
    place.checkout.commit("{}")
    said = refused(BuildError, place.reproduce)
    here = place.checkout.git("rev-parse", "HEAD")
    assert f"the commit here is {here[:12]}, the image's was {place.source.commit[:12]}" in said
    assert f"git checkout {place.source.commit}" in said
    assert place.presses == []


def test_a_tool_of_another_version_is_named(place: Place) -> None:
    place.said(tools={**builder_versions(), "e2fsprogs": "1.0"})
    place.promoted()
    said = refused(BuildError, place.reproduce)
    assert "e2fsprogs here is " in said
    assert "the image's was 1.0" in said
    assert place.presses == []


def test_of_several_proven_provenances_the_one_that_fits_counts(place: Place) -> None:
    place.said()
    place.said(tools={**builder_versions(), "e2fsprogs": "1.0"})
    place.promoted()
    assert place.reproduce()["identical"] is True


def test_a_channel_without_an_image_is_told(place: Place) -> None:
    said = refused(MissingError, place.reproduce)
    assert "web/staging has no image in force: the store " in said
    assert "presses what is here twice" in said


def test_a_store_that_lacks_what_git_names_is_not_taken_for_an_empty_channel(place: Place) -> None:
    place.merged()
    for call in (place.reproduce, lambda: reproducing.find(place.ws, "web", CHANNEL)):
        said = refused(MissingError, call)
        assert (
            f"images/web/channels/staging.yaml names {short(place.digest)}, but the store" in said
        )
        assert "name the right store in GOLDPRESS_STORE" in said


def test_an_unknown_channel_is_told(place: Place) -> None:
    def unknown() -> object:
        return reproducing.reproduce_channel(place.ws, "web", "stagin", sandbox=True)

    assert "there is no such channel" in refused(MissingError, unknown)


def test_an_image_whose_inputs_nobody_proves_is_not_pressed(place: Place) -> None:
    place.promoted()
    said = refused(TrustError, place.reproduce)
    assert f"{short(place.digest)}: its provenance is not proven: no statement" in said
    assert place.presses == []


def test_an_image_that_the_store_does_not_know_is_told(place: Place) -> None:
    def other(digest: str) -> Callable[[], object]:
        return lambda: reproducing.reproduce(place.ws, digest, sandbox=True)

    assert "its manifest is not proven" in refused(TrustError, other(f"sha256:{'0' * 64}"))
    assert "is not an image digest" in refused(DocumentError, other("web"))


def test_a_stand_in_is_pressed_only_when_that_was_said(place: Place) -> None:
    place.ready()

    def unsaid() -> object:
        return reproducing.reproduce(place.ws, place.digest, sandbox=False)

    assert "is of sandbox, a stand-in\n  say so: --sandbox" in refused(DocumentError, unsaid)
    real = dataclasses.replace(place.image.manifest, stand_in=False, distribution="centos-stream-9")
    reproducing.refuse_other_kind(real, sandbox=False)
    with pytest.raises(DocumentError, match="is of centos-stream-9, which is no stand-in"):
        reproducing.refuse_other_kind(real, sandbox=True)


# ---- which it is, and of which commit ----


def test_the_image_and_its_commit_are_found_in_the_history(place: Place) -> None:
    place.said()
    promotion = place.promoted()
    place.checkout.commit("{}")
    assert reproducing.find(place.ws, "web", CHANNEL) == {
        "image": "web",
        "channel": CHANNEL,
        "image_digest": place.digest,
        "commit": place.source.commit,
        "since": promotion.since,
    }


def test_a_commit_that_is_in_another_history_is_refused(place: Place) -> None:
    place.checkout.git("checkout", "-q", "-b", "elsewhere")
    commit = place.checkout.commit("{}")
    place.checkout.git("checkout", "-q", "main")
    place.said(source=Source(commit=commit, clean=True))
    place.promoted()
    said = refused(TrustError, lambda: reproducing.find(place.ws, "web", CHANNEL))
    assert f"made from the commit {commit[:12]!r}, which is not in the history" in said


@pytest.mark.parametrize("commit", ["0" * 40, "HEAD", "main", "--output=x"])
def test_what_is_no_commit_here_is_refused(place: Place, commit: str) -> None:
    place.said(source=Source(commit=commit, clean=True))
    place.promoted()
    said = refused(TrustError, lambda: reproducing.find(place.ws, "web", CHANNEL))
    assert "is not in the history" in said


# ---- the task ----


@pytest.fixture
def task(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`./inv reproduce`: its exit status, and what it printed where."""
    monkeypatch.setattr("goldpress.workspace.workspace", lambda: place.ws)

    def call(**given: Any) -> tuple[int, str, str]:
        status = 0
        capsys.readouterr()
        try:
            building.reproduce(Context(), **given)
        except SystemExit as end:
            status = int(str(end.code))
        return (status, *capsys.readouterr())

    return call


Task = Callable[..., tuple[int, str, str]]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file by which a step of a workflow hands on."""
    path = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(path))
    return path


def test_what_is_found_is_handed_on_and_then_pressed_by_its_digest(
    place: Place, task: Task, output: Path
) -> None:
    place.ready()
    status, out, _ = task(channel=CHANNEL, find=True)
    assert (status, json.loads(out)["commit"]) == (0, place.source.commit)
    assert output.read_text() == f"digest={place.digest}\ncommit={place.source.commit}\n"
    assert place.presses == []
    status, out, _ = task(digest=place.digest, sandbox=True)
    assert (status, json.loads(out)["identical"]) == (0, True)
    assert task(channel=CHANNEL, sandbox=True)[0] == 0


def test_where_nothing_is_in_force_finding_says_so_and_does_not_fail(
    task: Task, output: Path
) -> None:
    status, out, err = task(channel=CHANNEL, find=True)
    assert (status, json.loads(out)["image_digest"]) == (0, None)
    assert "web/staging has no image in force: there is nothing to reproduce" in err
    assert output.read_text() == "digest=\ncommit=\n"
    # To reproduce it, though, is asked for in vain.
    status, out, err = task(channel=CHANNEL, sandbox=True)
    assert (status, out) == (1, "")
    assert "error: web/staging has no image in force" in err


@pytest.mark.parametrize(
    "given", [{"channel": "a", "digest": "b"}, {"find": True}, {"find": True, "digest": "b"}]
)
def test_options_that_do_not_go_together_are_refused(task: Task, given: dict[str, Any]) -> None:
    status, out, err = task(**given)
    assert (status, out) == (1, "")
    assert "--channel or --digest, and --find with --channel alone" in err


# ---- what a reader of the store may ----


def test_a_role_that_reads_is_enough(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    objects = emulator.objects()
    url = f"s3://{objects.bucket}/{objects.prefix}"
    place = make_place(tmp_path, store_url=url)
    doubled(place, monkeypatch)
    place.ready()
    calls: set[str] = set()

    def called(model: Any, **_: Any) -> None:
        calls.add(f"s3:{model.name}")

    # As on another machine: nothing is in its cache.
    shutil.rmtree(place.ws.store.root)
    place.ws = dataclasses.replace(place.ws)
    vars(place.ws)["store"] = Store(root=place.ws.build / "store", shared=objects)
    objects.client.meta.events.register("before-call.s3", called)
    try:
        assert reproducing.find(place.ws, "web", CHANNEL)["image_digest"] == place.digest
        assert place.reproduce()["identical"] is True
        place.otherwise = {"block_root": ""}
        refused(BuildError, place.reproduce)
    finally:
        objects.client.meta.events.unregister("before-call.s3", called)
    rows = json.loads((IAM / "check.json").read_text())["Statement"]
    assert "s3:GetObject" in calls
    assert actions(calls) <= {action for row in rows for action in row["Action"]}
    assert {name.partition(":")[2][:3] for name in calls} <= {"Get", "Hea", "Lis"}
