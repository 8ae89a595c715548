"""Owns who a token is: as GitHub names it, and as its commits have to, to be known as its own.

An App's token may not ask `/user`; GraphQL's `viewer` tells it.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldpress.errors import GitHubError
from goldpress.github.api import Repository

QUERY = "query { viewer { login databaseId } }"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An account: its login (an App's ends in ``[bot]``) and number."""

    login: str
    number: int

    @property
    def email(self) -> str:
        """The address by which GitHub finds the account of a commit's author."""
        return f"{self.number}+{self.login}@users.noreply.github.com"

    def environment(self) -> dict[str, str]:
        """The variables with which git makes commits of this account."""
        return {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", self.login), ("EMAIL", self.email))
        }


def identity(repo: Repository) -> Identity:
    """Whose token it is. Raises GitHubError."""
    answer = repo.ask(QUERY)
    try:
        found = answer["data"]["viewer"]
        return Identity(login=str(found["login"]), number=int(found["databaseId"]))
    except (KeyError, TypeError, ValueError):
        raise GitHubError(
            f"GitHub {repo.name}: it does not tell whose token this is",
            hint="use a GitHub App's token",
        ) from None
