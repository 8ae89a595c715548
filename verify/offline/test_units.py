"""Owns the checks of the units of the image's own small services."""

from __future__ import annotations

from typing import Any

import pytest
from directives import different, exposure, unit
from sections import Facts
from watched import Watched


@pytest.mark.control("os-service-sandbox")
def test_sandbox(tree: Facts, parameters: Watched[Any]) -> None:
    """Each has its domain and every directive; a good score alone would hide one less."""
    assert parameters["domains"], "the control names no service"
    wrong = []
    for name, domain in parameters["domains"].items():
        found = {k: " ".join(v) for k, v in unit(tree.good(f"unit-{name}").text).items()}
        context = f"system_u:system_r:{domain}:s0"
        faults = different(found, {**parameters["directives"], "SELinuxContext": context})
        if too_much := exposure(tree.good(f"exposure-{name}").text, parameters["most"]):
            faults.append(too_much)
        wrong += [f"{name}: {fault}" for fault in faults]
    assert not wrong, "; ".join(wrong)
