"""A real distribution's way to a lock, over file URLs: keys, snapshot, pool, lock, and back."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from rpms import Rpms, SigningKey, make_repository, make_rpm

from goldpress.definition import Definition
from goldpress.distribution import Distribution
from goldpress.document import parse
from goldpress.errors import (
    DocumentError,
    GoldpressError,
    MissingError,
    ResolveError,
    TrustError,
)
from goldpress.lock import Lock
from goldpress.locking import check_lock, lock, locked
from goldpress.mirror.snapshot import Snapshot
from goldpress.sandbox.make import SandboxRepository
from goldpress.upkeep.sync import sync as sync_all
from goldpress.workspace import Workspace

IMAGE = """\
name: app
summary: one program
distribution: test-9
arch: x86_64
packages: [{packages}]
{more}
disk: {{esp_mib: 64, var_mib: 512}}
verify: {{suite: verify, boot_seconds: 60}}
"""
DISTRIBUTION = """\
id: {id}
name: {name}
platform: el9
{more}
arches:
  x86_64:
    repositories:
      - id: {repository}
        baseurl: {mirror}
keys:
  - fingerprint: {fingerprint}
    url: {key}
"""


def sync(
    ws: Workspace, definition: Definition, _distribution: Distribution, *, accept: bool = False
) -> tuple[Snapshot, ...]:
    return tuple(row.snapshot for row in sync_all(ws, [definition], accept=accept))


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in a temporary folder: one image, one distribution, its mirror."""

    ws: Workspace
    mirror: Path

    @property
    def both(self) -> tuple[Definition, Distribution]:
        definition = self.ws.definition("app")
        return definition, self.ws.distribution(definition, sandbox=False)

    def ask_for(self, packages: str, more: str = "") -> None:
        path = self.ws.project / "images/app/image.yaml"
        path.write_text(IMAGE.format(packages=packages, more=more))

    def describe(
        self,
        key: SigningKey,
        id_: str = "test-9",
        *,
        repository: str = "base",
        mirror: Path | None = None,
        more: str = "",
    ) -> None:
        """Write a distribution file."""
        text = DISTRIBUTION.format(
            id=id_,
            name=id_.replace("-", " ").capitalize(),
            repository=repository,
            mirror=(mirror or self.mirror).as_uri(),
            more=more,
            fingerprint=key.fingerprint,
            key=key.public.as_uri(),
        )
        (self.ws.project / f"rpm-mirror/{id_}.yaml").write_text(text)

    def override(self, text: str) -> None:
        (self.ws.project / "rpm-mirror/overrides.yaml").write_text(text)

    def offer(self, *rpms: Path) -> None:
        shutil.rmtree(self.mirror, ignore_errors=True)
        make_repository(self.mirror, *rpms)

    @property
    def pool(self) -> Path:
        return self.ws.store.root / "pool"


@pytest.fixture
def project(tmp_path: Path, rpms: Rpms) -> Project:
    root, mirror = tmp_path / "project", tmp_path / "mirror"
    (root / "images/app").mkdir(parents=True)
    (root / "rpm-mirror").mkdir()
    made = Project(ws=Workspace(project=root, build=tmp_path / "build"), mirror=mirror)
    made.describe(rpms.key)
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
        sync(project.ws, *project.both, accept=True)


def test_a_locked_package_that_is_no_longer_listed_but_still_there_is_brought(
    project: Project, rpms: Rpms
) -> None:
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    shutil.rmtree(project.pool)
    kept = project.mirror / "Packages" / rpms.needed.name
    project.offer(rpms.good)
    shutil.copyfile(rpms.needed, kept)
    sync(project.ws, *project.both, accept=True)
    assert all(project.ws.store.has_package(p.sha256, p.size) for p in made.packages)


def test_a_lock_needs_no_mirror_when_the_pool_has_all(project: Project) -> None:
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    shutil.rmtree(project.mirror)
    assert lock(project.ws, *project.both) == made


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


def test_another_request_than_the_locked_one_says_what_changed(project: Project) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    project.ask_for("needed, more", "weak_dependencies: true\nmodules: {php: 8.2}")
    for use in (locked, check_lock):
        with pytest.raises(MissingError) as caught:
            use(project.ws, *project.both)
        assert str(caught.value) == (
            "app/locks/test-9.x86_64.json: image.yaml or rpm-mirror/overrides.yaml changed since "
            "it was made: modules: + php 8.2; packages: + more, + needed, - good; "
            "weak_dependencies: false, now true\n  run `./inv lock` and commit the result"
        )


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


# ---- lock --check ----


def test_a_current_lock_is_found_current_without_store_or_mirror(project: Project) -> None:
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    shutil.rmtree(project.ws.build)
    shutil.rmtree(project.mirror)
    assert check_lock(project.ws, *project.both) == made


def test_a_missing_lock_is_found_missing(project: Project) -> None:
    with pytest.raises(MissingError, match=r"no lock of app for Test 9: images/app/locks/test-9"):
        check_lock(project.ws, *project.both)


def test_an_edited_lock_is_found_edited(project: Project) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    path = project.ws.lock_path(*project.both)
    path.write_text(path.read_text().replace('"epoch":2', '"epoch":3'))
    with pytest.raises(DocumentError, match="edited by hand"):
        check_lock(project.ws, *project.both)


def test_a_signer_that_is_no_longer_allowed_is_told(project: Project, rpms: Rpms) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    project.describe(rpms.other_key)
    with pytest.raises(
        MissingError, match=f"has packages of base signed by {rpms.key.fingerprint}"
    ):
        check_lock(project.ws, *project.both)


def test_a_repository_that_is_no_longer_there_is_told(project: Project, rpms: Rpms) -> None:
    sync(project.ws, *project.both)
    lock(project.ws, *project.both)
    project.describe(rpms.key, repository="renamed")
    with pytest.raises(MissingError, match=r"has packages of base signed by .* does not allow"):
        check_lock(project.ws, *project.both)


# ---- overrides ----

PIN = """\
pins:
  - name: needed
    evr: {evr}
    distribution: test-9
    reason: https://example.org/issues/7
    expires: {expires}
"""
LAST_DAY = dt.date(2030, 6, 1)


@pytest.fixture
def newer(tmp_path: Path, rpms: Rpms) -> Path:
    """A later version of `needed`."""
    made = make_rpm(tmp_path / "newer", "needed", version="1.6")
    rpms.key.sign(made)
    return made


def versions(made: Lock) -> dict[str, str]:
    return {p.name: p.version for p in made.packages}


def test_a_pin_is_honoured_and_bound_to_the_lock(project: Project, rpms: Rpms, newer: Path) -> None:
    project.offer(rpms.good, rpms.needed, newer)
    sync(project.ws, *project.both)
    assert versions(lock(project.ws, *project.both))["needed"] == "1.6"
    project.override(PIN.format(evr="1.5-1.el9", expires=LAST_DAY))
    with pytest.raises(MissingError, match=r"made: overrides: \+ pin needed evr 0:1\.5"):
        check_lock(project.ws, *project.both, today=LAST_DAY)
    made = lock(project.ws, *project.both, today=LAST_DAY)
    assert versions(made)["needed"] == "1.5"
    assert check_lock(project.ws, *project.both, today=LAST_DAY) == made
    project.override("pins: []\n")
    with pytest.raises(MissingError, match=r"made: overrides: - pin needed evr 0:1\.5"):
        check_lock(project.ws, *project.both)


def test_another_day_or_reason_needs_no_new_lock(project: Project) -> None:
    project.override(PIN.format(evr="1.5-1.el9", expires=LAST_DAY))
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both, today=LAST_DAY)
    project.override(PIN.format(evr="1.5-1.el9", expires="2031-01-01"))
    assert check_lock(project.ws, *project.both, today=LAST_DAY) == made


def test_what_expired_stops_locks_and_checks_but_no_build(project: Project) -> None:
    project.override(PIN.format(evr="1.5-1.el9", expires=LAST_DAY))
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both, today=LAST_DAY)
    for use in (lock, check_lock):
        with pytest.raises(DocumentError, match=r"the pin of needed at 0:1\.5-1\.el9 expired on"):
            use(project.ws, *project.both, today=LAST_DAY + dt.timedelta(days=1))
    # What was locked in time is pressed again at any time.
    assert locked(project.ws, *project.both)[0] == made


def test_a_fast_track_brings_the_package_of_another_snapshot(
    project: Project, rpms: Rpms, newer: Path
) -> None:
    (old,) = sync(project.ws, *project.both)
    project.offer(rpms.good, newer)
    sync(project.ws, *project.both)
    shutil.copyfile(rpms.needed, project.mirror / "Packages" / rpms.needed.name)
    project.override(
        PIN.format(evr="", expires=LAST_DAY)
        .replace("pins:", "fast_tracks:")
        .replace("name: needed", "nevra: needed-1.5-1.el9.noarch")
        .replace("evr: ", f"snapshot: {old.digest}\n    repository: base")
    )
    made = lock(project.ws, *project.both, today=LAST_DAY)
    assert versions(made) == {"good": "1.0", "needed": "1.5"}
    # Its package is found again as well, wherever the newest snapshot is by then.
    shutil.rmtree(project.pool)
    sync(project.ws, *project.both)
    assert all(project.ws.store.has_package(p.sha256, p.size) for p in made.packages)


# ---- several distributions ----


@pytest.fixture
def extended(project: Project, rpms: Rpms, tmp_path: Path) -> Project:
    """The image takes `other` from extra-9, which another key signs."""
    mirror = make_repository(tmp_path / "extra", rpms.other)
    project.describe(
        rpms.other_key, "extra-9", repository="extras", mirror=mirror, more="extends: test-9"
    )
    project.ask_for("good, other", "with: [extra-9]")
    return project


def test_packages_of_two_distributions_are_locked(extended: Project, rpms: Rpms) -> None:
    snapshots = sync(extended.ws, *extended.both)
    made = lock(extended.ws, *extended.both)
    assert made.distribution == "test-9"
    assert made.snapshots == {s.distribution: s.digest for s in snapshots}
    assert sorted(made.snapshots) == ["extra-9", "test-9"]
    assert {p.name: (p.repository, p.signer) for p in made.packages} == {
        "good": ("base", rpms.key.fingerprint),
        "needed": ("base", rpms.key.fingerprint),
        "other": ("extras", rpms.other_key.fingerprint),
    }
    found, signers = locked(extended.ws, *extended.both)
    assert found == made
    assert not signers.may_sign(rpms.other_key.fingerprint, "base")
    assert check_lock(extended.ws, *extended.both) == made


def test_the_key_of_one_signs_nothing_of_the_other(extended: Project, rpms: Rpms) -> None:
    extra = extended.mirror.with_name("extra")
    shutil.rmtree(extra)
    make_repository(extra, rpms.unsigned)
    extended.offer(rpms.good, rpms.needed, rpms.other)
    sync(extended.ws, *extended.both)
    with pytest.raises(TrustError, match=f"other-0:1.*{rpms.other_key.fingerprint}"):
        lock(extended.ws, *extended.both)


@pytest.mark.parametrize(
    ("more", "repository", "message"),
    [
        ("", "extras", "with: extra-9 extends nothing, not test-9"),
        ("extends: else-9", "extras", "with: extra-9 extends else-9, not test-9"),
        (
            "extends: test-9",
            "base",
            "with: more than one of test-9, extra-9 has a repository 'base'",
        ),
    ],
)
def test_distributions_that_do_not_go_together_are_refused(
    extended: Project, rpms: Rpms, more: str, repository: str, message: str
) -> None:
    extended.describe(rpms.other_key, "extra-9", repository=repository, more=more)
    for use in (sync, lock, locked, check_lock):
        with pytest.raises(DocumentError) as caught:
            use(extended.ws, *extended.both)
        assert caught.value.message == f"images/app/image.yaml: {message}"


def test_an_unknown_distribution_is_told(project: Project) -> None:
    project.ask_for("good", "with: [extra-8]")
    with pytest.raises(MissingError, match="unknown distribution 'extra-8'"):
        check_lock(project.ws, *project.both)


# ---- what a distribution allows ----


def test_a_distribution_that_cannot_be_built_is_mirrored_and_locked(
    project: Project, rpms: Rpms
) -> None:
    project.describe(rpms.key, more="mirror_only: its packages need rpm 4.19")
    sync(project.ws, *project.both)
    made = lock(project.ws, *project.both)
    assert check_lock(project.ws, *project.both) == made
    with pytest.raises(MissingError) as caught:
        locked(project.ws, *project.both)
    assert str(caught.value) == (
        "Test 9 can be mirrored and locked, but no image can be built from it yet: its packages "
        "need rpm 4.19"
    )


def test_a_stream_that_the_distribution_does_not_allow_is_refused(
    project: Project, rpms: Rpms
) -> None:
    project.describe(rpms.key, more='modules: {php: ["8.1", "8.2"]}')
    project.ask_for("good", "modules: {php: 8.3, nginx: 1.24}")
    sync(project.ws, *project.both)
    with pytest.raises(ResolveError) as caught:
        lock(project.ws, *project.both)
    assert str(caught.value) == (
        "module nginx:1.24 is not among `modules:` of rpm-mirror/test-9.yaml\n"
        "module php:8.3 is not among `modules:` of rpm-mirror/test-9.yaml; allowed: 8.1, 8.2\n"
        "  correct `modules:` of the image, or allow the stream for the distribution"
    )


def test_what_is_held_back_is_said(
    project: Project, rpms: Rpms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = make_rpm(tmp_path / "late", "good", version="7.0", epoch=2, Requires="nowhere")
    project.offer(rpms.good, rpms.needed, late)
    sync(project.ws, *project.both)
    assert versions(lock(project.ws, *project.both))["good"] == "1.0"
    said = capsys.readouterr().err
    assert "!!  good-2:7.0-1.el9.noarch is not taken: nothing provides nowhere needed by" in said


# ---- what is made on this machine ----


@pytest.fixture
def rehearsed(project: Project, rpms: Rpms, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """A stand-in for test-9 whose repository is the project's mirror."""
    made = SandboxRepository(
        root=project.mirror, key=rpms.key.public, fingerprint=rpms.key.fingerprint
    )
    monkeypatch.setattr("goldpress.locking.places.make_sandbox", lambda *_, **__: made)
    value = {
        "id": "stand-in",
        "name": "A stand-in",
        "stand_in_for": "test-9",
        "made": True,
        "platform": "el9",
        "arches": {"x86_64": {"repositories": [{"id": "stand-in"}]}},
    }
    return parse(Distribution, value, name="stand-in.yaml")


def test_its_lock_is_made_when_it_is_needed_and_kept_while_it_is_good(
    project: Project, rehearsed: Distribution, rpms: Rpms
) -> None:
    definition, _ = project.both
    first, signers = locked(project.ws, definition, rehearsed)
    assert first.stand_in
    assert signers.fingerprints == (rpms.key.fingerprint,)
    path = project.ws.lock_path(definition, rehearsed)
    inode = path.stat().st_ino
    assert locked(project.ws, definition, rehearsed)[0] == first
    assert path.stat().st_ino == inode
    assert check_lock(project.ws, definition, rehearsed) == first


def test_its_lock_is_made_again_for_another_request_or_other_packages(
    project: Project, rehearsed: Distribution, rpms: Rpms, newer: Path
) -> None:
    locked(project.ws, project.both[0], rehearsed)
    project.ask_for("needed")
    assert versions(locked(project.ws, project.both[0], rehearsed)[0]) == {"needed": "1.5"}
    project.offer(rpms.good, newer)
    assert versions(locked(project.ws, project.both[0], rehearsed)[0]) == {"needed": "1.6"}


def test_its_lock_of_an_older_form_is_made_again(project: Project, rehearsed: Distribution) -> None:
    definition, _ = project.both
    path = project.ws.lock_path(definition, rehearsed)
    path.parent.mkdir(parents=True)
    path.write_text('{"lock_version":1}')
    assert versions(locked(project.ws, definition, rehearsed)[0])["needed"] == "1.5"


def test_it_has_what_extends_the_real_one_by_itself(
    project: Project, rehearsed: Distribution
) -> None:
    project.ask_for("good", "with: [extra-9]")
    made, _ = locked(project.ws, project.both[0], rehearsed)
    assert list(made.snapshots) == ["stand-in"]
    assert made.request["with"] == ["extra-9"]
