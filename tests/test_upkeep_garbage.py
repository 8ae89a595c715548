"""What keeps files of the mirror: git's locks, locks made here, images; and forgetting an image."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from gits import lock_text
from mirrored import Mirrored
from rpms import Rpms, make_rpm

from goldpress.digest import sha256_file
from goldpress.errors import DocumentError, MissingError
from goldpress.manifest import ImageManifest
from goldpress.mirror.gc import GRACE, Collected
from goldpress.mirror.roots import IMAGE, PACKAGES
from goldpress.store.graves import Graves
from goldpress.store.store import package_key
from goldpress.upkeep.garbage import forget_image, garbage


@pytest.fixture
def moved(mirrored: Mirrored, rpms: Rpms, tmp_path: Path) -> Mirrored:
    """Upstream dropped `needed` 1.5 for 1.6, which is locked by now; only the newest snapshot
    is in use."""
    mirrored.sync()
    mirrored.lock()
    mirrored.commit()
    mirrored.checkout.git("branch", "stable")
    later = make_rpm(tmp_path / "later", "needed", version="1.6")
    rpms.key.sign(later)
    mirrored.offer("base", rpms.good, later)
    mirrored.sync()
    mirrored.lock()
    mirrored.commit()
    return mirrored


def collect(project: Mirrored, *, delete: bool = True, grace_days: int = 7) -> Collected:
    return garbage(project.ws, delete=delete, grace_days=grace_days, newest=1)


def collect_late(project: Mirrored) -> set[str]:
    """Mark, wait for the grace period, delete; what of the pool went?"""
    before = project.pool
    collect(project)

    def older(now: Graves) -> Graves:
        past = {key: at - GRACE - timedelta(hours=1) for key, at in now.marked.items()}
        return dataclasses.replace(now, marked=past)

    project.ws.store.graves.change(older)
    deleted = collect(project).deleted
    gone = before - project.pool
    assert {key for key in deleted if key.startswith("pool/")} == {package_key(s) for s in gone}
    return gone


def test_a_lock_on_a_branch_keeps_its_packages_until_the_branch_goes(
    moved: Mirrored, rpms: Rpms
) -> None:
    assert collect_late(moved) == set()
    moved.checkout.git("branch", "-D", "stable")
    assert collect_late(moved) == {sha256_file(rpms.needed)}


def test_a_dry_run_marks_nothing(moved: Mirrored, rpms: Rpms) -> None:
    moved.checkout.git("branch", "-D", "stable")
    for _ in range(2):
        told = collect(moved, delete=False).document()
        assert told["to_mark"]["files"] > 0
        assert (told["waiting"]["files"], told["due"]["files"], told["deleted"]["files"]) == (
            0,
        ) * 3
    told = collect(moved).document()
    assert collect(moved, delete=False).document()["waiting"] == told["to_mark"]
    assert sha256_file(rpms.needed) in moved.pool


def test_a_lock_made_on_this_machine_keeps_its_packages(moved: Mirrored, rpms: Rpms) -> None:
    moved.checkout.git("branch", "-D", "stable")
    path = moved.build / "locks" / "app" / "sandbox.x86_64.json"
    path.parent.mkdir(parents=True)
    path.write_text(lock_text([sha256_file(rpms.needed)]))
    assert collect_late(moved) == set()
    path.write_text("{")
    with pytest.raises(DocumentError, match=r"locks/app/sandbox\.x86_64\.json: not a lock that"):
        collect(moved)
    path.unlink()
    assert collect_late(moved) == {sha256_file(rpms.needed)}


def an_image(project: Mirrored, name: str, *sha256s: str) -> str:
    """A pressed image with these packages, as the store remembers it."""
    store = project.ws.store
    rows = [[f"p{n}-0:1-1.noarch", sha256] for n, sha256 in enumerate(sha256s)]
    manifest = ImageManifest(
        name=name,
        distribution="test-9",
        stand_in=False,
        arch="x86_64",
        packages=store.put_document(PACKAGES, rows),
        definition="sha256:1",
        command_line="",
        root_hash="",
        disk_sha256="1",
        disk_bytes=1,
        block_root="1",
    )
    digest = store.put_document("manifest", manifest.to_document())
    store.enter(IMAGE, f"{name}.test-9.x86_64", digest)
    return digest


def test_an_image_keeps_its_packages_until_it_is_forgotten(moved: Mirrored, rpms: Rpms) -> None:
    moved.checkout.git("branch", "-D", "stable")
    digest = an_image(moved, "app", sha256_file(rpms.needed))
    assert collect_late(moved) == set()
    assert forget_image(moved.ws, digest) == ("app.test-9.x86_64",)
    assert collect_late(moved) == {sha256_file(rpms.needed)}


def test_an_image_is_forgotten_by_the_beginning_of_its_digest(mirrored: Mirrored) -> None:
    one, two = (an_image(mirrored, name, "a" * 64) for name in ("one", "two"))
    assert forget_image(mirrored.ws, one.removeprefix("sha256:")[:8]) == ("one.test-9.x86_64",)
    assert mirrored.ws.store.names(IMAGE) == ("two.test-9.x86_64",)
    with pytest.raises(MissingError) as caught:
        forget_image(mirrored.ws, one)
    assert caught.value.message == f"no image begins with {one.removeprefix('sha256:')}"
    assert caught.value.hint == f"there are: {two.removeprefix('sha256:')[:12]}"


def test_a_beginning_of_several_images_is_told(mirrored: Mirrored) -> None:
    for rest in ("a", "b"):
        mirrored.ws.store.enter(IMAGE, "app", f"sha256:{'0' * 63}{rest}")
    with pytest.raises(MissingError, match="several images begin with 00000000"):
        forget_image(mirrored.ws, "sha256:00000000")
    assert len(mirrored.ws.store.history(IMAGE, "app")) == 2


@pytest.mark.parametrize("text", ["", "sha256:", "0123456", "app", "A" * 64, "0" * 65])
def test_what_is_no_digest_is_told(mirrored: Mirrored, text: str) -> None:
    with pytest.raises(MissingError) as caught:
        forget_image(mirrored.ws, text)
    assert caught.value.message == f"{text!r} is no image digest"
    assert caught.value.hint == "name it by its digest, or at least the first 8 digits of it"


def test_a_project_that_is_no_checkout_is_refused(mirrored: Mirrored, tmp_path: Path) -> None:
    (mirrored.project / ".git").rename(tmp_path / "git")
    with pytest.raises(MissingError, match="the locks on its branches cannot be read"):
        collect(mirrored, delete=False)


def test_too_short_a_grace_period_is_refused(moved: Mirrored) -> None:
    with pytest.raises(DocumentError, match="a grace period of 0:00:00 and 1 snapshots"):
        collect(moved, grace_days=0)
