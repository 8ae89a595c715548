"""Owns the checks of the units of the image's own small services."""

from __future__ import annotations

from typing import Any

import pytest
from directives import different, exposure, lacking, unit
from promise import Promise
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


@pytest.mark.control("os-logs-shipped")
def test_logs_are_sent_last(tree: Facts, parameters: Watched[Any], promise: Promise) -> None:
    """Sending begins before what serves and ends after it, while there is a network."""
    assert promise.pools, "the input promises no pool"
    wanted = dict(parameters["orders"])
    wanted.update({pool.unit: parameters["pools"] for pool in promise.pools})
    wrong = []
    for name, orders in wanted.items():
        found = unit(tree.good(f"unit-{name}").text)
        words = {key: set(" ".join(values).split()) for key, values in found.items()}
        wrong += [f"{name}: {fault}" for fault in lacking(words, orders)]
    for name, rows in parameters["commands"].items():
        found = unit(tree.good(f"unit-{name}").text)
        missing = {key: rows[key] for key in rows if found.get(key) != rows[key]}
        wrong += [f"{name}: {key} is {found.get(key)}, not {row}" for key, row in missing.items()]
    assert not wrong, "; ".join(wrong)
