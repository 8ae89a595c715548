"""Owns verdicts: how each rule judged, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from goldpress.errors import PromotionError
from goldpress.markdown import plain

MOST_WHY = 600


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A rule by its name, whether it is met, and why (or why not), for people."""

    rule: str
    ok: bool
    why: str

    def document(self) -> dict[str, str | bool]:
        """For `tasks.py` to print."""
        return {"rule": self.rule, "ok": self.ok, "why": self.why}


def failed(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Those that are not met."""
    return tuple(row for row in verdicts if not row.ok)


def refuse_failed(verdicts: Iterable[Verdict], *, what: str) -> None:
    """Raises PromotionError with the first rule that is not met; the message has them all."""
    rows = failed(verdicts)
    if not rows:
        return
    told = rows[0].why
    if len(rows) > 1:
        told += "".join(f"\n  {row.rule}: {row.why}" for row in rows[1:])
    raise PromotionError(rows[0].rule, f"{what} is refused: {told}")


def table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """The verdicts for a terminal."""
    shown = Table(title=title, title_justify="left")
    for name in ("rule", "", "why"):
        shown.add_column(name)
    for row in verdicts:
        shown.add_row(row.rule, "ok" if row.ok else "[bold red]NO[/]", escape(row.why))
    return shown


def markdown(title: str, verdicts: Sequence[Verdict]) -> str:
    """The verdicts for a comment; nothing in a reason can become markup."""
    rows = [f"| {'✅' if row.ok else '❌'} | `{row.rule}` | {cell(row.why)} |" for row in verdicts]
    count = len(failed(verdicts))
    said = f"**Refused** by {count} of {len(rows)} rules." if count else "Every rule is met."
    head = ["| | rule | why |", "|---|---|---|"]
    return "\n".join([f"### {cell(title)}", "", said, "", *head, *rows, ""])


def cell(text: str) -> str:
    """A text as a table's cell shows it: one line, and no markup, mention or link."""
    short = " ".join(text.split())
    if len(short) > MOST_WHY:
        short = short[:MOST_WHY] + " ..."
    # An escaped @ is one again before GitHub looks for people to tell.
    return plain(short).replace("@", "@\u200b")
