"""Owns what people do with the hosting site in a browser, as a rehearsal by hand asks for it.

    POST /_rehearsal/approve {"pull": N}    ann reviews what its head is now, ben merges it

Without a number it is the one that is open. GitHub's API has nothing like it, on purpose: who holds
the token cannot approve.
"""

from __future__ import annotations

from typing import Any

from goldpress.errors import CommandError
from goldpress.rehearsal.asked import Refused
from goldpress.rehearsal.site import Hub, Pull

PREFIX = "/_rehearsal/"
REVIEWER, MERGER = "ann", "ben"


def act(hub: Hub, method: str, name: str, body: Any) -> dict[str, Any]:
    """What somebody did. Raises Refused."""
    if (method, name) != ("POST", "approve") or not isinstance(body, dict):
        raise Refused(404, f"nobody here knows how to {method} {name}")
    return approve(hub, body.get("pull"))


def approve(hub: Hub, number: int | None) -> dict[str, Any]:
    """ann approves and ben merges a pull request. Raises Refused."""
    hub.notice()
    pull = chosen(hub, number)
    hub.review(pull.number, REVIEWER)
    try:
        commit = hub.merge(pull.number, by=MERGER)
    except CommandError as error:
        raise Refused(409, f"pull request {pull.number} cannot be merged: {error}") from error
    return {
        "pull": pull.number,
        "title": pull.title,
        "approved_by": REVIEWER,
        "merged_by": MERGER,
        "commit": commit,
    }


def chosen(hub: Hub, number: int | None) -> Pull:
    """The open pull request of a number, or the only one. Raises Refused."""
    opened = {pull.number: pull for pull in hub.pulls if pull.state == "open"}
    told = ", ".join(f"{pull.number} ({pull.title})" for pull in opened.values()) or "none"
    if number is None and len(opened) == 1:
        return next(iter(opened.values()))
    if number is None:
        what = "no pull request is open" if not opened else "several pull requests are open"
        raise Refused(409, what if not opened else f"{what}: {told}")
    if number not in opened:
        raise Refused(409, f"pull request {number} is not open; open: {told}")
    return opened[number]
