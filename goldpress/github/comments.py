"""Owns goldpress's one comment on a pull request: found by its marker, and updated in place."""

from __future__ import annotations

from goldpress.github.api import Repository

#: GitHub takes 65536 characters.
MOST_CHARACTERS = 65000
CUT = "\n\n... and more: the whole text is in the log of the check."


def marked(text: str, marker: str) -> str:
    """The comment's body: its marker, which nobody sees, and the text, cut to what GitHub takes."""
    return f"<!-- goldpress:{marker} -->\n" + (
        text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + CUT
    )


def comment(repo: Repository, number: int, text: str, *, marker: str) -> str:
    """Make the comment with this marker, or update it; returns its URL. Raises GitHubError.

    Only a bot's comment is updated: what a person wrote is theirs, marker or not.
    """
    body = marked(text, marker)
    first = body.partition("\n")[0]
    for row in repo.pages(f"issues/{number}/comments"):
        # GitHub returns what it was sent, but with other line ends from a browser.
        if _is_bot(row["user"]) and str(row["body"] or "").splitlines()[:1] == [first]:
            if row["body"] == body:
                return str(row["html_url"])
            changed = repo.patch(f"issues/comments/{row['id']}", {"body": body})
            return str(changed["html_url"])
    return str(repo.post(f"issues/{number}/comments", {"body": body})["html_url"])


def _is_bot(user: dict[str, object] | None) -> bool:
    return user is not None and user.get("type") == "Bot"
