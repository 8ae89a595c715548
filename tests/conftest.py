"""Owns what all tests share: real metadata when it is there, and saying what was not run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from centos import Metadata, read_metadata, usable
from hypothesis import settings

REAL_METADATA = "GOLDPRESS_REAL_METADATA"

pytest_plugins = [
    "emulated",
    "clouds",
    "fronts",
    "rpms",
    "stores",
    "mirrored",
    "closures",
    "github_server",
    "promotable",
    "fleeted",
    "cve_site",
]


# How long an example takes is the machine's business.
settings.register_profile("goldpress", deadline=None)
settings.load_profile("goldpress")


def pytest_configure(config: pytest.Config) -> None:
    # The verify suite has its own configuration, which does not apply where it is tested.
    config.addinivalue_line("markers", "control(id): the control that a check proves")
    config.addinivalue_line("markers", f"metadata: reads real metadata from ${REAL_METADATA}")


@pytest.fixture(scope="session")
def real_metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real CentOS Stream 9 repositories' metadata; for tests with the marker `metadata`."""
    return usable(
        Path(os.environ[REAL_METADATA]) / "centos-stream-9", tmp_path_factory.mktemp("centos")
    )


@pytest.fixture(scope="session")
def metadata(real_metadata: Path) -> Metadata:
    """The same, as names and owners of paths."""
    return read_metadata(real_metadata)


@pytest.fixture(scope="session")
def real_policies() -> Path:
    """The names in the real SELinux policies, c9s.json and c10s.json; marker `metadata`."""
    return Path(os.environ[REAL_METADATA]) / "selinux"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without real metadata its tests are not collected, and that is said: never a skip."""
    if os.environ.get(REAL_METADATA):
        return
    absent = [item for item in items if item.get_closest_marker("metadata")]
    if not absent:
        return
    items[:] = [item for item in items if item not in absent]
    config.hook.pytest_deselected(items=absent)
    config.stash[NOT_RUN] = len(absent)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    count = config.stash.get(NOT_RUN, 0)
    if count:
        terminalreporter.write_line(
            f"{count} tests were not run: they read real metadata, and {REAL_METADATA} is not set"
        )


NOT_RUN = pytest.StashKey[int]()
