"""The branch of a proposal: one commit, kept while it proposes the same, never somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from channels import ONE, PROD, SMALL, TWO, channel
from gits import Checkout, make_checkout
from proposals import image

from goldpress.channel import Channel
from goldpress.errors import CommandError, ConflictError, MissingError
from goldpress.host.git import Git
from goldpress.host.run import run
from goldpress.promotion import branch
from goldpress.promotion.difference import ImageDifference
from goldpress.promotion.plan import Plan
from goldpress.promotion.proposal import MARK, Change, Proposal

THREE = f"sha256:{'3' * 64}"
NAME = "goldpress/prod"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A checkout with a remote, and another checkout where somebody else works."""

    mine: Checkout
    other: Checkout
    git: Git

    @property
    def base(self) -> str:
        found = self.git.fetch("main")
        assert found
        return found

    def write(self, proposal: Proposal, *, push: bool = True) -> branch.Branch:
        return branch.write(self.git, proposal, base=self.base, push=push)

    def merge(self) -> None:
        """What the hosting site does with a squash: the change as another commit on main."""
        self.other.git("fetch", "-q")
        self.other.git("merge", "-q", "--squash", f"origin/{NAME}")
        self.other.git("commit", "-q", "-m", "merged")
        self.other.git("push", "-q", "origin", "main")


def proposed(digest: str, text: str = SMALL, *, expedite: str = "") -> Proposal:
    found: Channel = channel(text)
    difference = ImageDifference(before=None, after=image(digest, newer=True), packages=None)
    change = Change(plan=Plan(channel=found, counts={}), difference=difference)
    return Proposal(channel="prod", changes=(change,), expedite=expedite)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "bot")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "bot@example.org")
    return make_place(tmp_path, "")


def make_place(root: Path, prefix: str) -> Place:
    mine = make_checkout(root / "mine")
    path = mine.root / prefix / PROD
    path.parent.mkdir(parents=True)
    path.write_text(SMALL)
    mine.git("add", "-A")
    mine.git("commit", "-q", "-m", "channel")
    run(["git", "clone", "-q", "--bare", mine.root, root / "hosting.git"], timeout=60)
    mine.git("remote", "add", "origin", str(root / "hosting.git"))
    run(["git", "clone", "-q", root / "hosting.git", root / "other"], timeout=60)
    other = Checkout(root=root / "other")
    return Place(mine=mine, other=other, git=Git(project=mine.root / prefix))


def at(place: Place, ref: str = NAME) -> str:
    return place.mine.git("ls-remote", "origin", f"refs/heads/{ref}").split("\t")[0]


def shown(place: Place, commit: str) -> str:
    return place.mine.git("show", "--format=", "-U0", commit)


def test_the_branch_is_one_commit_that_changes_one_line(place: Place) -> None:
    found = place.write(proposed(TWO))
    assert (found.name, found.fresh) == (NAME, True)
    assert at(place) == found.commit
    rows = [row for row in shown(place, found.commit).splitlines() if row[:1] in {"+", "-"}]
    assert rows[2:] == [f"-image: {ONE}", f"+image: {TWO}"]
    assert place.mine.git("rev-parse", f"{found.commit}^") == place.base
    assert (
        place.mine.git("log", "-1", "--format=%an <%ae>", found.commit) == "bot <bot@example.org>"
    )
    assert place.mine.git("log", "-1", "--format=%B", found.commit).endswith(MARK)


def test_the_work_tree_and_its_index_stay_as_they_are(place: Place) -> None:
    (place.mine.root / "draft").write_text("mine")
    place.mine.git("add", "draft")
    (place.mine.root / PROD).write_text("half an edit")
    before = place.mine.git("status", "--porcelain"), place.mine.git("rev-parse", "HEAD")
    found = place.write(proposed(TWO))
    assert (place.mine.git("status", "--porcelain"), place.mine.git("rev-parse", "HEAD")) == before
    assert "draft" not in place.mine.git("ls-tree", "-r", "--name-only", found.commit)


def test_a_project_in_a_folder_of_the_checkout_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "bot")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "bot@example.org")
    place = make_place(tmp_path, "deep/project")
    found = place.write(proposed(TWO))
    assert place.git.files(found.commit, "images") == (PROD,)
    assert place.git.file(found.commit, PROD) == SMALL.replace(ONE, TWO).encode()
    assert f"+++ b/deep/project/{PROD}" in shown(place, found.commit)
    assert not place.write(proposed(TWO)).fresh


def test_the_same_proposal_keeps_its_commit_and_so_its_approvals(place: Place) -> None:
    first = place.write(proposed(TWO))
    again = place.write(proposed(TWO))
    assert (again.commit, again.fresh) == (first.commit, False)


def test_it_is_kept_when_something_else_was_merged_meanwhile(place: Place) -> None:
    first = place.write(proposed(TWO))
    place.other.commit("{}", "web/locks/test-9.x86_64.json")
    place.other.git("push", "-q", "origin", "main")
    assert place.write(proposed(TWO)).commit == first.commit


def test_another_digest_replaces_it(place: Place) -> None:
    first = place.write(proposed(TWO))
    second = place.write(proposed(THREE))
    assert second.fresh
    assert at(place) == second.commit != first.commit
    assert place.mine.git("rev-parse", f"{second.commit}^") == place.base


def test_another_reason_replaces_it(place: Place) -> None:
    text = SMALL + "expedite: {soak_hours: 0, approvals: 2}\n"
    assert place.write(proposed(TWO, text)).fresh
    found = place.write(proposed(TWO, text, expedite="it burns"))
    assert found.fresh
    assert "Expedite: it burns" in place.mine.git("log", "-1", "--format=%B", found.commit)


def test_after_a_merge_the_next_one_begins_at_the_new_base(place: Place) -> None:
    first = place.write(proposed(TWO))
    place.merge()
    text = SMALL.replace(ONE, TWO)
    second = place.write(proposed(ONE, text))
    assert second.fresh
    assert place.mine.git("rev-parse", f"{second.commit}^") == place.base
    place.merge()
    # Its old commit is on the remote no more, but it would have proposed the same.
    third = place.write(proposed(TWO))
    assert third.commit != first.commit


def test_what_somebody_else_committed_is_never_replaced(place: Place) -> None:
    place.write(proposed(TWO))
    place.other.git("fetch", "-q")
    place.other.git("checkout", "-q", NAME)
    theirs = place.other.commit("{}", "web/locks/test-9.x86_64.json")
    place.other.git("push", "-q", "origin", NAME)
    with pytest.raises(ConflictError) as caught:
        place.write(proposed(THREE))
    assert f"{NAME}: somebody else committed {theirs[:12]} to it" in str(caught.value)
    assert "close its pull request" in str(caught.value)
    assert at(place) == theirs
    with pytest.raises(ConflictError, match="somebody else committed"):
        place.write(proposed(TWO))


def test_of_two_who_push_at_once_one_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(proposed(TWO))
    original: Callable[..., str] = Git.make

    def make(self: Git, *arguments: object) -> str:
        made = original(self, *arguments)
        monkeypatch.setattr(Git, "make", original)
        place.write(proposed(ONE, SMALL.replace(ONE, TWO)))
        return made

    monkeypatch.setattr(Git, "make", make)
    with pytest.raises(ConflictError, match=f"{NAME}: someone else pushed to it in this moment"):
        place.write(proposed(THREE))


def test_without_pushing_the_branch_is_in_the_checkout_alone(place: Place) -> None:
    found = place.write(proposed(TWO), push=False)
    assert place.mine.git("rev-parse", NAME) == found.commit
    assert not at(place)
    assert not place.write(proposed(TWO), push=False).fresh
    assert place.write(proposed(THREE), push=False).fresh


def test_a_branch_that_is_checked_out_is_left_alone(place: Place) -> None:
    place.write(proposed(TWO), push=False)
    place.mine.git("checkout", "-q", NAME)
    with pytest.raises(CommandError, match="git branch: exit status"):
        place.write(proposed(THREE), push=False)


def test_a_remote_that_refuses_is_told_as_it_says(place: Place) -> None:
    hook = place.mine.root.parent / "hosting.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CommandError, match="protected branch"):
        place.write(proposed(TWO))


def test_git_without_a_name_for_its_commits_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    monkeypatch.setenv("HOME", str(place.mine.root))
    place.mine.git("config", "user.useConfigOnly", "true")
    with pytest.raises(CommandError, match="git commit-tree"):
        place.write(proposed(TWO))


def test_a_folder_that_is_no_checkout_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="not a git checkout"):
        _ = Git(project=tmp_path).prefix


def test_a_header_goes_to_the_https_server_alone_and_never_on_a_command_line(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def spy(argv: list[object], **given: object) -> object:
        env = given["env"]
        assert isinstance(env, dict)
        seen.append(([str(word) for word in argv], env))
        return run(argv, **given)  # type: ignore[arg-type]

    monkeypatch.setattr("goldpress.host.git.run", spy)
    git = replace(place.git, header="Authorization: Basic c2VjcmV0")
    git.fetch("main")
    assert not any("GIT_CONFIG_COUNT" in env for _, env in seen)
    place.mine.git("remote", "set-url", "origin", "https://me@127.0.0.1:1/owner/name.git")
    with pytest.raises(CommandError) as caught:
        git.fetch("main")
    argv, env = seen[-1]
    assert env["GIT_CONFIG_KEY_0"] == "http.https://127.0.0.1:1/.extraHeader"
    assert env["GIT_CONFIG_VALUE_0"] == git.header
    assert "c2VjcmV0" not in f"{argv} {caught.value} {git!r}"
