"""Owns the proposal: what one pull request would change in a channel, for all its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldpress.channel import EXPEDITE, Channel, edited
from goldpress.digest import short
from goldpress.promotion.difference import ImageDifference
from goldpress.promotion.plan import Plan

BRANCH = "goldpress/"
#: The last line of the commits that goldpress makes: only they are ever replaced.
MARK = "Proposed-by: goldpress"
#: GitHub cuts longer titles; nobody reads them.
_TITLE_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Soak:
    """In which earlier channel the image is, since when and until when it has to be (UTC)."""

    channel: str
    since: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One image of the channel: from `plan.channel`'s digest to that of `difference.after`.

    `is_return` when it goes back to what the channel had before; `soak` is None where the channel
    asks for none.
    """

    plan: Plan
    difference: ImageDifference
    soak: Soak | None = None
    is_return: bool = False

    @property
    def channel(self) -> Channel:
        """The channel as it is now."""
        return self.plan.channel

    @property
    def digest(self) -> str:
        """The proposed digest."""
        return self.difference.after.digest

    @property
    def text(self) -> bytes:
        """The channel's file with the proposed digest."""
        return edited(self.channel, self.digest)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Changes of one channel, by image; `expedite` is the reason for haste, "" without any."""

    channel: str
    changes: tuple[Change, ...]
    expedite: str = ""

    @property
    def branch(self) -> str:
        """The branch; one a channel, so that there is one pull request at a time."""
        return f"{BRANCH}{self.channel}"

    @property
    def title(self) -> str:
        """One line: the channel, and each image with its new digest."""
        names = [f"{change.channel.image} {short(change.digest)}" for change in self.changes]
        text = f"{self.channel}: {', '.join(names)}"
        return text if len(text) <= _TITLE_LENGTH else f"{self.channel}: {len(names)} images"

    @property
    def message(self) -> str:
        """The commit's message: it tells digests in full, and why it is urgent if it is."""
        rows = [
            f"{change.channel.image}: {change.channel.digest or 'none'} -> {change.digest}\n"
            for change in self.changes
        ]
        haste = f"{EXPEDITE}: {self.expedite}\n" if self.expedite else ""
        return f"{self.title}\n\n{''.join(rows)}\n{haste}{MARK}\n"

    @property
    def files(self) -> Mapping[str, bytes]:
        """The changed files by their path in the project."""
        return {change.channel.path: change.text for change in self.changes}
