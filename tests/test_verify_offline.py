"""Every offline check passes on a good tree, and fails on one that is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bad_trees import BAD
from good_machine import INPUT
from good_tree import GOOD
from suites import call, given, modules, named_checks

from goldpress.host.run import run


@pytest.fixture(scope="module")
def suite() -> Iterator[dict[str, ModuleType]]:
    """The suite's modules of the offline level."""
    with modules("offline") as found:
        yield found


@pytest.fixture(scope="module")
def checks(suite: dict[str, ModuleType]) -> dict[str, Callable[..., None]]:
    """Control -> the check that proves it."""
    return dict(named_checks(suite))


def test_every_check_passes_on_a_good_tree(
    suite: dict[str, ModuleType], checks: dict[str, Callable[..., None]], tmp_path: Path
) -> None:
    known = given(suite, tmp_path, GOOD, INPUT)
    for control, check in checks.items():
        call(suite, control, check, known)


@pytest.mark.parametrize("row", BAD, ids=lambda row: f"{row[0]}-{row[4][:30]}")
def test_a_check_fails_on_a_bad_tree(
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    row: tuple[str, str, str, str, str],
) -> None:
    control, section, old, new, message = row
    status, text = GOOD[section]
    assert old in text
    wrong = {**GOOD, section: (status, text.replace(old, new) if old else new)}
    with pytest.raises((AssertionError, ValueError), match=re.escape(message)):
        call(suite, control, checks[control], given(suite, tmp_path, wrong, INPUT))


def test_every_check_has_a_bad_tree(checks: dict[str, Callable[..., None]]) -> None:
    assert {row[0] for row in BAD} == set(checks)


def test_a_section_that_failed_fails_its_checks(
    suite: dict[str, ModuleType], checks: dict[str, Callable[..., None]], tmp_path: Path
) -> None:
    for section in GOOD:
        if section == "unit-var-log.mount":  # absent, it is a mount that is not there
            continue
        known = given(suite, tmp_path, {**GOOD, section: (1, "")}, INPUT)
        failed = []
        for control, check in checks.items():
            try:
                call(suite, control, check, known)
            except AssertionError as error:
                failed.append(str(error))
        wanted = f"looking at {section!r} failed with 1: it said nothing"
        assert any(wanted in text for text in failed), section


@pytest.mark.parametrize(
    "control",
    [
        "web-php-errors-hidden", "web-php-user", "web-php-sandbox", "web-php-exposure",
        "web-php-no-metadata", "web-php-pool-settings", "web-php-functions-off",
        "web-php-open-basedir", "web-pool-policy", "web-pool-isolation-policy",
        "web-pool-entry-policy", "web-nginx-policy",
    ],
)  # fmt: skip
def test_without_a_pool_nothing_is_proved(
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    control: str,
) -> None:
    known = given(suite, tmp_path, GOOD, {**INPUT, "pools": []})
    with pytest.raises(AssertionError, match="the input promises no pool"):
        call(suite, control, checks[control], known)


def test_every_section_is_valid_shell(suite: dict[str, ModuleType], tmp_path: Path) -> None:
    tree = suite["tree"]
    value: dict[str, Any] = {
        "tree": "/x y", "labels": "/l", "image_argv": ["in"], "host_argv": ["on"],
    }  # fmt: skip
    promise = given(suite, tmp_path, GOOD, INPUT)["promise"]
    batches = tree.batches(promise, tree.read_place(value))
    assert [argv for argv, _ in batches] == [("in",), ("on",)]
    names = {"labels"}
    for _, sections in batches:
        names |= set(sections)
        for command in sections.values():
            assert run(["sh", "-n", "-c", command]).stderr == b""
    assert names == set(GOOD)
