"""Who approved what was merged: proven from what the hosting site tells, or refused by its rule."""

from __future__ import annotations

import dataclasses

import pytest
from channels import ONE, SMALL, TWO
from github_server import GitHubServer

from goldpress.errors import GitHubError, PromotionError
from goldpress.github import trees
from goldpress.github.pulls import PullRequest
from goldpress.promotion.approval import (
    approvers,
    judge_approval,
    judge_authors,
    judge_merge,
    judge_objections,
)
from goldpress.promotion.request import Trunk, merged_request, read_merge, read_request
from goldpress.promotion.verdict import Verdict
from goldpress.rehearsal.site import BOT, Hub, Pull

PATH = "images/web/channels/prod.yaml"
NEW = SMALL.replace(ONE, TWO)


@pytest.fixture
def hub(github: GitHubServer) -> Hub:
    github.hub.commit("main", {PATH: SMALL}, by="ann", message="a channel")
    github.hub.people["carl"] = type(github.hub.people["ann"])(login="carl")
    return github.hub


def proposal(hub: Hub, *, by: str = BOT, **given: str) -> Pull:
    hub.commit("propose/prod", {PATH: NEW}, by=by, **given)
    return hub.open("propose/prod", by=by)


def verdicts(github: GitHubServer, *, needed: int = 1) -> dict[str, Verdict]:
    """Every verdict on how the channel of `main` came to its digest, by rule."""
    repo = github.repository
    trunk = Trunk.read(repo)
    channel = trunk.channel(PATH)
    assert channel is not None
    pull = merged_request(trunk, channel)
    request, merge = read_request(repo, pull), read_merge(trunk, pull, channel)
    rows = (
        judge_merge(request, merge, path=PATH, digest=channel.digest),
        judge_authors(request),
        judge_approval(request, needed),
        judge_objections(request),
    )
    return {row.rule: row for row in rows}


def refused(github: GitHubServer, **given: int) -> dict[str, str]:
    """The rules that are not met, and why."""
    return {rule: row.why for rule, row in verdicts(github, **given).items() if not row.ok}


# ---- what is approved ----


@pytest.mark.parametrize("commits", [1, 2])
@pytest.mark.parametrize("method", ["squash", "merge", "rebase", "queue"])
def test_an_approved_merge_however_it_was_merged(
    github: GitHubServer, hub: Hub, method: str, commits: int
) -> None:
    for n in range(commits - 1):
        hub.commit("propose/prod", {PATH: SMALL.replace(ONE, f"sha256:{n:064}")})
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    # Others were merged in between, also other lines of this very file.
    hub.commit("main", {"README.md": "more\n", PATH: SMALL + "soak_hours: 0\n"}, by="ben")
    made = hub.merge(pull.number, by="ann", method=method)
    hub.commit("main", {"README.md": "even more\n"}, by="ben")
    found = verdicts(github)
    assert [row.rule for row in found.values() if row.ok] == [
        "merged", "authors", "approved", "no-objection",
    ]  # fmt: skip
    assert found["merged"].why == f"pull request {pull.number}, by ann"
    assert found["approved"].why == f"ann approved {pull.head}"
    assert found["authors"].why == BOT
    assert hub.pull(pull.number).merge_commit == made


def test_a_change_of_policy_afterwards_does_not_hide_who_approved(
    github: GitHubServer, hub: Hub
) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    hub.commit("main", {PATH: NEW + "soak_hours: 0\n"}, by="ben", message="policy")
    assert refused(github) == {}


def test_a_digest_that_came_back_needs_its_own_approval(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    for text in (SMALL, NEW):
        hub.git("update-ref", "-d", "refs/heads/propose/prod")
        hub.commit("propose/prod", {PATH: text})
        hub.merge(hub.open("propose/prod").number)
    assert list(refused(github)) == ["approved"]


def test_a_later_approval_counts_when_the_first_was_of_an_earlier_head(
    github: GitHubServer, hub: Hub
) -> None:
    hub.commit("propose/prod", {PATH: SMALL.replace(ONE, f"sha256:{9:064}")})
    pull = hub.open("propose/prod")
    hub.review(pull.number, "ann")
    hub.commit("propose/prod", {PATH: NEW})
    hub.review(pull.number, "ann")
    hub.review(pull.number, "ben", "COMMENTED")
    hub.merge(pull.number)
    assert refused(github) == {}


# ---- what is not ----


def test_an_unapproved_merge(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.merge(pull.number)
    assert refused(github) == {"approved": f"0 of 1 approvals of the head {pull.head[:12]}"}


def test_too_few_approvals(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    assert refused(github, needed=2) == {
        "approved": f"1 of 2 approvals of the head {pull.head[:12]}"
    }
    hub.pull(pull.number).merged_at = "2999-01-01T00:00:00Z"
    hub.review(pull.number, "ben")
    assert refused(github, needed=2) == {}


def test_a_self_approval(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub, by="ann")
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    why = refused(github)["approved"]
    assert why.endswith("; ann approved, but is an author of it")


@pytest.mark.parametrize(
    "way", ["opened", "pushed", "co-author", "renamed", "address", "force", "case"]
)
def test_an_approval_by_someone_who_had_a_hand_in_it(
    github: GitHubServer, hub: Hub, way: str
) -> None:
    given: dict[str, str] = {}
    if way == "pushed":
        given = {"pushed_by": "ann"}
    elif way == "co-author":
        given = {"message": "x\n\nCo-Authored-By: A <7+ann@users.noreply.github.com>"}
    elif way == "renamed":
        number = hub.people["ann"].number
        given = {"message": f"x\n\nCo-authored-by: A <{number}+smith@users.noreply.github.com>"}
    elif way == "case":
        given = {"message": "x\n\nCo-authored-by: A <ANN@users.noreply.github.com>"}
    elif way == "address":
        given = {"email": hub.people["ann"].email}
    if way == "force":
        # Her commit was pushed over by one in the bot's name.
        hub.commit("propose/prod", {PATH: NEW + "soak_hours: 0\n"}, pushed_by="ann")
        given = {"onto": hub.refs["refs/heads/main"]}
    hub.commit("propose/prod", {PATH: NEW}, **given)
    pull = hub.open("propose/prod", by="ann" if way == "opened" else BOT)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    assert refused(github)["approved"].endswith("; ann approved, but is an author of it")
    hub.pull(pull.number).merged_at = "2999-01-01T00:00:00Z"
    hub.review(pull.number, "ben")
    assert refused(github) == {}


def test_an_approval_of_an_earlier_head(github: GitHubServer, hub: Hub) -> None:
    first = hub.commit("propose/prod", {PATH: SMALL.replace(ONE, f"sha256:{9:064}")})
    pull = hub.open("propose/prod")
    hub.review(pull.number, "ann")
    hub.commit("propose/prod", {PATH: NEW})
    hub.merge(pull.number)
    assert refused(github)["approved"].endswith(f"; ann approved an earlier head, {first[:12]}")


def test_an_approval_after_the_merge(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.merge(pull.number)
    hub.review(pull.number, "ann")
    assert refused(github)["approved"].endswith("; ann approved only after it was merged")


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("guest", "guest may not write to the repository"),
        ("other[bot]", "other[bot] is no person"),
    ],
)
def test_an_approval_by_someone_whose_word_does_not_count(
    github: GitHubServer, hub: Hub, who: str, why: str
) -> None:
    hub.people["other[bot]"] = type(hub.people["ann"])(login="other[bot]", type="Bot")
    pull = proposal(hub)
    hub.review(pull.number, who)
    hub.merge(pull.number)
    assert refused(github)["approved"].endswith(f"; {why}")


@pytest.mark.parametrize(
    ("state", "why"),
    [("DISMISSED", "said dismissed"), ("CHANGES_REQUESTED", "said changes requested")],
)
def test_an_approval_that_was_taken_back(
    github: GitHubServer, hub: Hub, state: str, why: str
) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.review(pull.number, "ann", state)
    hub.merge(pull.number)
    assert refused(github)["approved"].endswith(f"; ann {why}")


def test_an_objection_that_stands(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ben", "CHANGES_REQUESTED")
    hub.review(pull.number, "guest", "CHANGES_REQUESTED")
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    assert refused(github) == {"no-objection": "ben asked for changes, and did not take it back"}


def test_an_author_whom_nobody_knows(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub, email="someone@elsewhere.example")
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    why = refused(github)["authors"]
    assert "GitHub knows no account of" in why
    assert "author goldpress[bot] <someone@elsewhere.example>" in why


def test_a_request_from_a_fork(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    hub.pull(pull.number).fork = True
    assert list(refused(github)) == ["authors"]
    assert "it comes from another repository" in refused(github)["authors"]


def test_pushes_that_are_not_told(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    kept = list(hub.activity)
    hub.activity = [row for row in kept if row.kind != "branch_creation"]
    told = "GitHub does not tell everyone who pushed to its branch propose/prod"
    assert refused(github) == {"authors": told}


def test_what_another_request_brought_to_the_branch(github: GitHubServer, hub: Hub) -> None:
    """Who pushed to that other branch is not told, and may have signed commits as somebody else."""
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    hub.activity = [
        dataclasses.replace(row, kind="pr_merge") if row.after == pull.head else row
        for row in hub.activity
    ]
    hub._note("branch_creation", "refs/heads/propose/prod", "0" * 40, pull.head, BOT)  # noqa: SLF001
    made = hub.activity.pop()
    hub.activity.insert(0, dataclasses.replace(made, after=pull.base_commit))
    assert refused(github) == {
        "authors": "its branch propose/prod was moved by pr_merge: whoever pushed that is not told"
    }


@pytest.mark.parametrize("method", ["squash", "merge"])
def test_an_approved_digest_that_came_back_with_its_old_branch(
    github: GitHubServer, hub: Hub, method: str
) -> None:
    """A merge whose file is as its second parent has it: that one has its own, old request."""
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    old = hub.merge(pull.number, method=method)
    back = hub.commit("main", {PATH: SMALL}, by="ann", message="back")
    hub.commit("main", {"README.md": "more\n"}, by="ann")
    tip = hub.refs["refs/heads/main"]
    tree = hub.git("rev-parse", f"{old}^{{tree}}")
    made = hub.commit_tree(tree, [tip, old], "merge", by="ben")
    hub.git("update-ref", "refs/heads/main", made)
    hub.commit("main", {"README.md": "even more\n"}, by="ann")
    assert back != tip
    assert refused(github) == {"merged": f"main had another digest since, at {tip[:12]}"}


def test_a_merge_that_the_branch_s_own_line_does_not_have(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    merged = hub.merge(pull.number)
    tree = hub.git("rev-parse", f"{merged}^{{tree}}")
    made = hub.commit_tree(tree, [pull.base_commit, merged], "the wrong way round", by="ben")
    hub.git("update-ref", "refs/heads/main", made)
    assert refused(github) == {
        "merged": f"main had another digest since, at {pull.base_commit[:12]}"
    }
    told = f"the line of {made[:12]} does not lead to {merged[:12]}"
    with pytest.raises(GitHubError, match=told):
        list(trees.line(github.repository, made, merged))


@pytest.mark.parametrize("by", ["merge", "squash"])
def test_merges_of_others_since_do_not_matter(github: GitHubServer, hub: Hub, by: str) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number, method=by)
    for n in range(3):
        hub.commit(f"other-{n}", {f"{n}": "x", PATH: NEW + f"# {n}\n"}, by="ben")
        hub.merge(hub.open(f"other-{n}").number, method="merge")
        hub.commit("main", {"README.md": f"{n}\n"}, by="ben")
    github.page = 2
    assert refused(github) == {}


def test_a_direct_push_is_no_promotion(github: GitHubServer, hub: Hub) -> None:
    made = hub.commit("main", {PATH: NEW}, by="ann")
    with pytest.raises(PromotionError) as caught:
        verdicts(github)
    assert caught.value.rule == "merged"
    assert f"the commit {made[:12]} changed `image:` without a pull request" in str(caught.value)


def test_a_direct_push_of_what_was_approved_once(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    hub.commit("main", {PATH: SMALL}, by="ann")
    hub.commit("main", {PATH: NEW}, by="ann")
    with pytest.raises(PromotionError, match="changed `image:` without a pull request"):
        verdicts(github)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"trust.yaml": "keys: {}\n"}, "it changes more than `image:` lines: trust.yaml is"),
        ({PATH: NEW + "soak_hours: 0\n"}, "its line `image:` is changed: + soak_hours: 0"),
    ],
)
def test_a_merge_that_brought_more_than_was_approved(
    github: GitHubServer, hub: Hub, files: dict[str, str], why: str
) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    _merge_otherwise(hub, pull, {PATH: NEW, **files})
    assert why in refused(github)["merged"]


def test_a_merge_that_brought_another_digest_than_was_approved(
    github: GitHubServer, hub: Hub
) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    _merge_otherwise(hub, pull, {PATH: SMALL.replace(ONE, f"sha256:{9:064}")})
    assert "brought other digests than were approved" in refused(github)["merged"]


def test_a_request_that_changes_more_however_well_approved(github: GitHubServer, hub: Hub) -> None:
    hub.commit("propose/prod", {"trust.yaml": "keys: {}\n"})
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number)
    assert refused(github)["merged"].endswith("lines: trust.yaml is changed, too")


def test_a_merge_of_another_head(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    hub.merge(pull.number, method="merge")
    # Whatever the site tells of the head by now: the commit has the one that was merged.
    other = hub.commit("elsewhere", {PATH: NEW}, message="the same, by another")
    hub.pull(pull.number).head = other
    assert "brought another head than the approved" in refused(github)["merged"]


def test_a_merge_that_is_not_on_the_branch_any_more(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    hub.review(pull.number, "ann")
    base = hub.refs["refs/heads/main"]
    hub.merge(pull.number, method="merge")
    hub.git("update-ref", "refs/heads/main", base)
    hub.git("update-ref", "refs/heads/main", pull.head)
    assert "main does not have the merge" in refused(github)["merged"]


def test_a_request_into_another_branch(github: GitHubServer, hub: Hub) -> None:
    hub.commit("release", {"x": "x"})
    hub.commit("propose/prod", {PATH: NEW})
    pull = hub.open("propose/prod", base="release")
    hub.review(pull.number, "ann")
    hub.merge(pull.number, method="merge")
    hub.git("update-ref", "refs/heads/main", hub.refs["refs/heads/propose/prod"])
    with pytest.raises(PromotionError, match="changed `image:` without a pull request"):
        verdicts(github)


def test_two_requests_that_brought_the_same_commit(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub)
    second = hub.open("propose/prod")
    hub.review(pull.number, "ann")
    hub.merge(pull.number, method="merge")
    second.merged_at = hub.now()
    with pytest.raises(PromotionError, match="changed `image:` by 2 merged pull requests"):
        verdicts(github)


def test_who_approved_is_told_in_order(github: GitHubServer, hub: Hub) -> None:
    pull = proposal(hub, message="fix\n\nExpedite: CVE-2026-1")
    for who in ("carl", "ann"):
        hub.review(pull.number, who)
    hub.merge(pull.number)
    request = read_request(github.repository, merged_pull(github))
    assert approvers(request) == ("ann", "carl")
    assert request.expedited == "CVE-2026-1"


def merged_pull(github: GitHubServer) -> PullRequest:
    trunk = Trunk.read(github.repository)
    channel = trunk.channel(PATH)
    assert channel is not None
    return merged_request(trunk, channel)


def _merge_otherwise(hub: Hub, pull: Pull, files: dict[str, str]) -> None:
    """A merge by somebody who could change what it brings."""
    hub.merge(pull.number)
    hub.git("update-ref", "refs/heads/main", pull.base_commit)
    hub.refs["refs/heads/main"] = pull.base_commit
    pull.merge_commit = hub.commit("main", files, by="ben", message="squashed")
