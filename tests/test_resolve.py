from __future__ import annotations

from pathlib import Path

import pytest
from rpms import distribution, make_repository, make_rpm, make_rpms

from goldpress.definition import Definition
from goldpress.document import parse
from goldpress.errors import MissingError, ResolveError, TrustError
from goldpress.host.run import run
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.resolve import Resolution, make_lock, request_sha256, resolve
from goldpress.store import Store

MODULES = """\
---
document: modulemd-defaults
version: 1
data: {{module: tool, stream: "1.10"}}
---
document: modulemd
version: 2
data:
  name: tool
  stream: 1.10
  version: 1
  arch: x86_64
  dependencies: [{{requires: {{platform: [el9]}}}}]
  artifacts: {{rpms: [tool-0:1.10-1.el9.noarch, tool-0:1.10-1.el9.src]}}
---
document: modulemd
version: 2
data:
  name: tool
  stream: 2
  version: 1
  arch: x86_64
  dependencies: [{{requires: {{platform: [el9], base: [a, b], extra: [-x]}}}}]
  artifacts: {{rpms: [tool-0:2.0-1.el9.noarch]}}
{more}"""


def definition(*packages: str, **changes: object) -> Definition:
    value: dict[str, object] = {
        "name": "web",
        "summary": "a test",
        "distribution": "test-9",
        "arch": "x86_64",
        "packages": list(packages),
        "disk": {"esp_mib": 64, "var_mib": 64},
        "verify": {"suite": "web", "boot_seconds": 60},
    }
    return parse(Definition, {**value, **changes}, name="image.yaml")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("resolve")
    first: dict[str, dict[str, str]] = {
        "app": {"Requires": "lib >= 2", "Recommends": "extra"},
        "lib": {},
        "base": {"Requires(post)": "shell"},
        "shell": {},
        "extra": {},
        "colours": {"Supplements": "app"},
        "broken": {"Requires": "nowhere"},
        "enemy": {"Conflicts": "app"},
        "tool": {},
        "provider": {"Provides": "tool = 9"},
    }
    packages = [
        *make_rpms(directory, first),
        *make_rpms(directory, {"lib": {"Requires": "/usr/share/base"}, "tool": {}}, version="2.0"),
        *make_rpms(directory, {"tool": {}}, version="1.10"),
        *make_rpms(directory, {"foreign": {}}, arch="aarch64"),
    ]
    base = make_repository(directory / "repository", *packages)
    modules = directory / "modules.yaml"
    modules.write_text(MODULES.format(more=""))
    run(["modifyrepo_c", "--mdtype=modules", str(modules), str(base / "repodata")], timeout=60)
    return base


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def snapshot(store: Store, repository: Path) -> Snapshot:
    return take_snapshot(store, distribution("base"), "x86_64", {"base": repository})


def names(resolution: Resolution) -> list[str]:
    return [p.nevra.removesuffix("-1.el9.noarch").replace("-0:", " ") for p in resolution.packages]


def refusal(store: Store, snapshot: Snapshot, wanted: Definition) -> str:
    with pytest.raises(ResolveError) as caught:
        resolve(store, snapshot, wanted)
    return str(caught.value)


def test_what_is_needed_comes_along_and_nothing_else(store: Store, snapshot: Snapshot) -> None:
    found = resolve(store, snapshot, definition("app"))
    assert names(found) == ["app 1.0", "base 1.0", "lib 2.0", "shell 1.0"]


def test_every_package_has_a_reason(store: Store, snapshot: Snapshot) -> None:
    found = resolve(store, snapshot, definition("app", "lib"))
    assert {row.package.name: row.why for row in found.chosen} == {
        "app": ("asked for",),
        "lib": ("asked for",),
        "base": ("required by lib",),
        "shell": ("required by base",),
    }


def test_a_row_has_all_that_a_lock_needs(store: Store, snapshot: Snapshot) -> None:
    (shell,) = resolve(store, snapshot, definition("shell")).packages
    (same,) = snapshot.packages(store, [shell.sha256])
    assert shell == same
    assert (shell.source_rpm, shell.repository) == ("app-1.0-1.el9.src.rpm", "base")


def test_weak_dependencies_come_when_asked_for(store: Store, snapshot: Snapshot) -> None:
    found = resolve(store, snapshot, definition("app", weak_dependencies=True))
    why = {row.package.name: row.why for row in found.chosen}
    assert why["extra"] == ("recommended by app",)
    assert why["colours"] == ("supplements app",)


def test_the_answer_is_always_the_same(store: Store, snapshot: Snapshot) -> None:
    wanted = definition("app", "tool", modules={"tool": "1.10"}, weak_dependencies=True)
    assert resolve(store, snapshot, wanted) == resolve(store, snapshot, wanted)


def test_a_lower_priority_wins(store: Store, tmp_path: Path, repository: Path) -> None:
    first = make_repository(tmp_path / "first", make_rpm(tmp_path, "lib", version="0.5"))
    repositories = [
        {"id": "base", "baseurl": "https://example.org/base/"},
        {"id": "first", "baseurl": "https://example.org/first/", "priority": 10},
    ]
    described = distribution(arches={"x86_64": {"repositories": repositories}})
    snapshot = take_snapshot(store, described, "x86_64", {"base": repository, "first": first})
    assert names(resolve(store, snapshot, definition("lib"))) == ["lib 0.5"]


def test_an_unknown_name_is_told_with_the_nearest(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("shel", "zzz", "app")) == (
        "no package named 'shel' in test-9; nearest: shell\n"
        "no package named 'zzz' in test-9\n"
        "  correct `packages:` of web"
    )


def test_what_nobody_provides_is_told(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("broken")) == (
        "nothing provides nowhere needed by broken-1.0-1.el9.noarch\n"
        "  change `packages:`, `exclude:` or `modules:` of web"
    )


def test_a_conflict_is_told(store: Store, snapshot: Snapshot) -> None:
    said = refusal(store, snapshot, definition("app", "enemy"))
    assert "package enemy-1.0-1.el9.noarch conflicts with app provided by app-1.0-1" in said


def test_excluded_packages_do_not_come(store: Store, snapshot: Snapshot) -> None:
    wanted = definition("app", weak_dependencies=True, exclude=["ext*"])
    assert "extra 1.0" not in names(resolve(store, snapshot, wanted))
    said = refusal(store, snapshot, definition("app", exclude=["bas*"]))
    assert "nothing provides /usr/share/base needed by lib-2.0-1.el9.noarch" in said


def test_another_architecture_is_not_offered(store: Store, snapshot: Snapshot) -> None:
    said = refusal(store, snapshot, definition("foreign"))
    assert "the package 'foreign' is in test-9, but only in a module stream that is not" in said


def test_modular_packages_hide_while_no_stream_is_enabled(store: Store, snapshot: Snapshot) -> None:
    assert names(resolve(store, snapshot, definition("tool"))) == ["tool 1.0"]


def test_an_enabled_stream_hides_everything_else_of_its_names(
    store: Store, snapshot: Snapshot
) -> None:
    found = resolve(store, snapshot, definition("tool", modules={"tool": "1.10"}))
    assert names(found) == ["tool 1.10"]
    said = refusal(store, snapshot, definition("provider", modules={"tool": "1.10"}))
    assert "the package 'provider' is in test-9, but only in a module stream that is not" in said


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"tol": "1"}, "no module named 'tol'; nearest: tool"),
        ({"tool": "1.1"}, "module 'tool' has no stream '1.1'; it has 1.10, 2"),
        ({"tool": "2"}, "module tool:2 requires base: a, b\n  enable it in `modules:`"),
    ],
)
def test_a_stream_that_cannot_be_enabled_is_told(
    store: Store, snapshot: Snapshot, modules: dict[str, str], message: str
) -> None:
    assert message in refusal(store, snapshot, definition("tool", modules=modules))


def test_a_definition_of_another_place_is_refused(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("app", distribution="real-9")) == (
        "the definition is for real-9, the snapshot of test-9"
    )
    assert refusal(store, snapshot, definition("app", arch="aarch64")) == (
        "the definition is for aarch64, the snapshot for x86_64"
    )


def test_metadata_that_left_the_store_is_missing(tmp_path: Path, repository: Path) -> None:
    store = Store(root=tmp_path / "store")
    snapshot = take_snapshot(store, distribution("base"), "x86_64", {"base": repository})
    store.meta_path(snapshot.repositories[0].metadata["primary"].sha256).unlink()
    with pytest.raises(MissingError, match="the store has no base/primary"):
        resolve(store, snapshot, definition("app"))


def test_a_lock_is_made_when_every_signer_is_known(store: Store, snapshot: Snapshot) -> None:
    wanted = definition("app", "tool", modules={"tool": "1.10"})
    found = resolve(store, snapshot, wanted)
    signers = {p.sha256: "A" * 40 for p in found.packages}
    lock = make_lock(found, signers)
    assert [p.nevra for p in lock.packages] == [p.nevra for p in found.packages]
    assert (lock.distribution, lock.stand_in, lock.platform) == ("test-9", False, "el9")
    assert lock.snapshot == snapshot.digest
    assert lock.request_sha256 == request_sha256(wanted.request())
    assert lock.modules == {"tool": "1.10"}
    assert lock.source_date_epoch == max(p.build_time for p in found.packages)
    assert lock.resolver.startswith("libsolv ")
    assert {p.name: p.why for p in lock.packages}["base"] == ("required by lib",)


def test_a_package_without_a_signer_makes_no_lock(store: Store, snapshot: Snapshot) -> None:
    found = resolve(store, snapshot, definition("shell"))
    with pytest.raises(TrustError, match=r"^shell-0:1\.0-1\.el9\.noarch: its signature was not"):
        make_lock(found, {})


# ---- real metadata ----


@pytest.fixture(scope="module")
def real(store: Store, real_metadata: Path) -> Snapshot:
    described = distribution("baseos", "appstream")
    sources = {
        "baseos": real_metadata / "BaseOS-2022-02-07",
        "appstream": real_metadata / "AppStream-2025-01-13",
    }
    return take_snapshot(store, described, "x86_64", sources)


def dnf_chooses(metadata: Path, directory: Path, wanted: Definition) -> set[str]:
    """What dnf itself would install, as its own resolver writes it down: name-[e:]v-r.arch."""
    options = {
        "reposdir": "/nonexistent",
        "install_weak_deps": str(wanted.weak_dependencies),
        "module_platform_id": "platform:el9",
        "cachedir": str(directory / "cache"),
        "logdir": str(directory / "log"),
        "persistdir": str(directory / "persist"),
        "plugins": "0",
        "gpgcheck": "0",
    }
    (directory / "log").mkdir()
    base = [
        *("dnf", "-q", "--installroot", str(directory / "root"), "--releasever", "9"),
        *(f"--setopt={key}={value}" for key, value in options.items()),
        f"--repofrompath=baseos,file://{metadata}/BaseOS-2022-02-07",
        f"--repofrompath=appstream,file://{metadata}/AppStream-2025-01-13",
    ]
    if wanted.modules:
        streams = [f"{module}:{stream}" for module, stream in wanted.modules.items()]
        run([*base, "-y", "module", "enable", *streams], cwd=directory, timeout=120)
    # It ends with failure, because the answer to its question is no.
    run(
        [*base, "--assumeno", "--debugsolver", "install", *wanted.packages],
        cwd=directory,
        timeout=120,
        check=False,
    )
    result = directory / "debugdata" / "rpms" / "solver.result"
    rows = [line.split() for line in result.read_text().splitlines()]
    assert {row[0] for row in rows} == {"install"}
    return {row[1].rpartition("@")[0] for row in rows}


@pytest.mark.metadata
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weak_dependencies": True},
        {"modules": {"php": "8.2"}},
        {"modules": {"php": "8.1", "nginx": "1.24", "redis": "7"}},
    ],
)
def test_the_answer_is_the_one_of_dnf(
    store: Store, real: Snapshot, real_metadata: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    wanted = definition("nginx", "php-fpm", "kernel-core", "redis", **changes)
    found = {p.nevra.replace("-0:", "-", 1) for p in resolve(store, real, wanted).packages}
    assert found == dnf_chooses(real_metadata, tmp_path, wanted)
    assert len(found) > 100


@pytest.mark.metadata
def test_real_contradictions_are_told(store: Store, real: Snapshot) -> None:
    said = refusal(store, real, definition("ngnix"))
    assert said.startswith("no package named 'ngnix' in test-9; nearest: nginx")
    said = refusal(store, real, definition("php-fpm", modules={"php": "8.3"}))
    assert "nothing provides libcrypto.so.3(OPENSSL_3.2.0)(64bit) needed by php-fpm-8.3" in said
    said = refusal(store, real, definition("php-fpm", modules={"php": "8.9"}))
    assert "module 'php' has no stream '8.9'; it has 8.1, 8.2, 8.3" in said
