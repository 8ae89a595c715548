"""images/web/units.yaml: every unit that CentOS's packages bring, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from centos import Metadata
from closures import Closure
from pressing import PROJECT

from goldpress.definition import Definition, load_definition
from goldpress.document import read_yaml

STATES = ("kept", "masked", "disabled", "replaced")
UNIT = re.compile(
    r"/usr/lib/systemd/(system|user)/"
    r"([^/]+\.(?:service|socket|timer|target|path|mount|automount|swap|slice))"
)
OTHER = re.compile(r"/usr/lib/systemd/((?:system|user)-(?:generators|preset)/[^/]+)")


def listed_as(path: str) -> str | None:
    """How units.yaml calls what is at `path`; None when it is no unit, generator or preset."""
    if unit := UNIT.fullmatch(path):
        return unit[2] if unit[1] == "system" else f"user/{unit[2]}"
    other = OTHER.fullmatch(path)
    return other[1] if other else None


def differences(listed: Mapping[str, Iterable[str]], real: Mapping[str, Iterable[str]]) -> set[str]:
    """A sentence for each unit that only one of them has in its package."""
    rows = {(package, unit) for package, units in listed.items() for unit in units}
    found = {(package, unit) for package, units in real.items() for unit in units}
    new = {f"{unit} of {package} is not in units.yaml" for package, unit in found - rows}
    return new | {f"{unit} is not in {package}" for package, unit in rows - found}


class Census:
    """The table: package -> unit -> (state, why), and what CentOS's presets enable."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        assert set(value) == {"enabled_by_presets", "appstream", "baseos"}
        self.presets: list[str] = value["enabled_by_presets"]
        self.baseos: dict[str, dict[str, str]] = value["baseos"]
        self.appstream: dict[str, dict[str, str]] = value["appstream"]

    def rows(self) -> list[tuple[str, str, str]]:
        """(unit, state, why) of all."""
        tables = (*self.baseos.values(), *self.appstream.values())
        cells = [(unit, *text.partition("; ")) for table in tables for unit, text in table.items()]
        return [(unit, state, why) for unit, state, _, why in cells]

    def in_state(self, state: str) -> set[str]:
        return {unit for unit, found, _ in self.rows() if found == state}


@pytest.fixture(scope="module")
def census() -> Census:
    return Census(read_yaml(PROJECT / "images/web/units.yaml"))


@pytest.fixture(scope="module")
def web() -> Definition:
    return load_definition(PROJECT / "images/web")


def test_each_row_is_a_state_and_a_reason(census: Census) -> None:
    rows = census.rows()
    assert len(rows) > 200
    assert len({unit for unit, _, _ in rows}) == len(rows)
    wrong = [unit for unit, state, why in rows if state not in STATES or len(why.split()) < 2]
    assert wrong == []


def test_the_table_and_the_image_agree(census: Census, web: Definition) -> None:
    units = {unit for unit, _, _ in census.rows()}
    services = web.services
    assert census.in_state("masked") == set(services.mask)
    assert census.in_state("disabled") == set(services.disable)
    places = ("usr/lib/systemd/system", "etc/systemd/system")
    own = {path.name for place in places for path in (web.files / place).iterdir()}
    assert set(services.enable) - own <= census.in_state("kept")
    assert set(census.presets) <= units


def test_what_centos_would_enable_is_wanted_or_off(census: Census, web: Definition) -> None:
    off = {*web.services.mask, *web.services.disable}
    wanted = {*web.services.enable} | {
        unit for unit in census.in_state("kept") if unit in census.presets
    }
    assert [unit for unit in census.presets if unit not in off | wanted] == []
    # And nothing is called unwanted that CentOS leaves alone: that would be a mistake of the table.
    assert sorted(set(web.services.disable) - set(census.presets)) == []


def test_both_differences_are_told() -> None:
    listed = {"a": ["one.service", "two.timer"]}
    real = {"a": ["one.service"], "b": ["new.socket"]}
    assert differences(listed, real) == {
        "new.socket of b is not in units.yaml",
        "two.timer is not in a",
    }
    assert differences(listed, listed) == set()


def test_what_counts_as_a_unit() -> None:
    system = "/usr/lib/systemd/system"
    assert listed_as(f"{system}/a@.service") == "a@.service"
    assert listed_as(f"{system}/-.mount") == "-.mount"
    assert listed_as("/usr/lib/systemd/user/a.target") == "user/a.target"
    assert listed_as(f"{system}-preset/90-x.preset") == "system-preset/90-x.preset"
    assert listed_as(f"{system}-generators/x") == "system-generators/x"
    for path in (
        f"{system}/a.target.wants/a.service",
        f"{system}/a.service.d/x.conf",
        "/a.service",
    ):
        assert listed_as(path) is None


# ---- real metadata ----


@pytest.mark.metadata
def test_every_unit_of_baseos_is_listed(census: Census, closure: Closure) -> None:
    found: dict[str, set[str]] = {}
    for path, (package, kind) in closure.paths.items():
        unit = None if kind == "dir" else listed_as(path)
        if unit:
            found.setdefault(package, set()).add(unit)
    assert differences(census.baseos, found) == set()


@pytest.mark.metadata
def test_the_units_of_appstream_are_of_packages_of_the_image(
    census: Census, closure: Closure, metadata: Metadata
) -> None:
    # Its file lists are not at hand; its packages' programs, and what lies in /etc, are.
    assert census.appstream.keys() <= closure.names
    programs = {
        "nginx": "/usr/sbin/nginx",
        "php-fpm": "/usr/sbin/php-fpm",
        "systemd-journal-remote": "/etc/systemd/journal-upload.conf",
    }
    assert programs.keys() == census.appstream.keys()
    assert all(program in metadata.owners for program in programs.values())
