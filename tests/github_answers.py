"""Owns what GitHub's REST API (version 2022-11-28) answers about a `Hub`, in the documented shapes.

It refuses what GitHub refuses: a token that it does not know, a second pull request of a branch.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hub import BOT, Activity, Comment, Hub, Pull

from goldpress.errors import CommandError
from goldpress.github.api import Repository
from goldpress.github.token import Token

TOKEN = "ghs_0123456789abcdef"  # noqa: S105 - of this server alone
APP_ID = "Iv23abc"
INSTALLATION = 7


class Refused(Exception):  # noqa: N818 - GitHub's answer
    """An answer that is a refusal."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
            **({"errors": errors} if errors else {}),
        }


@dataclass(kw_only=True)
class Fault:
    """A failure: of which requests, how (`instead`, `after` or `drop`), and how many times."""

    method: str = ""
    path: str = ""
    status: int = 502
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "Server Error"}'
    way: str = "instead"
    times: int = 1
    used: int = 0

    def meets(self, method: str, path: str) -> bool:
        return self.used < self.times and self.method in {"", method} and self.path in path


@dataclass(kw_only=True)
class Asked:
    """One request: its path below the repository, its query, its JSON, and who sent it."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    by: str


@dataclass(kw_only=True)
class GitHubServer:
    """The server; `asked` are all its requests, oldest first."""

    hub: Hub
    url: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: BOT})
    app_key: rsa.RSAPublicKey | None = None
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    page: int = 100
    hidden: set[str] = field(default_factory=set)

    @property
    def repository(self) -> Repository:
        return Repository(name=self.hub.name, caller=Token(secret=TOKEN), url=self.url)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": self.hub.name,
            "GOLDPRESS_GITHUB_TOKEN": TOKEN,
        }

    def fail(self, **values: Any) -> Fault:
        fault = Fault(**values)
        self.faults.append(fault)
        return fault

    def calls(self, method: str = "") -> list[str]:
        """The requests so far, each as its method and path."""
        return [f"{a.method} {a.path}" for a in self.asked if method in {"", a.method}]

    # ---- shapes ----

    def pull(self, pull: Pull, *, whole: bool = True) -> dict[str, Any]:
        """A pull request; a row of a list has less."""
        hub = self.hub
        repo = {"full_name": hub.name, "fork": False}
        fork = {"full_name": "guest/images", "fork": True}
        return {
            "url": f"{self.url}/repos/{hub.name}/pulls/{pull.number}",
            "html_url": f"https://github.com/{hub.name}/pull/{pull.number}",
            "number": pull.number, "state": pull.state, "locked": False, "draft": False,
            "title": pull.title, "body": pull.body or None, "user": hub.user(pull.by),
            "head": {"ref": pull.branch, "sha": pull.head, "repo": fork if pull.fork else repo},
            "base": {"ref": pull.base, "sha": pull.base_commit, "repo": repo},
            "merged_at": pull.merged_at or None,
            "merge_commit_sha": pull.merge_commit or "f" * 40,
            **({
                "merged": bool(pull.merged_at), "merged_by": hub.user(pull.merged_by or None),
                "commits": len(hub.commits(pull)), "mergeable": None,
            } if whole else {}),
        }  # fmt: skip

    def comment(self, comment: Comment) -> dict[str, Any]:
        page = f"https://github.com/{self.hub.name}/pull/{comment.number}"
        return {
            "id": comment.id, "body": comment.body, "user": self.hub.user(comment.by),
            "html_url": f"{page}#issuecomment-{comment.id}",
        }  # fmt: skip

    def commit(self, id_: str) -> dict[str, Any]:
        form = "%T%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%aI%x00%B"
        tree, parents, an, ae, cn, ce, at, message = self.hub.git(
            "show", "-s", f"--format={form}", id_
        ).split("\0")
        author = {"name": an, "email": ae, "date": at}
        committer = {"name": cn, "email": ce, "date": at}
        return {
            "sha": id_, "parents": [{"sha": parent} for parent in parents.split()],
            "commit": {
                "author": author, "committer": committer, "message": message.strip(),
                "tree": {"sha": tree}, "verification": {"verified": False},
            },
            "author": self.hub.user(self.hub.login(ae)),
            "committer": self.hub.user(self.hub.login(ce)),
        }  # fmt: skip

    # ---- answers ----

    def answer(self, asked: Asked) -> Any:
        """What GitHub answers. Raises Refused."""
        self.hub.notice()
        for method, pattern, handler in ROUTES:
            if method == asked.method and (match := re.fullmatch(pattern, asked.path)):
                try:
                    return handler(self, asked, *match.groups())
                except (StopIteration, KeyError, CommandError):
                    raise Refused(404, "Not Found") from None
        raise Refused(404, "Not Found")

    def list_pulls(self, asked: Asked) -> Any:
        owner = self.hub.name.partition("/")[0]
        query = asked.query
        return [
            self.pull(pull, whole=False)
            for pull in reversed(self.hub.pulls)
            if query.get("state", "open") in {"all", pull.state}
            and query.get("head", f"{owner}:{pull.branch}") == f"{owner}:{pull.branch}"
            and query.get("base", pull.base) == pull.base
        ]

    def open_pull(self, asked: Asked) -> Any:
        body, hub = asked.body, self.hub
        branch, base = body["head"], body["base"]
        if f"refs/heads/{branch}" not in hub.refs:
            invalid = {"resource": "PullRequest", "field": "head", "code": "invalid"}
            raise Refused(422, "Validation Failed", [invalid])
        if any(p.state == "open" and (p.branch, p.base) == (branch, base) for p in hub.pulls):
            told = f"A pull request already exists for {hub.name.partition('/')[0]}:{branch}."
            twice = {"resource": "PullRequest", "code": "custom", "message": told}
            raise Refused(422, "Validation Failed", [twice])
        made = hub.open(branch, by=asked.by, title=body["title"], body=body["body"], base=base)
        return self.pull(made)

    def get_pull(self, _: Asked, number: str) -> Any:
        return self.pull(self.hub.pull(int(number)))

    def change_pull(self, asked: Asked, number: str) -> Any:
        found = self.hub.pull(int(number))
        found.title = asked.body.get("title", found.title)
        found.body = asked.body.get("body", found.body)
        found.state = asked.body.get("state", found.state)
        return self.pull(found)

    def reviews(self, _: Asked, number: str) -> Any:
        return [
            {
                "id": n, "user": self.hub.user(row.by), "body": "", "state": row.state,
                "commit_id": row.commit or None, "submitted_at": row.at,
                "author_association": "COLLABORATOR",
            }
            for n, row in enumerate(self.hub.pull(int(number)).reviews)
        ]  # fmt: skip

    def pull_commits(self, _: Asked, number: str) -> Any:
        return [self.commit(id_) for id_ in self.hub.commits(self.hub.pull(int(number)))][:250]

    def commit_pulls(self, _: Asked, id_: str) -> Any:
        return [self.pull(pull, whole=False) for pull in self.hub.pulls_of(id_)]

    def list_comments(self, _: Asked, number: str) -> Any:
        return [self.comment(c) for c in self.hub.comments if c.number == int(number)]

    def add_comment(self, asked: Asked, number: str) -> Any:
        self.hub.pull(int(number))
        made = Comment(id=self.hub.id(), number=int(number), by=asked.by, body=asked.body["body"])
        self.hub.comments.append(made)
        return self.comment(made)

    def change_comment(self, asked: Asked, id_: str) -> Any:
        found = next(c for c in self.hub.comments if c.id == int(id_))
        found.body = asked.body["body"]
        return self.comment(found)

    def git_commit(self, _: Asked, id_: str) -> Any:
        whole = self.commit(id_)
        return {"sha": id_, "parents": whole["parents"], **whole["commit"]}

    def git_tree(self, asked: Asked, id_: str) -> Any:
        options = ["-r", "-t"] if asked.query.get("recursive") else []
        rows = []
        for line in self.hub.git("ls-tree", *options, id_).splitlines():
            about, _, path = line.partition("\t")
            mode, kind, blob = about.split()
            rows.append({"path": path, "mode": mode, "type": kind, "sha": blob})
        return {"sha": id_, "tree": rows, "truncated": "truncated" in self.hidden}

    def git_blob(self, _: Asked, id_: str) -> Any:
        data = self.hub.blob(id_)
        # With line ends, as GitHub's.
        content = base64.encodebytes(data).decode()
        return {"sha": id_, "size": len(data), "encoding": "base64", "content": content}

    def contents(self, asked: Asked, path: str) -> Any:
        row = self.hub.git("ls-tree", asked.query["ref"], "--", path)
        _, kind, blob = row.partition("\t")[0].split() if row else ("", "", "")
        if not row:
            raise Refused(404, "Not Found")
        if kind == "tree":
            return []
        return {"type": "file", "path": path, "sha": blob, **self.git_blob(asked, blob)}

    def list_commits(self, asked: Asked) -> Any:
        query = asked.query
        paths = ["--", query["path"]] if "path" in query else []
        found = self.hub.git("rev-list", query["sha"], *paths).split()
        return [self.commit(id_) for id_ in found]

    def repository_itself(self, _: Asked) -> Any:
        return {"full_name": self.hub.name, "default_branch": "main", "private": True}

    def compare(self, _: Asked, base: str, head: str) -> Any:
        found = self.hub.git("merge-base", base, head)
        return {"merge_base_commit": self.commit(found), "status": "diverged", "commits": []}

    def branch(self, _: Asked, name: str) -> Any:
        ref = self.hub.refs[f"refs/heads/{name}"]
        return {"name": name, "commit": self.commit(ref), "protected": True}

    def list_activity(self, asked: Asked) -> Any:
        ref = asked.query["ref"]
        return [self.one_activity(a) for a in reversed(self.hub.activity) if a.ref == ref]

    def one_activity(self, row: Activity) -> Any:
        return {
            "id": row.id, "node_id": "PSH_1", "before": row.before, "after": row.after,
            "ref": row.ref, "timestamp": row.at, "activity_type": row.kind,
            "actor": self.hub.user(row.by),
        }  # fmt: skip

    def permission(self, _: Asked, login: str) -> Any:
        found = self.hub.people[login]
        return {
            "permission": found.permission, "role_name": found.permission,
            "user": self.hub.user(login),
        }  # fmt: skip

    def graphql(self, asked: Asked) -> Any:
        assert "viewer" in asked.body["query"]
        user = self.hub.user(asked.by)
        assert user is not None
        return {"data": {"viewer": {"login": user["login"], "databaseId": user["id"]}}}

    def installation(self, _: Asked) -> Any:
        return {"id": INSTALLATION, "app_id": 1, "permissions": {"contents": "write"}}

    def access_token(self, asked: Asked) -> Any:
        if asked.body != {"repositories": [self.hub.name.partition("/")[2]]}:
            raise Refused(422, "There is at least one repository that does not exist")
        made = f"ghs_installation{self.hub.id()}"
        self.tokens[made] = BOT
        return {"token": made, "expires_at": "2026-11-01T09:00:00Z", "permissions": {}}

    # ---- who asks ----

    def caller(self, header: str, path: str) -> str:
        """The login behind an Authorization header. Raises Refused."""
        secret = header.removeprefix("Bearer ")
        if path in {"installation", f"app/installations/{INSTALLATION}/access_tokens"}:
            self._check_jwt(secret)
            return BOT
        if not header.startswith("Bearer ") or secret not in self.tokens:
            raise Refused(401, "Bad credentials")
        return self.tokens[secret]

    def _check_jwt(self, secret: str) -> None:
        head, _, signature = secret.rpartition(".")
        try:
            assert self.app_key is not None
            padded = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
            self.app_key.verify(padded, head.encode(), padding.PKCS1v15(), SHA256())
            text = head.partition(".")[2]
            claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (InvalidSignature, AssertionError, ValueError):
            raise Refused(401, "A JSON web token could not be decoded") from None
        if claims["iss"] != APP_ID or not 0 < claims["exp"] - time.time() <= 600:
            raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")


_ID = "([0-9a-f]{40})"
_N = "([0-9]+)"
Handler = Callable[..., Any]
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "pulls", GitHubServer.list_pulls),
    ("POST", "pulls", GitHubServer.open_pull),
    ("GET", f"pulls/{_N}", GitHubServer.get_pull),
    ("PATCH", f"pulls/{_N}", GitHubServer.change_pull),
    ("GET", f"pulls/{_N}/reviews", GitHubServer.reviews),
    ("GET", f"pulls/{_N}/commits", GitHubServer.pull_commits),
    ("GET", f"commits/{_ID}/pulls", GitHubServer.commit_pulls),
    ("GET", f"issues/{_N}/comments", GitHubServer.list_comments),
    ("POST", f"issues/{_N}/comments", GitHubServer.add_comment),
    ("PATCH", f"issues/comments/{_N}", GitHubServer.change_comment),
    ("GET", f"git/commits/{_ID}", GitHubServer.git_commit),
    ("GET", f"git/trees/{_ID}", GitHubServer.git_tree),
    ("GET", f"git/blobs/{_ID}", GitHubServer.git_blob),
    ("GET", "contents/(.+)", GitHubServer.contents),
    ("GET", "commits", GitHubServer.list_commits),
    ("GET", "", GitHubServer.repository_itself),
    ("GET", rf"compare/{_ID}\.\.\.{_ID}", GitHubServer.compare),
    ("GET", "branches/(.+)", GitHubServer.branch),
    ("GET", "activity", GitHubServer.list_activity),
    ("GET", "collaborators/([^/]+)/permission", GitHubServer.permission),
    ("POST", "graphql", GitHubServer.graphql),
    ("GET", "installation", GitHubServer.installation),
    ("POST", f"app/installations/{INSTALLATION}/access_tokens", GitHubServer.access_token),
]
