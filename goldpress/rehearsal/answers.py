"""Owns what GitHub's REST API (version 2022-11-28) answers about a `Hub`, in the documented shapes.

It refuses what GitHub refuses: a token that it does not know, a second pull request of a branch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from goldpress.errors import CommandError
from goldpress.github.api import Repository
from goldpress.github.token import Token
from goldpress.rehearsal import objects, people, pulls
from goldpress.rehearsal.asked import Asked, Fault, Refused, Site
from goldpress.rehearsal.people import INSTALLATION
from goldpress.rehearsal.site import BOT

TOKEN = "ghs_0123456789abcdef"  # noqa: S105 - of this server alone


@dataclass(kw_only=True)
class GitHubServer(Site):
    """The server; `asked` are all its requests, oldest first."""

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: BOT})
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    page: int = 100

    @property
    def repository(self) -> Repository:
        """It, as its user calls it."""
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
        """Let requests fail from now on."""
        fault = Fault(**values)
        self.faults.append(fault)
        return fault

    def calls(self, method: str = "") -> list[str]:
        """The requests so far, each as its method and path."""
        return [f"{a.method} {a.path}" for a in self.asked if method in {"", a.method}]

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

    def caller(self, header: str, path: str) -> str:
        """The login behind an Authorization header. Raises Refused."""
        return people.caller(self, header, path)


_ID = "([0-9a-f]{40})"
_N = "([0-9]+)"
Handler = Callable[..., Any]
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "pulls", pulls.list_pulls),
    ("POST", "pulls", pulls.open_pull),
    ("GET", f"pulls/{_N}", pulls.get_pull),
    ("PATCH", f"pulls/{_N}", pulls.change_pull),
    ("GET", f"pulls/{_N}/reviews", pulls.reviews),
    ("GET", f"pulls/{_N}/commits", pulls.pull_commits),
    ("GET", f"commits/{_ID}/pulls", pulls.commit_pulls),
    ("GET", f"issues/{_N}/comments", pulls.list_comments),
    ("POST", f"issues/{_N}/comments", pulls.add_comment),
    ("PATCH", f"issues/comments/{_N}", pulls.change_comment),
    ("GET", f"git/commits/{_ID}", objects.git_commit),
    ("GET", f"git/trees/{_ID}", objects.git_tree),
    ("GET", f"git/blobs/{_ID}", objects.git_blob),
    ("GET", "contents/(.+)", objects.contents),
    ("GET", "commits", objects.list_commits),
    ("GET", "", objects.repository_itself),
    ("GET", rf"compare/{_ID}\.\.\.{_ID}", objects.compare),
    ("GET", "branches/(.+)", objects.branch),
    ("GET", "activity", people.list_activity),
    ("GET", "collaborators/([^/]+)/permission", people.permission),
    ("POST", "graphql", people.graphql),
    ("GET", "installation", people.installation),
    ("POST", f"app/installations/{INSTALLATION}/access_tokens", people.access_token),
]
