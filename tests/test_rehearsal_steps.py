"""The steps of an image into a channel: what nothing came of is an error.

That they do what they say is tests/test_promotion_whole.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from github_server import GitHubServer
from promotable import Site
from test_ami import AMI

from goldpress import promoting, proposing, publishing
from goldpress.errors import CloudError, GitHubError
from goldpress.rehearsal.steps import Steps


@pytest.fixture
def steps(site: Site, github: GitHubServer) -> Steps:
    return Steps(ws=site.ws, github=github, endpoint="http://127.0.0.1:1")


def answer(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def published(**row: Any) -> list[Any]:
    return [SimpleNamespace(**{"error": None, "published": None, **row})]


def test_an_ami_that_was_made(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    made = published(published=SimpleNamespace(ami=AMI))
    monkeypatch.setattr(publishing, "publish", answer(made))
    assert steps.published(SimpleNamespace()) == AMI  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "said"),
    [({"error": CloudError("no capacity")}, "no capacity"), ({}, "nothing was published")],
)
def test_an_ami_that_was_not(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(publishing, "publish", answer(published(**row)))
    with pytest.raises(CloudError, match=said):
        steps.published(SimpleNamespace())  # type: ignore[arg-type]


def test_nothing_to_propose(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposing, "propose", answer(None))
    with pytest.raises(GitHubError, match="sha256:1: there is nothing to propose"):
        steps.proposed("sha256:1")


def test_nothing_was_promoted(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promoting, "failure", answer(None))
    monkeypatch.setattr(promoting, "promote", answer([SimpleNamespace(promotion=None)]))
    with pytest.raises(GitHubError, match="staging: nothing was promoted"):
        steps.promote()


def test_a_promotion_that_is_refused(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promoting, "promote", answer([]))
    monkeypatch.setattr(promoting, "failure", answer(GitHubError("not approved")))
    with pytest.raises(GitHubError, match="not approved"):
        steps.promote()
