"""controls.yaml: parsed strictly, paired with the suite both ways, and its waivers run out."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pressing import PROJECT
from suites import modules, named_checks, web_controls

from goldpress.controls import LEVELS, Controls, Level, load_controls, refuse_expired
from goldpress.definition import load_definition
from goldpress.errors import DocumentError, MissingError

SMALL: dict[str, Any] = {
    "controls": {
        "os-one": {
            "protects": "one",
            "value": "1",
            "source": ["CIS 1.1"],
            "level": "both",
            "files": ["/etc/one.conf", "/etc/one.d/*"],
            "not_exercised": {"sandbox": "it has none"},
            "waivers": [
                {"rule": "CIS 1.2", "reason": "why", "owner": "us", "expires": "2026-06-30"}
            ],
        },
        "web-two": {
            "protects": "two",
            "value": "2",
            "source": ["goldpress"],
            "level": "booted",
            "parameters": {"most": "2.0"},
            "remedy": "look at it",
        },
    },
    "duties": {"boot-three": {"says": "it runs", "level": "offline", "remedy": "start it"}},
}


def load(folder: Path, value: object) -> Controls:
    shutil.copytree(PROJECT / "images/web", folder / "web", symlinks=True)
    (folder / "web/controls.yaml").write_text(yaml.safe_dump(value))
    return load_controls(load_definition(folder / "web"))


def changed(**changes: object) -> dict[str, Any]:
    one = {**SMALL["controls"]["os-one"], **changes}
    return {**SMALL, "controls": {**SMALL["controls"], "os-one": one}}


def test_what_is_expected_where(tmp_path: Path) -> None:
    found = load(tmp_path, SMALL)
    assert found.expected("offline", "centos-stream-9") == ("boot-three", "os-one")
    assert found.expected("booted", "centos-stream-9") == ("os-one", "web-two")
    assert found.expected("booted", "sandbox") == ("web-two",)
    assert found.not_exercised("sandbox") == {"os-one": "it has none"}
    assert found.not_exercised("centos-stream-9") == {}
    assert found.parameters() == {"web-two": {"most": "2.0"}}


def test_what_to_do_and_who_claims_a_file(tmp_path: Path) -> None:
    found = load(tmp_path, SMALL)
    assert found.remedies(["os-one", "web-two", "boot-three", "unknown"]) == {
        "os-one": "restore it in /etc/one.conf, /etc/one.d/*",
        "web-two": "look at it",
        "boot-three": "start it",
    }
    assert found.claims("/etc/one.d/x.conf") == ("os-one",)
    assert found.claims("/etc/two.conf") == ()


def test_a_waiver_holds_through_its_last_day_and_then_stops_the_build(tmp_path: Path) -> None:
    found = load(tmp_path, SMALL)
    last = date(2026, 6, 30)
    refuse_expired(found, last)
    with pytest.raises(DocumentError) as caught:
        refuse_expired(found, last + timedelta(days=1))
    assert caught.value.message == (
        "os-one: the waiver of CIS 1.2 expired on 2026-06-30; us owns it"
    )
    assert "renew the waiver in controls.yaml" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (changed(level="none"), "controls.os-one.level: expected 'offline', 'booted' or 'both'"),
        (changed(sources=["x"]), "controls.os-one.sources: unknown key; nearest: source"),
        (changed(source=[]), "controls.os-one.source: "),
        (changed(protects="a\nb"), "controls.os-one.protects: 'a\\nb' is not one line of text"),
        (changed(files=["etc/x"]), "'etc/x' is not a path in the image"),
        (changed(files=[]), "controls.os-one: name the files that implement it, or a remedy"),
        (
            changed(waivers=[{"rule": "r", "reason": "x", "owner": "o", "expires": "soon"}]),
            "controls.os-one.waivers[0].expires: 'soon' is not a day, such as 2027-03-31",
        ),
        (
            changed(waivers=[{"rule": "r", "reason": "x", "expires": "2027-01-01"}]),
            "controls.os-one.waivers[0].owner: this key is required",
        ),
        ({"controls": {}}, "controls: at least one is needed"),
        ({"controls": {"one": SMALL["controls"]["os-one"]}}, "'one' is not an id of small words"),
        (
            {**SMALL, "duties": {"os-one": SMALL["duties"]["boot-three"]}},
            "duties.os-one: is a control already",
        ),
    ],
)
def test_faults_are_named_with_their_path(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, value)
    assert message in caught.value.message


def test_an_image_without_controls_is_refused(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "images/web", tmp_path / "web", symlinks=True)
    (tmp_path / "web/controls.yaml").unlink()
    with pytest.raises(MissingError, match=r"web/controls\.yaml: there is no such file"):
        load_controls(load_definition(tmp_path / "web"))


@pytest.mark.parametrize("level", LEVELS)
def test_every_control_has_its_check_and_every_check_its_control(level: Level) -> None:
    controls = web_controls()
    with modules(level) as suite:
        found = Counter(control for control, _ in named_checks(suite))
    assert found == Counter(controls.expected(level, "any distribution"))


@pytest.mark.parametrize("level", LEVELS)
def test_a_check_looks_at_what_its_level_has(level: Level) -> None:
    other = {"offline": "facts", "booted": "tree"}[level]
    with modules(level) as suite:
        for control, check in named_checks(suite):
            assert other not in check.__code__.co_varnames, control


def test_every_parameter_is_read_by_a_check() -> None:
    controls = web_controls()
    readers = set()
    for level in LEVELS:
        with modules(level) as suite:
            readers |= {
                control
                for control, check in named_checks(suite)
                if "parameters" in check.__code__.co_varnames
            }
    assert set(controls.parameters()) == readers


def test_no_waiver_of_the_web_image_is_over() -> None:
    refuse_expired(web_controls(), date(2026, 11, 23))


def test_every_overlay_file_and_module_belongs_to_a_control_or_a_duty() -> None:
    definition = load_definition(PROJECT / "images/web")
    controls = web_controls()
    files = [p for p in definition.files.rglob("*") if p.is_symlink() or p.is_file()]
    paths = [f"/{p.relative_to(definition.files)}".removesuffix(".j2") for p in files]
    assert paths
    assert [path for path in paths if not controls.claims(path)] == []
