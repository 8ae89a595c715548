"""Owns checking a proposal: whether a pull request could be promoted if it were merged now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from goldpress import progress
from goldpress.channel import Channel, edited, parse_channel
from goldpress.errors import DocumentError, GoldpressError, PromotionError
from goldpress.github import comments, pulls
from goldpress.github.api import Repository, repository
from goldpress.promotion.approval import Request, judge_authors, judge_only_image
from goldpress.promotion.edits import Edited
from goldpress.promotion.facts import gather
from goldpress.promotion.request import Trunk, proposed, read_request
from goldpress.promotion.rules import judge
from goldpress.promotion.verdict import Verdict, failed, markdown, refuse_failed, table
from goldpress.publish.preflight import access_of
from goldpress.publish.settings import load_settings
from goldpress.statements.signing import with_local
from goldpress.workspace import Workspace

MARKER = "promotion-check"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a pull request would promote, by the channel's path, and every rule's verdict."""

    pull: int
    head: str
    verdicts: dict[str, tuple[Verdict, ...]]

    @property
    def ok(self) -> bool:
        """Whether every rule is met; so it is where nothing would be promoted."""
        return not any(failed(rows) for rows in self.verdicts.values())

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "pull": self.pull,
            "head": self.head,
            "ok": self.ok,
            "channels": {
                path: [row.document() for row in rows] for path, rows in self.verdicts.items()
            },
        }

    def tables(self) -> list[Table]:
        """The verdicts for a terminal."""
        return [table(path, rows) for path, rows in self.verdicts.items()]

    def markdown(self) -> str:
        """The verdicts as a comment."""
        if not self.verdicts:
            return f"{self.head} gives no channel another image: nothing is promoted."
        texts = [markdown(path, rows) for path, rows in self.verdicts.items()]
        return "\n".join([*texts, f"Judged: {self.head}", ""])

    def refuse_failed(self) -> None:
        """Raises PromotionError with the first rule that is not met; the message has them all."""
        for path, rows in self.verdicts.items():
            refuse_failed(rows, what=path)


def check(
    ws: Workspace,
    pull: int,
    *,
    endpoint: str = "",
    comment: bool = False,
    repo: Repository | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Checked:
    """Judge a pull request by every rule but its approval; with `comment`, tell it there.

    `endpoint` is the embedded cloud's URL; empty: AWS. Raises GitHubError.
    """
    hosting = repo or repository()
    request = read_request(hosting, pulls.pull(hosting, pull))
    trunk = Trunk.read(hosting)
    if request.pull.base != trunk.name:
        raise PromotionError(
            "only-image",
            f"pull request {pull} is for {request.pull.base}: only what comes to {trunk.name} "
            "is promoted",
        )
    found = proposed(hosting, request.pull, trunk.commit.id)
    checked = Checked(
        pull=pull,
        head=request.pull.head,
        verdicts={
            path: _judged(ws, trunk, request, found, path, endpoint=endpoint, at=now())
            for path in sorted(found.digests)
        },
    )
    if comment:
        url = comments.comment(hosting, pull, checked.markdown(), marker=MARKER)
        progress.note(f"told at {url}")
    return checked


def _judged(
    ws: Workspace,
    trunk: Trunk,
    request: Request,
    found: Edited,
    path: str,
    *,
    endpoint: str,
    at: datetime,
) -> tuple[Verdict, ...]:
    first = (judge_only_image(found), judge_authors(request))
    try:
        channel = merged_channel(trunk, path, found.digests[path])
        settings = load_settings(ws.project / "images" / channel.image)
    except GoldpressError as error:
        return (*first, Verdict(rule="image", ok=False, why=error.message))
    access = access_of(settings, endpoint)
    trust = with_local(ws, trunk.trust())
    facts = gather(ws.store, trust, channel, access, at=at, expedited=request.expedited)
    return (*first, *judge(facts))


def merged_channel(trunk: Trunk, path: str, digest: str) -> Channel:
    """The channel as it would be merged: the digest, and the policy that the branch has now.

    Raises DocumentError when there is none, or it has no such digest.
    """
    there = trunk.channel(path)
    if there is None:
        raise DocumentError(f"{path}: {trunk.name} has no such channel yet")
    return parse_channel(edited(there, digest), path=path)
