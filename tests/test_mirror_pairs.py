from __future__ import annotations

from dataclasses import replace

import pytest

from goldpress.mirror.difference.change import Build, Change, Findings
from goldpress.mirror.difference.pairs import (
    Keys,
    Offer,
    by_build,
    by_name,
    by_place,
    by_source,
    changes,
    judged,
    wins,
)


def build(
    name: str, evr: str, *, arch: str = "x86_64", repository: str = "base", stream: str = ""
) -> Build:
    epoch, _, rest = evr.rpartition(":")
    version, release = rest.split("-")
    return Build(
        name=name,
        epoch=int(epoch or 0),
        version=version,
        release=release,
        arch=arch,
        sha256=f"{name} {evr} {arch}",
        size=100,
        repository=repository,
        source_rpm=f"{name.split('-', maxsplit=1)[0]}-{version}-{release}.src.rpm",
        stream=stream,
    )


def nevra(row: Build) -> str:
    return f"{row.name}-{row.epoch}:{row.version}-{row.release}.{row.arch}"


def offer(*builds: Build) -> Offer:
    streams = {nevra(row): row.stream for row in builds if row.stream}
    return Offer(packages=builds, streams=streams)


def told(before: Offer, after: Offer, keys: Keys = by_place) -> list[tuple[str, ...]]:
    return [
        (c.kind, c.name, c.before.evr if c.before else "", c.after.evr if c.after else "")
        for c in changes(before, after, keys)
    ]


def test_packages_go_up_down_in_and_out() -> None:
    same = build("same", "1-1")
    before = offer(same, build("up", "1-9"), build("down", "1:1-1"), build("out", "1-1"))
    after = offer(same, build("up", "1-10"), build("down", "2-1"), build("in", "1-1"))
    assert told(before, after) == [
        ("down", "down", "1:1-1", "2-1"),
        ("added", "in", "", "1-1"),
        ("removed", "out", "1-1", ""),
        ("up", "up", "1-9", "1-10"),
    ]


def test_the_newest_of_each_is_compared() -> None:
    before = offer(build("a", "1-9"), build("a", "1-10"), build("a", "1-8"))
    after = offer(build("a", "1-9"), build("a", "1-10"))
    assert told(before, after) == []
    assert told(before, after, by_build) == [("removed", "a", "1-8", "")]


def test_the_same_name_with_other_bytes_is_rebuilt() -> None:
    before = offer(build("a", "1-1"))
    after = offer(replace(build("a", "1-1"), sha256="other"))
    (change,) = changes(before, after, by_place)
    assert (change.kind, change.same_name_other_bytes) == ("rebuilt", True)
    (change,) = changes(before, after, by_build)
    assert (change.kind, change.same_name_other_bytes) == ("rebuilt", True)


def test_architectures_are_packages_of_their_own() -> None:
    before = offer(build("a", "1-1"), build("a", "1-1", arch="i686"))
    after = offer(build("a", "2-1"), build("a", "1-1", arch="i686"))
    assert told(before, after) == [("up", "a", "1-1", "2-1")]


def test_a_stream_does_not_hide_what_is_in_none() -> None:
    other = build("php", "8.1-1", stream="php:8.1")
    before = offer(build("php", "8.0-1"), build("php", "8.2-1", stream="php:8.2"), other)
    after = offer(build("php", "8.0-2"), build("php", "8.2-2", stream="php:8.2"), other)
    assert told(before, after) == [
        ("up", "php", "8.0-1", "8.0-2"),
        ("up", "php", "8.2-1", "8.2-2"),
    ]


def test_an_image_that_changes_the_stream_changes_the_package() -> None:
    before = offer(build("php", "8.1-1", stream="php:8.1"))
    after = offer(build("php", "8.2-1", stream="php:8.2"))
    assert told(before, after, by_name) == [("up", "php", "8.1-1", "8.2-1")]
    assert [row[0] for row in told(before, after)] == ["removed", "added"]


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        ("1-1.module_el9+1+aa", "1-1.module_el9+2+bb", "rebuilt"),
        ("1-1.module+el9+1+aa", "1-1.module+el9+2+bb", "rebuilt"),
        ("1-1.module_el9+2+aa", "1-1.module_el9+1+bb", "down"),
        ("1-1.module_el9+1+aa", "1-2.module_el9+2+bb", "up"),
        # A release after the distribution's tag is how RHEL calls a fix, not a rebuild.
        ("1-1.el9", "1-1.el9_4.1", "up"),
    ],
)
def test_another_build_of_a_module_is_a_rebuild(one: str, two: str, kind: str) -> None:
    assert told(offer(build("a", one)), offer(build("a", two)))[0][0] == kind


def test_the_changelog_may_tell_of_a_rebuild() -> None:
    (change,) = changes(offer(build("a", "1-1")), offer(build("a", "1-2")), by_place)
    assert judged(change, Findings(rebuild=True)).kind == "rebuilt"
    assert judged(change, Findings()) is change
    (change,) = changes(offer(build("a", "1-1")), offer(build("a", "2-1")), by_place)
    assert judged(change, Findings(rebuild=True)) is change
    (change,) = changes(offer(build("a", "1-2")), offer(build("a", "1-1")), by_place)
    assert judged(change, Findings(rebuild=True)).kind == "down"


def test_a_repository_with_priority_hides_the_others() -> None:
    rows = (
        build("a", "1-1", repository="first"),
        build("a", "9-1", repository="second"),
        build("a", "9-1", arch="i686", repository="second"),
        build("b", "1-1", repository="second"),
    )
    assert wins(rows, {"first": 10, "second": 99}) == (rows[0], *rows[2:])
    assert wins(rows, {"first": 99, "second": 99}) == rows


def test_changes_are_grouped_by_source_package_and_stream() -> None:
    before = offer(build("php-cli", "1-1"), build("php-fpm", "1-1"), build("a", "1-1"))
    modular = (build(name, "2-1", stream="php:8.2") for name in ("php-cli", "php-fpm"))
    after = offer(build("a", "2-1"), *modular)
    rows = by_source(changes(before, after, by_name))
    assert {key: [change.name for change in found] for key, found in rows.items()} == {
        ("", "a"): ["a"],
        ("php:8.2", "php"): ["php-cli", "php-fpm"],
    }


def test_a_package_without_a_known_source_is_its_own() -> None:
    row = replace(build("a", "1-1"), source_rpm="")
    assert (
        Change(kind="added", name="a", arch="x86_64", before=None, after=row).present.source == "a"
    )
