"""Owns what came of publishing: a row a region, for programs, for people, and as an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from goldpress.digest import short
from goldpress.errors import CloudError, GoldpressError
from goldpress.publish.region import Published

FAILED = "FAILED"
COLUMNS = ("region", "AMI", "EBS snapshot", "state", "blocks sent", "verified")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of one region: an AMI, its evidence, an error; the first also beside the last.

    `audited` is the number of blocks that were read back, None when there was no need to.
    """

    region: str
    published: Published | None = None
    audited: int | None = None
    evidence: str = ""
    error: GoldpressError | None = None

    @property
    def state(self) -> str:
        """The AMI's state, or that something failed."""
        return self.published.state if self.published and not self.error else FAILED

    def document(self) -> dict[str, Any]:
        """For a task to print."""
        said = {"region": self.region, "state": self.state, "error": str(self.error or "")}
        made = self.published
        if made is None:
            return said
        return {
            **said,
            "ami": made.ami.ami,
            "ebs_snapshot": made.ami.snapshot,
            "sent_blocks": made.sent,
            "blocks": made.blocks,
            "audited_blocks": self.audited,
            "image_digest": made.ami.image,
            "document": made.document,
            "emulated": made.ami.emulated,
            "evidence": self.evidence,
        }

    def cells(self) -> tuple[str, ...]:
        """The row in the order of `COLUMNS`, for people."""
        made = self.published
        if made is None:
            return (self.region, "", "", self.state, "", "")
        sent = f"{made.sent} of {made.blocks}"
        proven = f"evidence {short(self.evidence)}" if self.evidence else "no"
        return (self.region, made.ami.ami, made.ami.snapshot, self.state, sent, proven)


def table(rows: Sequence[Row]) -> Table:
    """All regions, for people."""
    made = Table(*COLUMNS)
    for row in rows:
        made.add_row(*row.cells())
    return made


def failure(rows: Sequence[Row]) -> CloudError | None:
    """The error to end with when a region failed: all of them, each as it was told."""
    failed = [row for row in rows if row.error is not None]
    if not failed:
        return None
    lines = "".join(f"\n  {row.region}: {row.error}" for row in failed)
    return CloudError(f"{len(failed)} of {len(rows)} regions failed:{lines}")
