"""A sync of a project: what it takes, what it brings, and what it does when something fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import upstream
from comparing import MODULES, add
from emulated import Emulator
from mirrored import Mirrored, copied
from rpms import Rpms, SigningKey, make_rpm
from upstream import Upstream, becomes, status

from goldpress.digest import sha256_file
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.locking import make, places
from goldpress.sandbox.make import SandboxRepository
from goldpress.upkeep.sync import Scope, Taken
from goldpress.upkeep.wanted import Wanted, images, wanted
from goldpress.workspace import Workspace

NEWEST, FULL = Scope(newest=True), Scope(every=True)


def parts(found: tuple[Wanted, ...]) -> list[tuple[str, str, int, bool]]:
    return [(p.distribution.id, p.arch, len(p.locks), p.errata_only) for p in found]


def ids(taken: tuple[Taken, ...]) -> list[str]:
    return [f"{row.part.distribution.id}.{row.part.arch}" for row in taken]


def sha256s(*paths: Path) -> set[str]:
    return {sha256_file(path) for path in paths}


@pytest.fixture
def extended(mirrored: Mirrored, rpms: Rpms) -> Mirrored:
    """Beside `app`, an image `web` that takes `other` from extra-9, which another key signs."""
    mirrored.distribution("extra-9", "extras", key=rpms.other_key, more="extends: test-9")
    mirrored.offer("extras", rpms.other)
    mirrored.image("good, other", name="web", more="with: [extra-9]")
    return mirrored


@pytest.fixture
def newer(tmp_path: Path, rpms: Rpms) -> Path:
    """A later version of `needed`."""
    return signed(rpms.key, make_rpm(tmp_path / "newer", "needed", version="1.6"))


def signed(key: SigningKey, path: Path) -> Path:
    key.sign(path)
    return path


# ---- what is wanted ----


def test_the_distributions_of_all_images_each_once_with_the_images_locks(
    extended: Mirrored,
) -> None:
    ws = extended.ws
    found = wanted(ws, images(ws))
    assert parts(found) == [
        ("test-9", "x86_64", 2, False),
        ("extra-9", "x86_64", 1, False),
    ]
    assert found[0].locks == (extended.lock_path("app"), extended.lock_path("web"))


def test_errata_come_for_the_architectures_that_have_them(extended: Mirrored) -> None:
    extended.image("good", name="arm", arch="aarch64")
    extended.distribution("test-9", "base", arches=("aarch64", "x86_64"))
    extended.distribution("alma-9", "alma", more="errata_for: test-9")
    extended.distribution("alma-8", "alma", more="errata_for: test-8")
    found = wanted(extended.ws, images(extended.ws))
    assert parts(found) == [
        ("test-9", "x86_64", 2, False),
        ("test-9", "aarch64", 1, False),
        ("extra-9", "x86_64", 1, False),
        ("alma-9", "x86_64", 0, True),
    ]


def test_only_names_distributions_that_images_use_or_do_not(extended: Mirrored) -> None:
    extended.distribution("test-10", "base", arches=("x86_64", "aarch64"))
    extended.distribution("alma-9", "alma", more="errata_for: test-9")
    found = wanted(extended.ws, images(extended.ws), only=["test-10", "extra-9", "alma-9"])
    assert parts(found) == [
        ("extra-9", "x86_64", 1, False),
        ("test-10", "aarch64", 0, False),
        ("test-10", "x86_64", 0, False),
        ("alma-9", "x86_64", 0, False),
    ]


def test_an_unknown_distribution_is_told_before_anything_is_done(extended: Mirrored) -> None:
    with pytest.raises(MissingError) as caught:
        extended.sync(only=["test-9", "tset-9"])
    assert caught.value.message == "unknown distribution 'tset-9'; nearest: test-9, extra-9"
    assert caught.value.hint == "`rpm-mirror/` describes: extra-9, test-9"
    assert not extended.build.exists()


def test_a_project_without_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no image: images/\*/image\.yaml is not there"):
        images(Workspace(project=tmp_path, build=tmp_path / "build"))


# ---- snapshots and locked packages ----


def test_all_images_distributions_are_taken_and_every_lock_is_brought(
    extended: Mirrored, rpms: Rpms
) -> None:
    first = extended.sync()
    assert ids(first) == ["test-9.x86_64", "extra-9.x86_64"]
    assert [row.document()["new"] for row in first] == [True, True]
    assert extended.pool == set()
    for image in ("app", "web"):
        extended.lock(image)
    shutil.rmtree(extended.build / "store" / "pool")
    again = extended.sync()
    assert [row.document() for row in again] == [
        {
            "distribution": row.part.distribution.id,
            "arch": "x86_64",
            "snapshot": row.snapshot.digest,
            "new": False,
            "packages": count,
        }
        for row, count in zip(first, (2, 1), strict=True)
    ]
    assert extended.pool == sha256s(rpms.good, rpms.needed, rpms.other)
    assert extended.waiting() == []


def test_a_lock_that_is_not_there_yet_is_said(
    mirrored: Mirrored, capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored.sync()
    said = capsys.readouterr().err
    assert "images/app/locks/test-9.x86_64.json is not there yet: `./inv lock` makes it" in said
    mirrored.lock()
    mirrored.sync()
    assert "is not there yet" not in capsys.readouterr().err


def test_each_architecture_has_its_own_snapshot_and_packages(
    mirrored: Mirrored, rpms: Rpms, newer: Path
) -> None:
    """One distribution, two architectures: neither stands in for the other."""
    mirrored.image("good", name="arm", arch="aarch64")
    elsewhere = mirrored.offer("arm", rpms.good, newer)
    mirrored.distribution(
        "test-9",
        "base",
        arches=("x86_64", "aarch64"),
        places={"base.aarch64": elsewhere.as_uri()},
    )
    assert ids(mirrored.sync()) == ["test-9.x86_64", "test-9.aarch64"]
    locks = {name: mirrored.lock(name) for name in ("app", "arm")}
    assert [p.version for p in locks["arm"].packages] == ["1.0", "1.6"]
    assert [p.version for p in locks["app"].packages] == ["1.0", "1.5"]
    shutil.rmtree(mirrored.build / "store" / "pool")
    mirrored.sync()
    assert mirrored.pool == sha256s(rpms.good, rpms.needed, newer)


def test_only_brings_what_a_lock_has_of_it(extended: Mirrored, rpms: Rpms) -> None:
    extended.sync()
    extended.lock("web")
    shutil.rmtree(extended.build / "store" / "pool")
    shutil.rmtree(extended.upstream("base"))
    assert ids(extended.sync(only=["extra-9"])) == ["extra-9.x86_64"]
    assert extended.pool == sha256s(rpms.other)


def test_a_dropped_package_is_brought_from_where_it_was_while_it_is_there(
    mirrored: Mirrored, rpms: Rpms, newer: Path
) -> None:
    mirrored.sync()
    mirrored.lock()
    shutil.rmtree(mirrored.build / "store" / "pool")
    mirrored.offer("base", rpms.good, newer)
    copied(rpms.needed, mirrored.upstream("base") / "Packages" / rpms.needed.name)
    mirrored.sync()
    assert mirrored.pool == sha256s(rpms.good, rpms.needed)


def test_a_dropped_package_that_is_gone_is_told_and_the_rest_is_brought(
    extended: Mirrored, rpms: Rpms, newer: Path
) -> None:
    extended.image("needed")
    extended.image("other", name="web", more="with: [extra-9]")
    extended.sync()
    for image in ("app", "web"):
        extended.lock(image)
    shutil.rmtree(extended.build / "store" / "pool")
    extended.offer("base", rpms.good, newer)
    with pytest.raises(MissingError) as caught:
        extended.sync(scope=NEWEST)
    assert str(caught.value) == (
        "needed-0:1.5-1.el9.noarch: locked, but gone from the mirror and not in the pool\n"
        "  take them from another copy of the pool, or run `./inv lock` for newer ones"
    )
    assert extended.pool == sha256s(rpms.good, newer, rpms.other)


def test_a_lock_that_cannot_be_read_is_told_and_the_others_are_brought(
    extended: Mirrored, rpms: Rpms
) -> None:
    extended.sync()
    extended.lock("web")
    path = extended.lock_path("app")
    path.parent.mkdir(parents=True)
    path.write_text("<<<<<<< HEAD")
    shutil.rmtree(extended.build / "store" / "pool")
    with pytest.raises(DocumentError, match=r"images/app/locks/test-9\.x86_64\.json: not JSON"):
        extended.sync()
    assert extended.pool == sha256s(rpms.good, rpms.needed, rpms.other)


def test_a_distribution_that_cannot_be_had_leaves_the_others(
    extended: Mirrored, rpms: Rpms, capsys: pytest.CaptureFixture[str]
) -> None:
    extended.sync()
    extended.lock("app")
    shutil.rmtree(extended.build / "store" / "pool")
    extended.distribution("alma-9", "alma", more="errata_for: test-9")
    shutil.rmtree(extended.upstream("extras"))
    with pytest.raises(MissingError, match=r"upstream/extras/repodata/repomd\.xml: No such file"):
        extended.sync()
    said = capsys.readouterr().err
    assert "error: " in said
    assert "upstream/alma/repodata/repomd.xml: No such file" in said
    assert extended.pool == sha256s(rpms.good, rpms.needed)
    assert extended.ws.store.names("snapshot") == ("extra-9.x86_64", "test-9.x86_64")


def test_older_metadata_is_taken_only_when_that_is_said(
    mirrored: Mirrored, rpms: Rpms, newer: Path, tmp_path: Path
) -> None:
    old = shutil.copytree(mirrored.upstream("base"), tmp_path / "old")
    (first,) = mirrored.sync()
    time.sleep(1.1)
    mirrored.offer("base", rpms.good, newer)
    mirrored.sync()
    shutil.rmtree(mirrored.upstream("base"))
    shutil.copytree(old, mirrored.upstream("base"))
    with pytest.raises(
        TrustError, match=r"base: its metadata is of .* older than that of"
    ) as caught:
        mirrored.sync()
    assert "if you know why, say `--accept`" in caught.value.hint
    (again,) = mirrored.sync(accept=True)
    assert again.snapshot == first.snapshot
    assert again.document()["new"]


# ---- --newest and --full ----


@pytest.fixture
def modular(mirrored: Mirrored, rpms: Rpms, newer: Path, tmp_path: Path) -> dict[str, Path]:
    """Upstream has two versions of `needed`, two streams of `php`, a source package."""
    php = {v: make_rpm(tmp_path / "php", "php", version=v) for v in ("8.1.1", "8.1.2", "8.2.1")}
    for path in php.values():
        rpms.key.sign(path)
    packages = {"needed": rpms.needed, "newer": newer, "source": rpms.source, **php}
    base = mirrored.offer("base", *packages.values())
    eight_one = MODULES.format(artifacts="php-0:8.1.1-1.el9.noarch, php-0:8.1.2-1.el9.noarch")
    eight_two = MODULES.format(artifacts="php-0:8.2.1-1.el9.noarch")
    add(base, "modules", eight_one.replace("stream: 8.2", "stream: 8.1") + eight_two)
    return packages


def test_the_newest_of_each_stream_comes(mirrored: Mirrored, modular: dict[str, Path]) -> None:
    mirrored.sync(scope=NEWEST)
    assert mirrored.pool == sha256s(*(modular[name] for name in ("newer", "8.1.2", "8.2.1")))


def test_everything_comes_but_sources(mirrored: Mirrored, modular: dict[str, Path]) -> None:
    mirrored.sync(scope=FULL)
    assert mirrored.pool == sha256s(*(p for name, p in modular.items() if name != "source"))


def test_of_errata_only_the_metadata_comes_unless_they_are_named(
    mirrored: Mirrored, rpms: Rpms
) -> None:
    mirrored.distribution("alma-9", "alma", key=rpms.other_key, more="errata_for: test-9")
    mirrored.offer("alma", rpms.other)
    assert ids(mirrored.sync(scope=FULL)) == ["test-9.x86_64", "alma-9.x86_64"]
    assert mirrored.pool == sha256s(rpms.good, rpms.needed)
    mirrored.sync(scope=NEWEST, only=["alma-9"])
    assert mirrored.pool == sha256s(rpms.good, rpms.needed, rpms.other)


# ---- packages that are refused ----


@pytest.fixture(params=["directory", "s3"])
def judged(request: pytest.FixtureRequest, mirrored: Mirrored, rpms: Rpms) -> Mirrored:
    """Upstream has two good packages, one that is not signed, one that another key signed."""
    mirrored.offer("base", rpms.good, rpms.unsigned, rpms.needed, rpms.other)
    if request.param == "s3":
        emulator: Emulator = request.getfixturevalue("emulator")
        return replace(mirrored, store_url=emulator.objects().name)
    return mirrored


def shared(project: Mirrored) -> set[str]:
    """The sha256s of what others can have."""
    return {Path(row.key).stem for row in project.ws.store.objects.listed("pool/")}


def test_refused_packages_leave_and_the_good_ones_stay(judged: Mirrored, rpms: Rpms) -> None:
    for _ in range(2):
        with pytest.raises(TrustError) as caught:
            judged.sync(scope=NEWEST)
        bad = {"other-0:1.0-1.el9.noarch", "unsigned-0:1.0-1.el9.noarch"}
        first = caught.value.message.partition(":1.0-1.el9.noarch: ")[0] + ":1.0-1.el9.noarch"
        (other,) = bad - {first}
        assert caught.value.message.endswith(f" (refused as well: {other})")
        assert judged.pool == shared(judged) == sha256s(rpms.good, rpms.needed)
        assert judged.waiting() == []


def test_what_is_good_now_is_taken(judged: Mirrored, rpms: Rpms, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="refused as well"):
        judged.sync(scope=NEWEST)
    fixed = signed(rpms.key, copied(rpms.unsigned, tmp_path / "fixed" / rpms.unsigned.name))
    judged.offer("base", rpms.good, rpms.needed, fixed)
    judged.sync(scope=NEWEST, accept=True)
    assert judged.pool == shared(judged) == sha256s(rpms.good, rpms.needed, fixed)


def test_nothing_is_in_the_pool_before_it_is_judged(
    judged: Mirrored, rpms: Rpms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that is killed between download and judgement leaves what waits beside the pool."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    judged.offer("base", rpms.good, rpms.needed)
    with monkeypatch.context() as during:
        during.setattr(make, "accept_packages", killed)
        with pytest.raises(KeyboardInterrupt):
            judged.sync(scope=NEWEST)
    assert judged.pool == shared(judged) == set()
    assert {path.stem for path in judged.waiting()} == sha256s(rpms.good, rpms.needed)
    # They need not come again.
    shutil.rmtree(judged.upstream("base") / "Packages")
    judged.sync(scope=NEWEST)
    assert judged.pool == shared(judged) == sha256s(rpms.good, rpms.needed)
    assert judged.waiting() == []


def test_a_package_that_is_not_there_is_told_and_the_others_are_kept(
    mirrored: Mirrored, rpms: Rpms
) -> None:
    (mirrored.upstream("base") / "Packages" / rpms.good.name).unlink()
    with pytest.raises(MissingError, match=r"Packages/good-1\.0-1\.el9\.noarch\.rpm: No such file"):
        mirrored.sync(scope=FULL)
    assert mirrored.pool == sha256s(rpms.needed)


def test_what_is_in_the_pool_is_not_judged_again(
    mirrored: Mirrored, newer: Path, rpms: Rpms, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored.sync(scope=FULL)

    def never(*_: object) -> None:
        raise AssertionError("judged again")

    monkeypatch.setattr(make, "accept_packages", never)
    mirrored.sync(scope=FULL)
    mirrored.offer("base", rpms.good, rpms.needed, newer)
    with pytest.raises(AssertionError, match="judged again"):
        mirrored.sync(scope=FULL)


# ---- over HTTP, and how long it takes ----


@pytest.fixture
def web(mirrored: Mirrored) -> Iterator[Upstream]:
    """The same upstream over HTTP."""
    with upstream.serving(mirrored.upstream("base").parent) as server:
        mirrored.distribution("test-9", "base", places={"base": f"{server.url}base/"})
        yield server


def test_with_nothing_new_repomd_is_all_that_is_read(mirrored: Mirrored, web: Upstream) -> None:
    mirrored.sync()
    mirrored.lock()
    web.asked.clear()
    (row,) = mirrored.sync(scope=NEWEST)
    assert not row.document()["new"]
    assert web.paths == ["/base/repodata/repomd.xml"]


def test_what_is_published_meanwhile_is_taken_whole(
    mirrored: Mirrored, web: Upstream, rpms: Rpms, newer: Path, tmp_path: Path
) -> None:
    after = tmp_path / "after"
    shutil.copytree(mirrored.upstream("base").parent, after)
    later = replace(mirrored, top=tmp_path / "later")
    shutil.copytree(later.offer("base", rpms.good, newer), after / "base", dirs_exist_ok=True)
    for path in (after / "base" / "repodata").iterdir():
        if not (later.upstream("base") / "repodata" / path.name).exists():
            path.unlink()
    web.on("*-primary.xml.*", becomes(after, status(404)), times=1)
    (row,) = mirrored.sync(scope=NEWEST)
    versions = {p.name: p.version for p in row.snapshot.packages(mirrored.ws.store, mirrored.pool)}
    assert versions == {"good": "1.0", "needed": "1.6"}


# ---- what is made on this machine ----


def test_the_sandbox_is_taken_when_it_is_said(
    mirrored: Mirrored, rpms: Rpms, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def made(_: Path, *, refresh: bool = False) -> SandboxRepository:
        asked.append(refresh)
        return SandboxRepository(
            root=mirrored.upstream("base"), key=rpms.key.public, fingerprint=rpms.key.fingerprint
        )

    monkeypatch.setattr(places, "make_sandbox", made)
    (mirrored.project / "rpm-mirror" / "sandbox.yaml").write_text(
        "id: sandbox\nname: A stand-in\nstand_in_for: test-9\nmade: true\nplatform: el9\n"
        "arches:\n  x86_64:\n    repositories:\n      - id: sandbox\n"
    )
    (row,) = mirrored.sync(sandbox=True, refresh=True)
    assert asked == [True]
    assert row.snapshot.stand_in
    assert mirrored.ws.store.names("snapshot") == ("sandbox.x86_64",)
