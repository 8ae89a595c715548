from __future__ import annotations

from pathlib import Path

import pytest
from definitions import definition
from rpms import distribution, make_repository, make_rpm, make_rpms

from goldpress.definition import Definition
from goldpress.errors import MissingError, ResolveError, TrustError
from goldpress.host.run import run
from goldpress.mirror.overrides import NONE
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.resolve import Resolution, full_request, make_lock
from goldpress.resolve import resolve as resolve_
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


def resolve(store: Store, snapshot: Snapshot, wanted: Definition) -> Resolution:
    return resolve_(store, [snapshot], wanted, cache=store.root / "cache")


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
    repositories: list[dict[str, object]] = [
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
        "  correct `packages:`, `exclude:` or `modules:` of web"
    )


def test_what_nobody_provides_is_told(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("broken")) == (
        "broken-0:1.0-1.el9.noarch (asked for) needs nowhere, which nothing in test-9 has\n"
        "  change `packages:`, `exclude:` or `modules:` of web"
    )


def test_a_conflict_is_told(store: Store, snapshot: Snapshot) -> None:
    said = refusal(store, snapshot, definition("app", "enemy"))
    assert "package enemy-1.0-1.el9.noarch conflicts with app provided by app-1.0-1" in said


def test_excluded_packages_do_not_come(store: Store, snapshot: Snapshot) -> None:
    wanted = definition("app", weak_dependencies=True, exclude=["ext*"])
    assert "extra 1.0" not in names(resolve(store, snapshot, wanted))
    assert refusal(store, snapshot, definition("app", exclude=["bas*"])) == (
        "lib-0:2.0-1.el9.noarch (needed by app) needs /usr/share/base, which "
        "base-0:1.0-1.el9.noarch has, but `exclude:` has 'bas*'\n  correct `exclude:` of web"
    )
    said = refusal(store, snapshot, definition("app", exclude=["ap*", "a*"]))
    assert said.startswith("the package 'app' is in test-9, but `exclude:` has a*\n")


def test_another_architecture_is_not_offered(store: Store, snapshot: Snapshot) -> None:
    said = refusal(store, snapshot, definition("foreign"))
    assert said.startswith("the package 'foreign' is in test-9, but it is for aarch64\n")


def test_modular_packages_hide_while_no_stream_is_enabled(store: Store, snapshot: Snapshot) -> None:
    assert names(resolve(store, snapshot, definition("tool"))) == ["tool 1.0"]


def test_an_enabled_stream_hides_everything_else_of_its_names(
    store: Store, snapshot: Snapshot
) -> None:
    found = resolve(store, snapshot, definition("tool", modules={"tool": "1.10"}))
    assert names(found) == ["tool 1.10"]
    said = refusal(store, snapshot, definition("provider", modules={"tool": "1.10"}))
    assert said.startswith(
        "the package 'provider' is in test-9, but the enabled module tool:1.10 takes its place\n"
    )


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
    assert refusal(store, snapshot, definition("app", **{"with": ["extra-9"]})) == (
        "the definition is with extra-9, the snapshots are with nothing"
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
    assert lock.snapshots == {"test-9": snapshot.digest}
    assert lock.request == full_request(wanted, NONE)
    assert lock.modules == {"tool": "1.10"}
    assert lock.source_date_epoch == max(p.build_time for p in found.packages)
    assert lock.resolver.startswith("libsolv ")
    assert {p.name: p.why for p in lock.packages}["base"] == ("required by lib",)


def test_a_package_without_a_signer_makes_no_lock(store: Store, snapshot: Snapshot) -> None:
    found = resolve(store, snapshot, definition("shell"))
    with pytest.raises(TrustError, match=r"^shell-0:1\.0-1\.el9\.noarch: its signature was not"):
        make_lock(found, {})
