"""Owns findings: what was looked at before a roll, whether it allows it, and what to do if not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from goldpress.errors import CloudError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says of a group (`account/region/name`).

    With `ok`, `why` may be a note: what the roll will do about it.
    """

    group: str
    rule: str
    ok: bool
    why: str = ""
    hint: str = ""

    def document(self) -> dict[str, object]:
        """For `tasks.py` to print."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a rule says, before it is known of which group."""

    ok: bool
    why: str = ""
    hint: str = ""


def good(why: str = "") -> Answer:
    """It allows a roll; `why` is a note to people."""
    return Answer(ok=True, why=why)


def bad(why: str, hint: str) -> Answer:
    """It does not; `hint` is what to do."""
    return Answer(ok=False, why=why, hint=hint)


def failed(rows: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that keep a group from being rolled."""
    return tuple(row for row in rows if not row.ok)


def refuse_failed(rows: Iterable[Finding]) -> None:
    """Raises CloudError that tells the first of them, and how many more there are."""
    found = failed(rows)
    if not found:
        return
    first = found[0]
    more = f" (and {len(found) - 1} more findings)" if len(found) > 1 else ""
    raise CloudError(f"{first.group}: {first.rule}: {first.why}{more}", hint=first.hint)


def table(rows: Iterable[Finding]) -> Table:
    """The findings that say anything, for a terminal."""
    shown = Table(title="what was looked at", title_justify="left")
    for name in ("group", "rule", "", "why", "what to do"):
        shown.add_column(name, overflow="fold")
    for row in rows:
        if not row.ok or row.why:
            word = Text("ok") if row.ok else Text("NO", style="bold red")
            shown.add_row(row.group, row.rule, word, Text(row.why), Text(row.hint))
    return shown
