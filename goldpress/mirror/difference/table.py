"""Owns a difference on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from goldpress.mirror.difference.change import Difference, Kind, Source
from goldpress.mirror.difference.lines import cve_text, lines, sections, shown_size, summary
from goldpress.mirror.difference.remarks import some

SHOWN_CVES = 8
SHOWN_PACKAGES = 3

_STYLES: dict[Kind, str] = {
    "down": "bold red",
    "removed": "red",
    "up": "green",
    "added": "cyan",
    "rebuilt": "yellow",
}


def table(difference: Difference) -> RenderableType:
    """A difference for a terminal: a summary, one table a module stream, remarks."""
    # Text, never markup: a `[` in a name is a `[`.
    parts: list[RenderableType] = [
        Text(f"{difference.before.name} → {difference.after.name}", style="bold"),
        *(Text(sentence) for sentence in summary(difference)),
    ]
    for stream, sources in sections(difference.sources):
        parts.append(_table(f"module {stream}" if stream else "", sources))
    parts += [Text(f"note: {remark}", style="dim") for remark in difference.remarks]
    return Group(*parts)


def _table(title: str, sources: list[Source]) -> Table:
    rows = Table(title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for column in ("source package", "change", "version", "packages"):
        rows.add_column(column, overflow="fold")
    rows.add_column("size", justify="right", no_wrap=True)
    rows.add_column("CVEs", overflow="fold")
    for source in sources:
        for index, line in enumerate(lines(source)):
            first = index == 0
            rows.add_row(
                Text(source.name if first else ""),
                Text(line.kind, style=_STYLES[line.kind]),
                Text(line.versions),
                Text(some(line.packages, shown=SHOWN_PACKAGES)),
                Text(shown_size(line.size, sign=True)),
                Text(cve_text(source, shown=SHOWN_CVES) if first else ""),
            )
    return rows
