"""Owns a difference as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from goldpress.markdown import code, plain, row
from goldpress.mirror.difference.change import Difference, Source
from goldpress.mirror.difference.lines import cve_text, lines, sections, shown_size, summary
from goldpress.mirror.difference.remarks import some

#: A comment on GitHub has 65,536 characters at most.
LIMIT = 60_000
SHOWN_CVES = 8
SHOWN_PACKAGES = 5

_HEAD = (
    "| source package | change | version | packages | size | CVEs |\n|---|---|---|---|---:|---|\n"
)


def markdown(difference: Difference, *, limit: int = LIMIT, heading: str = "### ") -> str:
    """A difference as Markdown of at most `limit` characters, tables apart from module streams.

    What has no room is counted, never dropped in silence: packages that went up and name no CVE
    give way first.
    """
    head = "".join(
        (
            f"{heading}{code(difference.before.name)} → {code(difference.after.name)}\n\n",
            *(f"- {plain(sentence)}\n" for sentence in summary(difference)),
        )
    )
    remarks = "".join(f"> {plain(remark)}\n>\n" for remark in difference.remarks)
    # A remark names what stands in a lock, and that may be of any length.
    tail = remarks[: limit // 4]
    shown = _fitting(difference.sources, limit - len(head) - len(tail))
    parts = [head]
    for stream, sources in sections(shown):
        parts.append(f"\n{_title(stream)}{_HEAD}")
        parts += [_row(source) for source in sources]
    absent = len(difference.sources) - len(shown)
    if absent:
        parts.append(f"\n{_absent(absent)}")
    if tail:
        parts.append(f"\n{tail}")
    return "".join(parts)


def _absent(count: int) -> str:
    return f"{count} more source packages have no room here; the JSON form has all.\n"


def _title(stream: str) -> str:
    return f"#### module {code(stream)}\n\n" if stream else ""


def _row(source: Source) -> str:
    text = ""
    for index, line in enumerate(lines(source)):
        first = index == 0
        cells = (
            code(source.name) if first else "",
            f"**{line.kind}**" if line.kind == "down" else line.kind,
            plain(line.versions),
            plain(some(line.packages, shown=SHOWN_PACKAGES)),
            plain(shown_size(line.size, sign=True)),
            plain(cve_text(source, shown=SHOWN_CVES)) if first else "",
        )
        text += row(cells)
    return text


def _fitting(sources: Sequence[Source], room: int) -> tuple[Source, ...]:
    """The sources that fit, in their order; those that need a look are taken first."""
    weights = [len(_row(source)) for source in sources]
    streams = {source.stream for source in sources}
    room -= sum(len(_title(stream)) + len(_HEAD) + 1 for stream in streams)
    # One for each line break between the parts.
    if sum(weights) > room - 2:
        room -= len(_absent(len(sources))) + 1
    taken = set()
    for index in sorted(range(len(sources)), key=lambda i: (_calm(sources[i]), i)):
        if weights[index] > room - 2:
            break
        room -= weights[index]
        taken.add(index)
    return tuple(source for index, source in enumerate(sources) if index in taken)


def _calm(source: Source) -> bool:
    found = source.findings
    named = found and (found.fixed or found.reopened)
    return not named and all(c.kind in {"up", "added", "rebuilt"} for c in source.changes)
