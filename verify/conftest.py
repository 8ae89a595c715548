"""Owns what every check is given: the machine's facts and what the image promised.

``GOLDPRESS_VERIFY_INPUT`` names the JSON file with the promises; ``--hosts`` the one machine.
Each check names the one control it proves; a check without one is an error.
"""

from __future__ import annotations

import os
from pathlib import Path

import facts as machine_facts
import pytest
import testinfra
from promise import Promise, read_promise

INPUT_VARIABLE = "GOLDPRESS_VERIFY_INPUT"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write each check's control into the report. Raises UsageError for a check without one."""
    for item in items:
        marks = list(item.iter_markers("control"))
        if len(marks) != 1 or len(marks[0].args) != 1:
            raise pytest.UsageError(f"{item.nodeid}: a check names exactly one control")
        item.user_properties.append(("control", marks[0].args[0]))


@pytest.fixture(scope="session")
def promise() -> Promise:
    """What the image promised."""
    return read_promise(Path(os.environ[INPUT_VARIABLE]))


@pytest.fixture(scope="session")
def facts(request: pytest.FixtureRequest, promise: Promise) -> machine_facts.Facts:
    """What the machine is, looked at once for all checks."""
    (hostspec,) = request.config.getoption("hosts").split(",")
    host = testinfra.get_host(hostspec, ssh_config=request.config.getoption("ssh_config"))
    return machine_facts.collect(host, promise.services)
