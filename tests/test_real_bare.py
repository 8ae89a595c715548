"""The A/B guard: without its controls the image fails every one of them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bare import MISTAKES, Bare, booted_bare, press_bare
from pressing import PROJECT, sandbox_press
from suites import web_controls

from goldpress.build import promises
from goldpress.controls import Level
from goldpress.digest import sha256_tree
from goldpress.host import trees
from goldpress.host.confine import remove_tree
from goldpress.press import Pressed
from goldpress.verify import guard
from goldpress.verify.junit import Judgement, judge
from goldpress.verify.offline import examine_tree
from goldpress.verify.suite import run_suite

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SUITE = PROJECT / "verify"
CONTROLS = web_controls()


@pytest.fixture(scope="module")
def pressed() -> Pressed:
    """The hardened image."""
    return sandbox_press().press()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """The bare one."""
    folder = tmp_path_factory.mktemp("bare")
    try:
        yield press_bare(sandbox_press(), folder)
    finally:
        remove_tree(folder)


def failed(found: Judgement) -> dict[str, str]:
    assert found.faults == ()
    return {check.control: check.message for check in found.checks if check.outcome != "passed"}


def check_verdict(found: Judgement, level: Level) -> None:
    """Every control failed and every duty passed; how each ended is kept for the report."""
    red = failed(found)
    press = sandbox_press()
    guard.record(
        press.workspace.store,
        CONTROLS,
        found.checks,
        image=press.definition.name,
        distribution=press.distribution.id,
        level=level,
        suite_sha256=sha256_tree(SUITE),
    )
    expected = CONTROLS.expected(level, press.distribution.id)
    assert {check.control for check in found.checks} == set(expected)
    controls = {name for name in expected if name in CONTROLS.controls}
    assert sorted(controls - set(red)) == [], "controls that hold without being there"
    duties = {name: red[name] for name in red if name not in controls}
    assert duties == {}, "duties that fail for want of a control"


def test_offline_every_control_fails_on_the_bare_tree(
    pressed: Pressed, bare: Bare, tmp_path: Path
) -> None:
    found = examine_tree(bare.rootfs, suite=SUITE, facts=promises(pressed), directory=tmp_path)
    check_verdict(found, "offline")


def test_booted_every_control_fails_on_the_bare_machine(
    pressed: Pressed, bare: Bare, tmp_path: Path
) -> None:
    with booted_bare(bare, tmp_path / "machine") as (machine, up):
        facts = {**promises(pressed), "host_key": up.fingerprint}
        status, report = run_suite(machine, suite=SUITE, facts=facts)
    check_verdict(judge(report, status), "booted")


def test_every_file_that_differs_is_claimed(pressed: Pressed, bare: Bare) -> None:
    hardened = pressed.stages["rootfs"].directory
    changed = set()
    for part, prefix in (("tree", ""), ("var", "/var")):
        one, other = (files(trees.listing(root / part)) for root in (hardened, bare.rootfs))
        paths = {*one, *other}
        changed |= {f"{prefix}{path}" for path in paths if one.get(path) != other.get(path)}
    assert len(changed) > len(MISTAKES)
    assert sorted(path for path in changed if not CONTROLS.claims(path)) == []


def files(listing: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is no folder, without its time."""
    return {
        path: {key: value for key, value in row.items() if key != "mtime"}
        for path, row in listing.items()
        if "content" in row
    }
