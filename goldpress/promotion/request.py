"""Owns reading a pull request from GitHub as far as a promotion asks: edits, merge, approvals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from goldpress.channel import Channel, parse_channel
from goldpress.errors import MissingError, PromotionError
from goldpress.github import pulls, trees
from goldpress.github.api import Repository
from goldpress.github.pulls import PullRequest
from goldpress.github.trees import GitCommit
from goldpress.promotion.approval import Merge, Request
from goldpress.promotion.edits import Edited, edits, judged
from goldpress.statements.trust import NAME as TRUST
from goldpress.statements.trust import Trust, parse_trust

RULE = "merged"
#: A file of a channel that so many commits changed without another digest has another problem.
MOST_COMMITS = 200
_LINE = re.compile(rb"(?m)^image: (\S+)$")


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """The branch that everything is merged into, as it is at one commit."""

    repo: Repository
    name: str
    commit: GitCommit
    files: trees.Files

    @classmethod
    def read(cls, repo: Repository) -> Trunk:
        """The repository's default branch now. Raises GitHubError."""
        name = pulls.default_branch(repo)
        commit = trees.commit(repo, pulls.head_of(repo, name))
        return cls(repo=repo, name=name, commit=commit, files=trees.files(repo, commit.tree))

    def trust(self) -> Trust:
        """Who is believed, as the branch says: no checkout, whatever it has, adds anybody.

        Raises MissingError, DocumentError, GitHubError.
        """
        file = self.files.get(TRUST)
        if file is None:
            raise MissingError(
                f"{self.name} of {self.repo.name} has no {TRUST}: nobody is believed",
                hint="restore it by a pull request",
            )
        return parse_trust(trees.blob(self.repo, file.blob), name=f"{TRUST} of {self.name}")

    def channel(self, path: str) -> Channel | None:
        """A channel as the branch has it, or None. Raises DocumentError, GitHubError."""
        file = self.files.get(path)
        return parse_channel(trees.blob(self.repo, file.blob), path=path) if file else None

    def channels(self, name: str) -> tuple[Channel, ...]:
        """The channels of this name, of all images."""
        found = (
            self.channel(path)
            for path in sorted(self.files)
            if path.startswith("images/") and path.endswith(f"/channels/{name}.yaml")
        )
        return tuple(row for row in found if row is not None)


def between(repo: Repository, before: str, after: str) -> Edited:
    """What lies between two commits. Raises GitHubError."""
    old, new = (trees.files(repo, trees.commit(repo, id_).tree) for id_ in (before, after))
    return judged(edits(old, new), lambda id_: trees.blob(repo, id_))


def proposed(repo: Repository, pull: PullRequest, base: str) -> Edited:
    """What a pull request changes since it left the trunk, which `base` is a commit of."""
    return between(repo, trees.merge_base(repo, base, pull.head), pull.head)


def read_request(repo: Repository, pull: PullRequest) -> Request:
    """What GitHub tells of a pull request. Raises GitHubError."""
    request = Request(
        pull=pull,
        commits=pulls.commits(repo, pull.number),
        reviews=pulls.reviews(repo, pull.number),
        pushes=() if pull.from_fork else pulls.pushes(repo, pull.branch, pull.head),
        permissions={},
    )
    permissions = {who: pulls.permission(repo, who) for who in request.decisions if who}
    return Request(**{**vars(request), "permissions": permissions})


def merged_request(trunk: Trunk, channel: Channel) -> PullRequest:
    """The merged pull request that gave the channel its digest.

    Raises PromotionError (`merged`) when there is none, or more than one; GitHubError.
    """
    origin = _origin(trunk, channel)
    found = [
        pull
        for pull in pulls.of_commit(trunk.repo, origin)
        if pull.merged and pull.base == trunk.name
    ]
    if len(found) != 1:
        many = f"by {len(found)} merged pull requests" if found else "without a pull request"
        raise PromotionError(
            RULE,
            f"{channel.path}: the commit {origin[:12]} changed `image:` {many}",
            hint="a digest comes to a channel by one reviewed pull request: revert that commit, "
            "then `./inv propose`",
        )
    return found[0]


def read_merge(trunk: Trunk, pull: PullRequest, channel: Channel) -> Merge:
    """How a merged pull request, which gave a channel its digest, came to the trunk.

    Raises PromotionError (`merged`) for a commit without parents, GitHubError.
    """
    repo = trunk.repo
    made = trees.commit(repo, pull.merge_commit)
    before = _parent(made)
    if len(made.parents) == 1:
        # A rebase leaves a commit for each of the request's: what was there before the first?
        while pull.number in pulls.numbers_of_commit(repo, before):
            before = _parent(trees.commit(repo, before))
    reached = trees.merge_base(repo, trunk.commit.id, made.id) == made.id
    return Merge(
        commit=made.id,
        tree=made.tree,
        second=made.parents[1] if len(made.parents) > 1 else "",
        reached=reached,
        left=_left(trunk, channel, made.id) if reached else "",
        proposed=proposed(repo, pull, before),
        brought=between(repo, before, made.id),
    )


def _left(trunk: Trunk, channel: Channel, since: str) -> str:
    """The commit of the trunk's own line since a merge at which a channel had another digest.

    GitHub's list of the commits that changed a file goes, at a merge that brought the file as one
    of its parents had it, on with that parent: a digest that comes back with an old branch has its
    old pull request there. So both sides of every merge are looked at.
    """
    for commit in trees.line(trunk.repo, trunk.commit.id, since):
        for id_ in (commit.id, commit.parents[0]) if len(commit.parents) > 1 else ():
            if _named(trunk, channel.path, id_) != channel.digest:
                return id_
    return ""


def _named(trunk: Trunk, path: str, commit: str) -> str:
    """The digest that a channel's file has at a commit; empty for none."""
    # One line decides; the rest may be in the form of another version of goldpress.
    found = _LINE.search(trees.contents(trunk.repo, path, commit) or b"")
    return found[1].decode(errors="backslashreplace") if found else ""


def _parent(commit: GitCommit) -> str:
    if not commit.parents:
        raise PromotionError(RULE, f"the commit {commit.id[:12]} has no parent: it merged nothing")
    return commit.parents[0]


def _origin(trunk: Trunk, channel: Channel) -> str:
    """The commit that gave the channel the digest that it has now."""
    origin = ""
    commits = trees.changing(trunk.repo, channel.path, trunk.commit.id)
    for count, commit in enumerate(commits):
        if count == MOST_COMMITS:
            raise PromotionError(
                RULE, f"{channel.path}: the last {MOST_COMMITS} commits gave it no other digest"
            )
        if _named(trunk, channel.path, commit) != channel.digest:
            break
        origin = commit
    if not origin:
        raise PromotionError(
            RULE, f"{channel.path}: no commit of {trunk.name} gave it {channel.digest}"
        )
    return origin
