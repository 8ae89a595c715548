"""Owns the report on an image's controls: the table of results, the waivers, what was not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.controls import Controls
from goldpress.digest import sha256_tree
from goldpress.store import Store
from goldpress.verify import guard, table
from goldpress.verify.evidence import EVIDENCE_KIND, reference

WAIVER_COLUMNS = ("control", "departs from", "because", "owner", "until")


@dataclass(frozen=True, kw_only=True)
class Report:
    """An image's controls with the last `evidence` (its document), and the bare image's findings.

    `evidence` is None when nothing was verified yet; it may be of another suite than there is now.
    """

    image: str
    distribution: str
    controls: Controls
    evidence: Mapping[str, Any] | None
    bare: guard.Findings
    suite_sha256: str

    @property
    def rows(self) -> tuple[table.Row, ...]:
        """The table."""
        return table.rows(self.controls, self.evidence, self.bare)

    @property
    def without(self) -> str:
        """What the guard says, in one line."""
        rows = [row.bare for row in self.rows if row.control in self.controls.controls]
        exercised = [bare for bare in rows if bare != table.NOT_EXERCISED]
        if table.NOT_VERIFIED in exercised:
            return (
                f"not compared with these checks on {self.distribution}"
                " (`./inv test --only=test_real_bare` does it on the sandbox)"
            )
        return f"{exercised.count('fails')} of {len(exercised)} controls fail on it"

    @property
    def remark(self) -> str:
        """What makes the results doubtful, in one line; empty if nothing does."""
        if self.evidence is None:
            return "Not verified yet."
        other = self.evidence["suite_sha256"] != self.suite_sha256
        return "The suite has changed since: new checks show as FAILED." if other else ""

    def text(self) -> str:
        """The table for a terminal."""
        remark = f"{self.remark}\n" if self.remark else ""
        return table.text(self.rows) + remark

    def markdown(self) -> str:
        """The whole report."""
        parts = [f"# Controls of {self.image} on {self.distribution}\n", self._about()]
        parts.append(table.markdown(table.COLUMNS, (row.cells for row in self.rows)))
        if waived := self.waivers():
            parts += ["## Waivers\n", table.markdown(WAIVER_COLUMNS, waived)]
        absent = self.controls.not_exercised(self.distribution)
        if absent:
            parts.append("## Not exercised on this distribution\n")
            parts.append(table.markdown(("control", "because"), absent.items()))
        return "\n".join(parts)

    def _about(self) -> str:
        remark = f"{self.remark} " if self.remark else ""
        if self.evidence is None:
            return f"{remark}The bare image: {self.without}.\n"
        subject = self.evidence["subject"]["image_digest"]
        told = f"{self.evidence['passed']} checks passed, {self.evidence['failed']} failed"
        return f"Image {subject}: {told}. {remark}The bare image: {self.without}.\n"

    def waivers(self) -> tuple[tuple[str, ...], ...]:
        """A row for each waiver."""
        return tuple(
            (name, waiver.rule, waiver.reason, waiver.owner, waiver.expires)
            for name, control in self.controls.controls.items()
            for waiver in control.waivers
        )


def read_report(
    store: Store,
    controls: Controls,
    *,
    image: str,
    distribution: str,
    suite: Path,
    evidence: str = "",
) -> Report:
    """The report on this evidence (its digest), or the last, passed or failed, that there is."""
    history = store.history(EVIDENCE_KIND, reference(image, distribution))
    digest = evidence or (history[-1].digest if history else "")
    suite_sha256 = sha256_tree(suite.resolve())
    return Report(
        image=image,
        distribution=distribution,
        controls=controls,
        evidence=store.get_document(EVIDENCE_KIND, digest) if digest else None,
        bare=guard.latest(
            store,
            controls,
            image=image,
            distribution=distribution,
            suite_sha256=suite_sha256,
        ),
        suite_sha256=suite_sha256,
    )
