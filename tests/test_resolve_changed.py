from __future__ import annotations

from typing import Any

import pytest

from goldpress.resolve.changed import changes

REQUEST: dict[str, Any] = {
    "packages": ["nginx", "redis"],
    "modules": {"php": "8.1", "redis": "7"},
    "weak_dependencies": False,
    "arch": "x86_64",
    "overrides": [],
}


def test_equal_requests_have_no_changes() -> None:
    assert changes(REQUEST, dict(REQUEST)) == ()


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("packages", ["nginx", "bash"], "packages: + bash, - redis"),
        (
            "modules",
            {"php": "8.2", "nodejs": "18"},
            "modules: + nodejs 18, php 8.1, now 8.2, - redis 7",
        ),
        ("weak_dependencies", True, "weak_dependencies: false, now true"),
        ("arch", "aarch64", "arch: x86_64, now aarch64"),
        ("overrides", [{"pin": "a", "evr": "0:1-1"}], "overrides: + pin a evr 0:1-1"),
        ("new", "x", "new: nothing, now x"),
    ],
)
def test_a_change_is_told(key: str, value: object, line: str) -> None:
    assert changes(REQUEST, {**REQUEST, key: value}) == (line,)


def test_a_key_that_is_gone_is_told() -> None:
    assert changes({"with": ["epel-9"]}, {}) == ("with: epel-9, now nothing",)


def test_every_change_has_a_line() -> None:
    found = changes(REQUEST, {**REQUEST, "arch": "aarch64", "packages": []})
    assert found == ("arch: x86_64, now aarch64", "packages: - nginx, - redis")
