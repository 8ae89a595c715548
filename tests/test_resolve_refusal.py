"""What a person is told when there is no answer, on a repository made for it."""

from __future__ import annotations

import pytest
from definitions import definition
from rpms import distribution, make_repository, make_rpms

from goldpress.definition import Definition
from goldpress.errors import ResolveError
from goldpress.host.run import run
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.resolve import resolve
from goldpress.resolve.cause import any_version
from goldpress.resolve.refusal import _listed
from goldpress.store import Store

MODULE = """\
---
document: modulemd
version: 2
data:
  name: lang
  stream: "{stream}"
  version: 1
  arch: x86_64
  artifacts: {{rpms: [{artifacts}]}}
"""
MODULES = MODULE.format(
    stream="1", artifacts="lang-0:1.0-1.el9.noarch, lang-more-0:1.0-1.el9.noarch"
) + MODULE.format(stream="2", artifacts="lang-0:2.0-1.el9.noarch, lang-only-0:2.0-1.el9.noarch")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def snapshot(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    directory = tmp_path_factory.mktemp("refusal")
    packages = [
        *make_rpms(
            directory,
            {
                "site": {"Requires": "lang-api = 1"},
                "blog": {"Requires": "lang-api = 1"},
                "shop": {"Requires": "lib = 3"},
                "outer": {"Requires": "middle"},
                "middle": {"Requires": "inner"},
                "inner": {"Requires": "lib = 3"},
                "lib": {},
                "wide": {"Requires": "gone"},
                "one": {"Conflicts": "two"},
                "two": {},
                "rich": {"Requires": "(gone if lib)"},
            },
        ),
        *make_rpms(directory, {"wide": {"Requires": "gone, gone-too"}}, version="1.5"),
        *make_rpms(
            directory,
            {"lang": {"Provides": "lang-api = 1"}, "lang-more": {"Requires": "lib"}},
        ),
        *make_rpms(
            directory,
            {"lang": {"Provides": "lang-api = 2", "Requires": "lib = 3"}, "lang-only": {}},
            version="2.0",
        ),
        *make_rpms(directory, {"late": {}}),
        *make_rpms(directory, {"late": {"Requires": "gone"}}, version="2.0"),
    ]
    base = make_repository(directory / "repository", *packages)
    (directory / "modules.yaml").write_text(MODULES)
    argv = ["modifyrepo_c", "--mdtype=modules", str(directory / "modules.yaml")]
    run([*argv, str(base / "repodata")], timeout=60)
    return take_snapshot(store, distribution("base"), "x86_64", {"base": base})


def refusal(store: Store, snapshot: Snapshot, wanted: Definition) -> list[str]:
    with pytest.raises(ResolveError) as caught:
        resolve(store, [snapshot], wanted, cache=store.root / "cache")
    return str(caught.value).splitlines()


def test_a_stream_that_has_it_is_named_with_what_enables_it(
    store: Store, snapshot: Snapshot
) -> None:
    assert refusal(store, snapshot, definition("site", "blog")) == [
        (
            "blog-0:1.0-1.el9.noarch (asked for) needs lang-api = 1, which module lang:1 has, and "
            "that is not enabled; so do site"
        ),
        '  in `modules:` of web, `lang: "1"` enables it',
    ]


def test_another_version_is_named(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("shop", "outer")) == [
        (
            "shop-0:1.0-1.el9.noarch (asked for) needs lib = 3, and what comes nearest, "
            "lib-0:1.0-1.el9.noarch of base, has another version; so do inner"
        ),
        "  change `packages:`, `exclude:` or `modules:` of web",
    ]


def test_the_way_is_told_from_who_needs_it_to_who_was_asked_for(
    store: Store, snapshot: Snapshot
) -> None:
    (first, *_) = refusal(store, snapshot, definition("outer"))
    assert first.startswith(
        "inner-0:1.0-1.el9.noarch (needed by middle, needed by outer) needs lib"
    )


def test_the_newest_version_speaks_for_all(store: Store, snapshot: Snapshot) -> None:
    (first, *_) = refusal(store, snapshot, definition("wide"))
    assert first == "wide-0:1.5-1.el9.noarch (asked for) needs gone, which nothing in test-9 has"


def test_a_stream_that_would_do_is_found_by_trying(store: Store, snapshot: Snapshot) -> None:
    first, second = refusal(store, snapshot, definition("lang", modules={"lang": "2"}))
    assert first.startswith("lang-0:2.0-1.el9.noarch (asked for, of module lang:2) needs lib = 3,")
    assert second == "  with lang:1 in `modules:` of web it goes"


def test_a_stream_that_lacks_a_name_would_not_do(store: Store, snapshot: Snapshot) -> None:
    wanted = definition("lang", "lang-only", modules={"lang": "2"})
    assert refusal(store, snapshot, wanted)[1] == (
        "  change `packages:`, `exclude:` or `modules:` of web"
    )


def test_a_conflict_is_said_as_it_is(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("one", "two"))[0] == (
        "package one-1.0-1.el9.noarch conflicts with two provided by two-1.0-1.el9.noarch"
    )


def test_a_rich_requirement_is_told_whole(store: Store, snapshot: Snapshot) -> None:
    assert refusal(store, snapshot, definition("rich", "lib"))[0] == (
        "package rich-1.0-1.el9.noarch requires (gone if lib), but none of the providers can be "
        "installed"
    )


def test_who_is_not_the_newest_is_told_though_there_is_an_answer(
    store: Store, snapshot: Snapshot
) -> None:
    found = resolve(store, [snapshot], definition("late"), cache=store.root / "cache")
    assert [p.nevra for p in found.packages] == ["late-0:1.0-1.el9.noarch"]
    assert found.held_back == (
        (
            "late-0:2.0-1.el9.noarch is not taken: nothing provides gone needed by "
            "late-2.0-1.el9.noarch"
        ),
    )


@pytest.mark.parametrize(
    ("requirement", "plain"),
    [
        ("lib = 3", "lib"),
        ("libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6()(64bit)"),
        ("libc.so.6(GLIBC_2.34)", "libc.so.6()"),
        ("libc.so.6()(64bit)", "libc.so.6()(64bit)"),
        ("config(nginx)", "config(nginx)"),
        ("/usr/bin/sh", "/usr/bin/sh"),
        ("php(api)", "php(api)"),
    ],
)
def test_a_requirement_without_its_version(requirement: str, plain: str) -> None:
    assert any_version(requirement) == plain


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcdef"), "a, b, c, d and 2 more"),
    ],
)
def test_names_are_listed_as_people_do(names: list[str], text: str) -> None:
    assert _listed(names) == text
