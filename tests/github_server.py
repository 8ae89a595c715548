"""Owns the fixture of a hosting site; see `goldpress.rehearsal.hosting`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from goldpress.rehearsal.answers import TOKEN, GitHubServer
from goldpress.rehearsal.hosting import serving
from goldpress.rehearsal.site import Hub

__all__ = ["TOKEN", "GitHubServer", "github", "serving"]


@pytest.fixture
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubServer]:
    """A hosting site with a `main` branch, and the server that plays its API."""
    hub = Hub(bare=tmp_path_factory.mktemp("hosting") / "images.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    with serving(hub) as server:
        yield server
