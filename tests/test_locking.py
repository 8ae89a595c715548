"""A real distribution's way to a lock, over file URLs: keys, snapshot, pool, lock, and back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from rpms import Rpms, make_repository

from goldpress.definition import Definition
from goldpress.distribution import Distribution
from goldpress.errors import GoldpressError, MissingError, TrustError
from goldpress.lock import Lock
from goldpress.locking import lock, locked, sync
from goldpress.workspace import Workspace

IMAGE = """\
name: app
summary: one program
distribution: test-9
arch: x86_64
packages: [{packages}]
disk: {{esp_mib: 64, var_mib: 512}}
verify: {{suite: verify, boot_seconds: 60}}
"""
DISTRIBUTION = """\
id: test-9
name: Test 9
platform: el9
arches:
  x86_64:
    repositories:
      - id: base
        baseurl: {repository}
keys:
  - fingerprint: {fingerprint}
    url: {key}
"""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in a temporary folder: one image, one distribution, its mirror."""

    ws: Workspace
    mirror: Path

    @property
    def both(self) -> tuple[Definition, Distribution]:
        definition = self.ws.definition("app")
        return definition, self.ws.distribution(definition, sandbox=False)

    def ask_for(self, packages: str) -> None:
        path = self.ws.project / "images/app/image.yaml"
        path.write_text(IMAGE.format(packages=packages))

    def offer(self, *rpms: Path) -> None:
        shutil.rmtree(self.mirror, ignore_errors=True)
        make_repository(self.mirror, *rpms)


@pytest.fixture
def project(tmp_path: Path, rpms: Rpms) -> Project:
    root, mirror = tmp_path / "project", tmp_path / "mirror"
    (root / "images/app").mkdir(parents=True)
    (root / "rpm-mirror").mkdir()
    (root / "rpm-mirror/test-9.yaml").write_text(
        DISTRIBUTION.format(
            repository=mirror.as_uri(),
            fingerprint=rpms.key.fingerprint,
            key=rpms.key.public.as_uri(),
        )
    )
    made = Project(ws=Workspace(project=root, build=tmp_path / "build"), mirror=mirror)
    made.ask_for("good")
    made.offer(rpms.good, rpms.needed)
    return made


def test_sync_then_lock_then_the_lock_is_what_a_build_reads(project: Project, rpms: Rpms) -> None:
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    assert [p.name for p in made.packages] == ["good", "needed"]
    assert {p.signer for p in made.packages} == {rpms.key.fingerprint}
    assert made.stand_in is False
    read, signers = locked(project.ws, *project.both)
    assert read == made
    assert signers.fingerprints == (rpms.key.fingerprint,)
    assert project.ws.lock_path(*project.both) == (
        project.ws.project / "images/app/locks/test-9.x86_64.json"
    )


def test_sync_brings_what_the_lock_names_not_what_is_newest(project: Project) -> None:
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    shutil.rmtree(project.ws.store.root / "pool")
    sync(project.ws, *project.both)
    assert all(project.ws.store.package_path(p.sha256).is_file() for p in made.packages)


def test_a_locked_package_that_is_gone_is_told(project: Project, rpms: Rpms) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    shutil.rmtree(project.ws.store.root / "pool")
    project.offer(rpms.good)
    with pytest.raises(MissingError, match=r"needed-0:1\.5-1\.el9\..*: locked, but gone from the"):
        sync(project.ws, *project.both)


@pytest.mark.parametrize(("name", "message"), [("unsigned", "not signed|unsigned|no signature"),
                                               ("other", "other-0:1")])  # fmt: skip
def test_a_package_that_nobody_allowed_signed_is_not_locked(
    project: Project, rpms: Rpms, name: str, message: str
) -> None:
    project.ask_for(name)
    project.offer(getattr(rpms, name))
    sync(project.ws, *project.both)
    with pytest.raises(TrustError, match=message):
        lock(project.ws, *project.both)
    assert not project.ws.lock_path(*project.both).exists()


def test_another_request_than_the_locked_one_says_what_to_run(project: Project) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    project.ask_for("needed")
    with pytest.raises(MissingError, match=r"another package list(.|\n)*run `\./inv lock`"):
        locked(project.ws, *project.both)


def test_a_key_with_another_fingerprint_is_refused(project: Project, rpms: Rpms) -> None:
    path = project.ws.project / "rpm-mirror/test-9.yaml"
    path.write_text(path.read_text().replace(rpms.key.public.name, rpms.other_key.public.name))
    with pytest.raises(TrustError, match=f"expected {rpms.key.fingerprint} alone"):
        sync(project.ws, *project.both)


def test_a_missing_package_names_the_nearest(project: Project) -> None:
    sync(project.ws, *project.both)
    project.ask_for("goood")
    with pytest.raises(GoldpressError, match=r"no package named .goood.(.|\n)*good"):
        lock(project.ws, *project.both)


def test_a_lock_edited_by_hand_is_refused(project: Project) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    path = project.ws.lock_path(*project.both)
    path.write_text(path.read_text().replace('"epoch":2', '"epoch":3'))
    with pytest.raises(GoldpressError, match="edited by hand"):
        Lock.read(path)
