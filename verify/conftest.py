"""Owns what every check is given, and which checks a run has to consist of.

``GOLDPRESS_VERIFY_INPUT`` names the JSON file with the promises. A run is one level, one folder:
``offline`` looks at the tree of ``GOLDPRESS_VERIFY_TREE`` (see `tree.Place`), ``booted`` at the one
machine of ``--hosts``. Each check names the one control or duty it proves, all that the input
expects at this level are proved once each, and nothing else is.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import facts as machine_facts
import pytest
import testinfra
import tree as image_tree
from promise import Promise, read_promise
from sections import Facts
from watched import Watched, vacuous

INPUT_VARIABLE = "GOLDPRESS_VERIFY_INPUT"
PLACE_VARIABLE = "GOLDPRESS_VERIFY_TREE"
LEVELS = ("offline", "booted")


def control_of(item: pytest.Item) -> str:
    """The control that a check names. Raises UsageError when that is not exactly one."""
    marks = list(item.iter_markers("control"))
    if len(marks) != 1 or len(marks[0].args) != 1:
        raise pytest.UsageError(f"{item.nodeid}: a check names exactly one control")
    found: str = marks[0].args[0]
    return found


def level_of(item: pytest.Item) -> str:
    """The level of a check: its folder's name. Raises UsageError for another folder."""
    level = item.path.parent.name
    if level not in LEVELS:
        raise pytest.UsageError(f"{item.nodeid}: a check lies in one of {', '.join(LEVELS)}")
    return level


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop what is not exercised here; pair the others with the controls that the input expects.

    Raises UsageError for a control without its one check at this level, and for a check of none.
    """
    promised = read_promise(Path(os.environ[INPUT_VARIABLE]))
    items[:] = [item for item in items if control_of(item) not in promised.not_exercised]
    levels = {level_of(item) for item in items}
    if len(levels) > 1:
        raise pytest.UsageError("a run is of one level: give it one folder of the suite")
    found = Counter(control_of(item) for item in items)
    for item in items:
        item.user_properties.append(("control", control_of(item)))
    if not levels:
        return
    (level,) = levels
    expected = set(promised.expected[level])
    faults = [f"{name}: no check of the {level} level proves it" for name in expected - set(found)]
    faults += [f"{name}: controls.yaml has none for this level" for name in set(found) - expected]
    faults += [f"{name}: {n} checks, not one" for name, n in found.items() if n > 1]
    if faults:
        raise pytest.UsageError("\n".join(sorted(faults)))


@pytest.fixture(scope="session")
def promise() -> Promise:
    """What the image promised."""
    return read_promise(Path(os.environ[INPUT_VARIABLE]))


@pytest.fixture
def parameters(request: pytest.FixtureRequest, promise: Promise) -> Watched[Any]:
    """What the check's control says that it has to be compared with."""
    return Watched(promise.parameters.get(control_of(request.node), {}))


@pytest.fixture(scope="session")
def tree(promise: Promise) -> Facts:
    """What the tree is, looked at once for all offline checks."""
    place = image_tree.read_place(json.loads(Path(os.environ[PLACE_VARIABLE]).read_bytes()))
    return image_tree.collect(testinfra.get_host("local://"), promise, place)


@pytest.fixture(scope="session")
def facts(request: pytest.FixtureRequest, promise: Promise) -> Facts:
    """What the machine is, looked at once for all booted checks."""
    (hostspec,) = request.config.getoption("hosts").split(",")
    host = testinfra.get_host(hostspec, ssh_config=request.config.getoption("ssh_config"))
    return machine_facts.collect(host, promise)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Refuse a check that passes without having looked at anything."""
    given = getattr(item, "funcargs", {})
    look = given.get("facts") or given.get("tree")
    if look is not None:
        look.sections.forget()
    yield
    if why := vacuous(look.sections if look else None, given.get("parameters")):
        raise AssertionError(f"{why}: it would pass on any image")
