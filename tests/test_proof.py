"""Which evidence vouches for an image: the last of that very image, for the very same promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from publications import CHECK, boot_of, keep, make_disk, manifest_of

from goldpress import proof
from goldpress.errors import GoldpressError, VerifyError
from goldpress.manifest import ImageManifest
from goldpress.store import Store
from goldpress.verify.evidence import Evidence, Subject, VerifiedMachine

PROMISES = f"sha256:{'4' * 64}"
SUITE = "3" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture
def manifest(tmp_path: Path) -> ImageManifest:
    return manifest_of(make_disk(tmp_path / "raw", {}, count=1), name="web")


def evidence(manifest: ImageManifest, **changes: Any) -> Evidence:
    made = Evidence(
        subject=Subject(image_digest=manifest.digest, disk_sha256=manifest.disk_sha256),
        distribution="sandbox", stand_in=True, not_exercised={},
        machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
        suite_sha256=SUITE, input_digest=PROMISES,
        offline=(CHECK,), boots=(boot_of(1), boot_of(2)),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_the_last_evidence_of_the_image_vouches_for_it(
    store: Store, manifest: ImageManifest
) -> None:
    made = keep(store, evidence(manifest), "web")
    other = dataclasses.replace(manifest, command_line="another")
    keep(store, evidence(other), "web")
    assert proof.evidence_of(store, manifest, PROMISES, SUITE) == made
    # Whatever suite it was, where that is not asked.
    newer = keep(store, evidence(manifest, suite_sha256="9" * 64), "web")
    assert proof.evidence_of(store, manifest, PROMISES) == newer
    assert proof.evidence_of(store, manifest, PROMISES, SUITE) == made


def test_what_failed_since_is_not_outweighed(store: Store, manifest: ImageManifest) -> None:
    keep(store, evidence(manifest), "web")
    assert proof.last_failure(store, manifest) == ""
    failed = keep(store, evidence(manifest, boots=(boot_of(1),)), "web")
    assert proof.last_failure(store, manifest) == failed
    with pytest.raises(VerifyError, match=r"image web .* failed its last verification") as caught:
        proof.evidence_of(store, manifest, PROMISES, SUITE)
    assert caught.value.hint == f"evidence: {store.document_path('evidence', failed)}"
    again = keep(store, evidence(manifest, not_exercised={"os-x": "no"}), "web")
    assert proof.evidence_of(store, manifest, PROMISES, SUITE) == again
    assert proof.last_failure(store, manifest) == ""


@pytest.mark.parametrize("changes", [{"input_digest": "sha256:9"}, {"suite_sha256": "9" * 64}])
def test_other_promises_or_another_suite_do_not_count(
    store: Store, manifest: ImageManifest, changes: dict[str, str]
) -> None:
    keep(store, evidence(manifest, **changes), "web")
    with pytest.raises(VerifyError, match="verified by another suite, or for other controls"):
        proof.evidence_of(store, manifest, PROMISES, SUITE)


def test_without_evidence_it_says_what_to_run(store: Store, manifest: ImageManifest) -> None:
    with pytest.raises(VerifyError, match=r"was never verified .* it is not published") as caught:
        proof.evidence_of(store, manifest, PROMISES)
    assert caught.value.hint == "run `./inv build-image --sandbox`: it boots and verifies it"
    real = dataclasses.replace(manifest, stand_in=False)
    with pytest.raises(VerifyError, match=r"run `\./inv build-image`: it boots"):
        proof.evidence_of(store, real, PROMISES)


def test_what_an_older_goldpress_wrote_is_no_evidence(
    store: Store, manifest: ImageManifest
) -> None:
    digest = store.put_document("evidence", {"schema": 3})
    store.enter("evidence", "web.sandbox", digest)
    with pytest.raises(VerifyError, match="was never verified"):
        proof.evidence_of(store, manifest, PROMISES)


def test_an_amis_last_evidence_counts_for_the_same_suite_promises_and_ground(
    store: Store, manifest: ImageManifest
) -> None:
    ami = "ami-0123456789abcdef0"
    asked = {"rests_on": "sha256:1", "promises": PROMISES, "suite": SUITE}
    assert proof.evidence_of_ami(store, ami, **asked) == ""
    made = evidence(
        manifest, offline=(), boots=(boot_of(1),), rests_on="sha256:1",
        subject=Subject(image_digest=manifest.digest, disk_sha256="2", ami=ami),
        machine=VerifiedMachine(kind="ec2", firmware="uefi", accelerator="t3.small", uuid="i-1"),
    )  # fmt: skip
    there = keep(store, made, "web")
    assert proof.evidence_of_ami(store, ami, **asked) == there
    for other in ({"rests_on": "sha256:2"}, {"promises": "sha256:2"}, {"suite": "2"}):
        assert proof.evidence_of_ami(store, ami, **{**asked, **other}) == ""
    keep(store, dataclasses.replace(made, boots=()), "web")
    assert proof.evidence_of_ami(store, ami, **asked) == ""


def test_an_error_tells_what_could_not_be_cleaned_up() -> None:
    error = GoldpressError("it broke", hint="mend it")
    error.add_note("snap-1 stays")
    assert str(error) == "it broke\n  mend it\n  snap-1 stays"
