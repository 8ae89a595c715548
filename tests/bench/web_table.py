"""Owns how a result is shown: a table for people, and the same as Markdown for the README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

COLUMNS = (
    "case", "processes", "web MB", "database MB", "together MB", "connections", "requests/s",
    "p99 ms", "late",
)  # fmt: skip
RATIO_COLUMNS = ("Apache prefork : the image", "together", "web", "database", "connections")
RATIO_TITLES = {
    "saturated": "all clients ask at once",
    "thinking": "clients think for 0.5 to 1.5 s",
    "one_pool": "at once, without the second application",
    "few_children": "at once, prefork with as few children, KeepAlive Off",
    "static": "a static file",
}


def rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row a case."""
    return [
        (
            case["title"],
            str(case["processes"]),
            f"{case['web_mb']:.1f}",
            f"{case['database_mb']:.1f}",
            f"{case['together_mb']:.1f}",
            str(case["connections"]),
            str(case["requests_per_second"]),
            f"{case['p99_ms']:.0f}",
            str(case["late"]),
        )
        for case in result["cases"].values()
    ]


def ratio_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row a condition; `-` where there is nothing to compare."""
    return [
        (
            RATIO_TITLES[name],
            *(f"{found[key]:g}" if key in found else "-" for key in RATIO_COLUMNS[1:]),
        )
        for name, found in result["ratios"].items()
    ]


def tables(result: Mapping[str, Any]) -> tuple[Table, Table]:
    """Both tables, for a terminal."""
    made = []
    for columns, cells in ((COLUMNS, rows(result)), (RATIO_COLUMNS, ratio_rows(result))):
        table = Table(pad_edge=False)
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if index else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        made.append(table)
    return made[0], made[1]


def plain(result: Mapping[str, Any]) -> str:
    """Both tables for a log."""
    parts = []
    for columns, cells in ((COLUMNS, rows(result)), (RATIO_COLUMNS, ratio_rows(result))):
        shown = [columns, *cells]
        widths = [max(len(row[index]) for row in shown) for index in range(len(columns))]
        lines = []
        for first, *rest in shown:
            aligned = [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
            lines.append("  ".join([first.ljust(widths[0]), *aligned]))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def conditions(result: Mapping[str, Any]) -> str:
    """In what conditions it was measured, in one line."""
    known = result["conditions"]
    return (
        f"MB (10^6 bytes) of PSS, the peak of {known['measured_seconds']} s after"
        f" {known['warm_up_seconds']} s; {known['clients']} keep-alive clients of wrk on the same"
        f" machine ({known['processors']} processors, its load before {known['load_average']:g}),"
        f" a page of {known['page_bytes']} bytes, plain HTTP, PostgreSQL {known['postgresql']} by"
        f" a unix socket; PHP {known['php']} on both sides, with the same settings and persistent"
        f" connections; nginx {known['nginx']}, Apache {known['apache']}; {known['distribution']};"
        f" {known['pool']}. Late: answers after 10 s. Requests/s and p99 vary from run to run."
    )


def markdown(result: Mapping[str, Any]) -> str:
    """The whole result as the README has it."""
    aligned = ("---", *("---:" for _ in COLUMNS[1:]))
    lines = [COLUMNS, aligned, *rows(result)]
    table = "".join("| " + " | ".join(row) + " |\n" for row in lines)
    said = "".join(f"- {sentence}\n" for sentence in result["findings"])
    return f"{said}\n{table}\n{conditions(result)}\n"
