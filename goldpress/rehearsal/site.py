"""Owns a hosting site of rehearsals: a bare git repository with people, pull requests and reviews.

`hosting` shows it as GitHub's API does. What a person would do in the browser is a method.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from goldpress.host.run import run

BOT = "goldpress[bot]"
REPOSITORY = "example/images"
ZEROS = "0" * 40
WEB = {"name": "GitHub", "email": "noreply@github.com"}
#: When a site begins that has no clock: what happens later has a later second.
BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with an account; a bot is of the type ``Bot``."""

    login: str
    type: str = "User"
    permission: str = "write"

    @property
    def number(self) -> int:
        """The id of the account."""
        return int.from_bytes(hashlib.sha256(self.login.encode()).digest()[:3])

    @property
    def email(self) -> str:
        """The address that GitHub gives the account's commits."""
        return f"{self.number}+{self.login}@users.noreply.github.com"


@dataclass(kw_only=True)
class Review:
    """What somebody said of a pull request, at a commit."""

    by: str
    state: str
    commit: str
    at: str


@dataclass(kw_only=True)
class Comment:
    """A comment below a pull request."""

    id: int
    number: int
    by: str
    body: str


@dataclass(kw_only=True)
class Pull:
    """A pull request; `rebased` are its commits as they came to the base."""

    number: int
    by: str
    branch: str
    base: str
    title: str
    body: str
    head: str
    base_commit: str
    state: str = "open"
    fork: bool = False
    merged_at: str = ""
    merged_by: str = ""
    merge_commit: str = ""
    rebased: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A branch that moved: who moved it, how, and when."""

    id: int
    by: str
    kind: str
    ref: str
    before: str
    after: str
    at: str


@dataclass(kw_only=True)
class Hub:
    """The site. `pusher` is who a push is from that git alone tells of.

    Where it is empty, the committer of what was pushed is, or the bot for one without an account.
    """

    bare: Path
    name: str = REPOSITORY
    pusher: str = BOT
    people: dict[str, Person] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    activity: list[Activity] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    clock: Callable[[], datetime] = lambda: BEGIN
    _now: datetime = BEGIN

    def __post_init__(self) -> None:
        run(["git", "init", "-q", "--bare", "-b", "main", self.bare])
        for login, type_ in ((BOT, "Bot"), ("web-flow", "User"), ("ann", "User"), ("ben", "User")):
            self.people[login] = Person(login=login, type=type_)
        self.people["guest"] = Person(login="guest", permission="read")

    def git(self, *words: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
        """What git prints. Raises CommandError."""
        done = run(["git", "-C", self.bare, *words], env=env, stdin=stdin, timeout=60)
        return done.text.strip()

    def blob(self, id_: str) -> bytes:
        """The bytes of a blob."""
        return run(["git", "-C", self.bare, "cat-file", "blob", id_], timeout=60).stdout

    def now(self) -> str:
        """A moment later than all before."""
        self._now = max(self._now + timedelta(seconds=1), self.clock())
        return self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def id(self) -> int:
        """A number that nothing else has."""
        return next(self._ids)

    def login(self, email: str) -> str | None:
        """The account of an address, as GitHub finds it."""
        if email == WEB["email"]:
            return "web-flow"
        return next((p.login for p in self.people.values() if p.email == email), None)

    def notice(self) -> None:
        """See which branches moved since the last look, and note who moved them."""
        with self.lock:
            rows = self.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
            found = dict(row.split() for row in rows.splitlines())
            for ref in sorted(found.keys() | self.refs.keys()):
                before, after = self.refs.get(ref, ZEROS), found.get(ref, ZEROS)
                if before != after:
                    self._moved(ref, before, after)
            self.refs = found

    def _moved(self, ref: str, before: str, after: str) -> None:
        kind = "push"
        if before == ZEROS:
            kind = "branch_creation"
        elif after == ZEROS:
            kind = "branch_deletion"
        elif self.git("merge-base", before, after) != before:
            kind = "force_push"
        self._note(kind, ref, before, after, self.pusher or self._committer(before, after))
        for pull in self.pulls:
            if pull.state == "open" and ref == f"refs/heads/{pull.branch}" and after != ZEROS:
                pull.head = after

    def _committer(self, before: str, after: str) -> str:
        commit = before if after == ZEROS else after
        return self.login(self.git("show", "-s", "--format=%ce", commit)) or BOT

    def _note(self, kind: str, ref: str, before: str, after: str, by: str) -> None:
        self.activity.append(
            Activity(
                id=self.id(), by=by, kind=kind, ref=ref, before=before, after=after, at=self.now()
            )
        )

    def commit(
        self,
        branch: str,
        files: Mapping[str, str],
        *,
        by: str = BOT,
        message: str = "change",
        email: str = "",
        onto: str = "",
        pushed_by: str = "",
    ) -> str:
        """A commit of `by` that changes these files (empty text: removes), pushed to a branch."""
        with self.lock:
            self.notice()
            parent = (
                onto
                or self.refs.get(f"refs/heads/{branch}")
                or self.refs.get("refs/heads/main", "")
            )
            tree = self._tree(parent, files)
            made = self.commit_tree(tree, [parent] if parent else [], message, by=by, email=email)
            self.git("update-ref", f"refs/heads/{branch}", made)
            self.pusher, before = pushed_by or by, self.pusher
            self.notice()
            self.pusher = before
        return made

    def _tree(self, parent: str, files: Mapping[str, str]) -> str:
        index = {"GIT_INDEX_FILE": str(self.bare / f"index-{self.id()}")}
        if parent:
            self.git("read-tree", parent, env=index)
        for path, text in files.items():
            if text:
                blob = self.git("hash-object", "-w", "--stdin", stdin=text.encode())
                self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
            else:
                gone = f"0 {ZEROS}\t{path}\n".encode()
                self.git("update-index", "--index-info", stdin=gone, env=index)
        return self.git("write-tree", env=index)

    def commit_tree(
        self, tree: str, parents: list[str], message: str, *, by: str, email: str = "",
        committer: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """A commit of this tree; `by` is its author, who commits it unless `committer` is said."""
        who = {"name": by, "email": email or self.people[by].email}
        people = {"AUTHOR": who, "COMMITTER": committer or who}
        env = {
            f"GIT_{role}_{key.upper()}": value
            for role, person in people.items()
            for key, value in person.items()
        }
        moment = self.now()
        env |= {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        given = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *given, "-m", message, env=env)

    def open(
        self, branch: str, *, by: str = BOT, title: str = "", body: str = "", base: str = "main"
    ) -> Pull:
        """Open a pull request."""
        with self.lock:
            self.notice()
            pull = Pull(
                number=self.id(), by=by, branch=branch, base=base, title=title or branch, body=body,
                head=self.refs[f"refs/heads/{branch}"],
                base_commit=self.refs[f"refs/heads/{base}"],
            )  # fmt: skip
            self.pulls.append(pull)
        return pull

    def pull(self, number: int) -> Pull:
        """The pull request of a number. Raises StopIteration."""
        return next(pull for pull in self.pulls if pull.number == number)

    def review(self, number: int, by: str, state: str = "APPROVED", commit: str = "") -> Review:
        """Somebody's review of what the head is now."""
        with self.lock:
            self.notice()
            pull = self.pull(number)
            made = Review(by=by, state=state, commit=commit or pull.head, at=self.now())
            pull.reviews.append(made)
        return made

    def commits(self, pull: Pull) -> list[str]:
        """The commits of a pull request, oldest first."""
        base = self.git("merge-base", pull.base_commit, pull.head)
        return self.git("rev-list", "--reverse", f"{base}..{pull.head}").split()

    def merge(self, number: int, *, by: str = "ben", method: str = "squash") -> str:
        """Merge it as GitHub does: `squash`, `merge`, `rebase`, or by the queue (`queue`)."""
        with self.lock:
            self.notice()
            pull = self.pull(number)
            ref = f"refs/heads/{pull.base}"
            base = self.refs[ref]
            pull.base_commit = base
            made = self._merged(pull, base, by, method)
            self.git("update-ref", ref, made)
            kind = "merge_queue_merge" if method == "queue" else "pr_merge"
            self._note(kind, ref, base, made, by)
            self.refs[ref] = made
            pull.state, pull.merged_at, pull.merged_by = "closed", self.now(), by
            pull.merge_commit = made
        return made

    def _merged(self, pull: Pull, base: str, by: str, method: str) -> str:
        if method == "rebase":
            tip = base
            for commit in self.commits(pull):
                # As if it had left the commit's own parent: git's three-way merge of the two.
                ours = self.commit_tree(
                    self.git("rev-parse", f"{tip}^{{tree}}"), [f"{commit}^"], "ours", by=pull.by
                )
                tree = self.git("merge-tree", "--write-tree", ours, commit)
                tip = self.commit_tree(tree, [tip], "rebased", by=pull.by, committer=WEB)
                pull.rebased.append(tip)
            return tip
        tree = self.git("merge-tree", "--write-tree", base, pull.head)
        parents = [base, pull.head] if method == "merge" else [base]
        author = by if method == "merge" else pull.by
        title = f"{pull.title} (#{pull.number})"
        return self.commit_tree(tree, parents, title, by=author, committer=WEB)

    def pulls_of(self, commit: str) -> list[Pull]:
        """The pull requests that brought a commit, or have it."""
        return [
            pull
            for pull in self.pulls
            if commit in {pull.merge_commit, *pull.rebased, *self.commits(pull)}
        ]

    def user(self, login: str | None) -> dict[str, Any] | None:
        """A simple user, as GitHub shows one."""
        if login is None:
            return None
        person = self.people[login]
        return {
            "login": login, "id": person.number, "node_id": "MDQ6VXNlcjE=",
            "html_url": f"https://github.com/{login}", "type": person.type, "site_admin": False,
        }  # fmt: skip
