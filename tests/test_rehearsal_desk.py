"""What people do with the hosting site in a browser; and that GitHub's API does not offer it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3
from github_server import TOKEN, GitHubServer

from goldpress.rehearsal import desk
from goldpress.rehearsal.asked import Refused
from goldpress.rehearsal.site import Hub


def opened(hub: Hub, name: str, text: str = "1\n") -> int:
    hub.commit(name, {"x": text}, onto=hub.git("rev-parse", "main"))
    return hub.open(name, title=f"have {name}").number


def asked(github: GitHubServer, path: str, value: Any) -> tuple[int, dict[str, Any]]:
    answer = urllib3.request(
        "POST", f"{github.url}{path}", body=json.dumps(value).encode(), timeout=30, retries=False,
        headers={"Authorization": f"Bearer {TOKEN}", "X-GitHub-Api-Version": "2022-11-28"},
    )  # fmt: skip
    return answer.status, answer.json()


def test_ann_approves_what_the_head_is_and_ben_merges_it(github: GitHubServer) -> None:
    hub = github.hub
    number = opened(hub, "one")
    status, told = asked(github, "/_rehearsal/approve", {"pull": None})
    pull = hub.pull(number)
    assert (status, told) == (200, {
        "pull": number, "title": "have one", "approved_by": "ann", "merged_by": "ben",
        "commit": hub.git("rev-parse", "main"),
    })  # fmt: skip
    (review,) = pull.reviews
    assert (review.by, review.state, review.commit) == ("ann", "APPROVED", pull.head)
    assert (pull.state, pull.merged_by) == ("closed", "ben")
    assert hub.git("show", "main:x") == "1"


def test_nothing_is_open(github: GitHubServer) -> None:
    status, told = asked(github, "/_rehearsal/approve", {})
    assert (status, told["message"]) == (409, "no pull request is open")


def test_of_several_one_is_named(github: GitHubServer) -> None:
    one, two = opened(github.hub, "one"), opened(github.hub, "two", "2\n")
    status, told = asked(github, "/_rehearsal/approve", {"pull": None})
    assert status == 409
    assert told["message"] == (
        f"several pull requests are open: {one} (have one), {two} (have two)"
    )
    assert asked(github, "/_rehearsal/approve", {"pull": two})[1]["pull"] == two
    status, told = asked(github, "/_rehearsal/approve", {"pull": two})
    assert told["message"] == f"pull request {two} is not open; open: {one} (have one)"


def test_what_git_cannot_merge_is_not_merged(github: GitHubServer) -> None:
    one, two = opened(github.hub, "one"), opened(github.hub, "two", "2\n")
    desk.approve(github.hub, one)
    with pytest.raises(Refused, match=f"pull request {two} cannot be merged: ") as caught:
        desk.approve(github.hub, two)
    assert caught.value.status == 409
    assert github.hub.pull(two).state == "open"


@pytest.mark.parametrize("path", ["/_rehearsal/deploy", "/_rehearsal/"])
def test_nobody_does_anything_else(github: GitHubServer, path: str) -> None:
    status, told = asked(github, path, {})
    assert status == 404
    assert told["message"].startswith("nobody here knows how to POST")
    assert desk.PREFIX == "/_rehearsal/"


def test_who_holds_the_token_cannot_approve_by_the_api(github: GitHubServer) -> None:
    number = opened(github.hub, "one")
    path = f"/repos/{github.hub.name}/pulls/{number}"
    assert asked(github, f"{path}/reviews", {"event": "APPROVE"})[0] == 404
    assert asked(github, f"{path}/merge", {})[0] == 404
    assert github.hub.pull(number).reviews == []
