"""Owns pull requests as GitHub tells of them: their heads, commits, reviews, and who pushed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.errors import GitHubError
from goldpress.github.api import Repository, understood

#: GitHub lists no more of a pull request's commits.
MOST_COMMITS = 250
_CO_AUTHOR = re.compile(r"^co-authored-by:\s*(.*)$", re.IGNORECASE | re.MULTILINE)
_NOREPLY = re.compile(r"<(?:(\d+)\+)?([A-Za-z0-9-]+(?:\[bot\])?)@users\.noreply\.github\.com>\s*$")
#: Whom GitHub names as committer of what is committed in its pages: nobody.
WEB_FLOW = "web-flow"
CREATED = "branch_creation"
#: What moves a branch by commits that its pull request shows, pushed by who is told.
PUSHED = frozenset({CREATED, "push", "force_push"})
DELETED = "branch_deletion"


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull request; ids of commits are 40 hex digits, times ISO 8601 in UTC.

    `merge_commit` and `merged_at` are empty unless it is merged. `from_fork`: its branch is in
    another repository (or that was deleted).
    """

    number: int
    url: str
    state: str
    title: str
    body: str
    author: str
    branch: str
    head: str
    base: str
    base_commit: str
    from_fork: bool
    draft: bool
    merged_at: str
    merged_by: str
    merge_commit: str

    @property
    def merged(self) -> bool:
        """Whether it is merged."""
        return bool(self.merged_at)


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review: who (and whether a person), what of (APPROVED, CHANGES_REQUESTED, ...), when.

    `account` is the number of `by`, which stays when the login changes.
    """

    by: str
    account: int
    is_person: bool
    state: str
    commit: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of a pull request.

    `authors` are the logins of its author, committer and co-authors, and `accounts` the numbers of
    co-authors: they are written there with the login of that day. `unknown` are those of them that
    GitHub knows by no login (an address that nobody's account has).
    """

    id: str
    tree: str
    message: str
    authors: frozenset[str]
    accounts: frozenset[int]
    unknown: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Push:
    """Who moved a branch from one commit to another (40 hex digits, zeros: none), and when."""

    by: str
    kind: str
    before: str
    after: str
    at: str


def opened(repo: Repository, *, branch: str, base: str) -> PullRequest | None:
    """The open pull request from a branch of this repository into `base`, or None."""
    owner = repo.name.partition("/")[0]
    for row in repo.pages("pulls", state="open", head=f"{owner}:{branch}", base=base):
        return _pull(row, repo)
    return None


def pull(repo: Repository, number: int) -> PullRequest:
    """A pull request by its number. Raises GitHubError."""
    return _pull(repo.get(f"pulls/{number}"), repo)


def of_commit(repo: Repository, commit: str) -> tuple[PullRequest, ...]:
    """The pull requests that a commit is part of, or was merged by, each whole."""
    # A row of a list lacks `merged_by`.
    return tuple(pull(repo, number) for number in numbers_of_commit(repo, commit))


def numbers_of_commit(repo: Repository, commit: str) -> tuple[int, ...]:
    """Their numbers alone."""
    with understood(repo, f"the pull requests of {commit}"):
        return tuple(int(row["number"]) for row in repo.pages(f"commits/{commit}/pulls"))


def propose(repo: Repository, *, branch: str, base: str, title: str, body: str) -> PullRequest:
    """The pull request from `branch` into `base`, opened now or brought up to date."""
    found = opened(repo, branch=branch, base=base)
    if found is None:
        try:
            asked = {"title": title, "body": body, "head": branch, "base": base}
            return _pull(repo.post("pulls", asked), repo)
        except GitHubError:
            # The answer may have been lost, or somebody was faster in this moment.
            found = opened(repo, branch=branch, base=base)
            if found is None:
                raise
    if (found.title, found.body) == (title, body):
        return found
    return _pull(repo.patch(f"pulls/{found.number}", {"title": title, "body": body}), repo)


def reviews(repo: Repository, number: int) -> tuple[Review, ...]:
    """The reviews of a pull request, oldest first."""
    with understood(repo, f"the reviews of pull request {number}"):
        return tuple(
            Review(
                by=_login(row["user"]),
                account=int(row["user"]["id"]) if row["user"] else 0,
                is_person=bool(row["user"]) and row["user"].get("type") == "User",
                state=str(row["state"]),
                commit=str(row["commit_id"] or ""),
                # One that is not handed in yet has no time.
                at=str(row.get("submitted_at") or ""),
            )
            for row in repo.pages(f"pulls/{number}/reviews")
        )


def commits(repo: Repository, number: int) -> tuple[Commit, ...]:
    """The commits of a pull request, oldest first. Raises GitHubError when there are too many."""
    rows = list(repo.pages(f"pulls/{number}/commits"))
    if len(rows) >= MOST_COMMITS:
        raise GitHubError(
            f"GitHub {repo.name}: pull request {number} has {MOST_COMMITS} commits or more, and "
            "GitHub lists no more",
            hint="squash them on the branch",
        )
    with understood(repo, f"the commits of pull request {number}"):
        return tuple(_commit(row) for row in rows)


def pushes(repo: Repository, branch: str, head: str) -> tuple[Push, ...]:
    """The pushes that led a branch to `head`, newest first, the last one made the branch.

    The branch may have moved on, or have been deleted and made anew since. What GitHub does not
    tell is not there: nothing for a head that nobody pushed, no first push.
    """
    with understood(repo, f"the pushes to {branch}"):
        return tuple(_leading(repo.pages("activity", ref=f"refs/heads/{branch}"), head))


def permission(repo: Repository, login: str) -> str:
    """What a person may do in the repository: admin, write, read or none."""
    found = repo.find(f"collaborators/{login}/permission")
    with understood(repo, f"the permission of {login}"):
        return str(found["permission"]) if found else "none"


def default_branch(repo: Repository) -> str:
    """The branch into which everything is merged."""
    with understood(repo, "the repository"):
        return str(repo.get("")["default_branch"])


def head_of(repo: Repository, branch: str) -> str:
    """The commit that a branch is at now. Raises GitHubError."""
    with understood(repo, f"the branch {branch}"):
        return str(repo.get(f"branches/{branch}")["commit"]["sha"])


def _leading(rows: Iterator[Any], head: str) -> Iterator[Push]:
    reached = False
    for row in rows:
        reached = reached or row["after"] == head
        if not reached or row["activity_type"] == DELETED:
            continue
        yield Push(
            by=_login(row["actor"]),
            kind=str(row["activity_type"]),
            before=str(row["before"]),
            after=str(row["after"]),
            at=str(row["timestamp"]),
        )
        if row["activity_type"] == CREATED:
            return


def _pull(row: Mapping[str, Any], repo: Repository) -> PullRequest:
    with understood(repo, "a pull request"):
        head, base = row["head"], row["base"]
        of = head["repo"]["full_name"] if head["repo"] else ""
        return PullRequest(
            number=int(row["number"]),
            url=str(row["html_url"]),
            state=str(row["state"]),
            title=str(row["title"]),
            body=str(row["body"] or ""),
            author=_login(row["user"]),
            branch=str(head["ref"]),
            head=str(head["sha"]),
            base=str(base["ref"]),
            base_commit=str(base["sha"]),
            from_fork=of.lower() != repo.name.lower(),
            draft=bool(row.get("draft")),
            merged_at=str(row["merged_at"] or ""),
            merged_by=_login(row.get("merged_by")),
            # Of one that is not merged it is only a trial.
            merge_commit=str(row["merge_commit_sha"] or "") if row["merged_at"] else "",
        )


def _commit(row: Mapping[str, Any]) -> Commit:
    git = row["commit"]
    people = {"author": row["author"], "committer": row["committer"]}
    known = {_login(user) for user in people.values() if user}
    unknown = [f"{role} {_address(git[role])}" for role, user in people.items() if not _login(user)]
    accounts: set[int] = set()
    for line in _CO_AUTHOR.findall(str(git["message"])):
        address = _NOREPLY.search(line)
        if address:
            accounts |= {int(address.group(1))} if address.group(1) else set()
            known.add(address.group(2))
        else:
            unknown.append(f"co-author {line.strip()}")
    return Commit(
        id=str(row["sha"]),
        tree=str(git["tree"]["sha"]),
        message=str(git["message"]),
        authors=frozenset(known - {WEB_FLOW}),
        accounts=frozenset(accounts),
        unknown=tuple(unknown),
    )


def _address(person: Mapping[str, Any] | None) -> str:
    return f"{person.get('name', '')} <{person.get('email', '')}>" if person else "nobody"


def _login(user: Mapping[str, Any] | None) -> str:
    """A login; empty for an account that was deleted, or for an address that no account has."""
    return str(user.get("login") or "") if user else ""
