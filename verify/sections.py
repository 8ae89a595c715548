"""Owns sections: what several shell commands printed and how each ended, in one round trip."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watched import Watched


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one command printed, how it ended, and what it complained of."""

    status: int
    text: str
    error: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        return [row for row in self.text.splitlines() if row.strip()]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All sections of one machine, or of one tree."""

    sections: Watched[Section]

    def good(self, name: str) -> Section:
        """A section whose command succeeded; a failed command is a failed check, never a skip."""
        section = self.sections[name]
        said = (section.error or section.text).strip()[-500:] or "it said nothing"
        assert section.status == 0, f"looking at {name!r} failed with {section.status}: {said}"
        return section


def script(sections: Mapping[str, str], mark: str) -> str:
    """One shell script that runs every section and frames it with `mark`."""
    rows = ["export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin", "exec 3>&1"]
    for name, command in sections.items():
        rows += [
            f"echo '{mark} begin {name}'",
            # stdout goes straight through descriptor 3, stderr into the variable.
            f"error=$( ( {command}\n) 2>&1 1>&3 3>&- ); status=$?",
            f"echo; echo '{mark} end {name}' $status",
            f"echo \"$error\"; echo '{mark} done {name}'",
        ]
    return "\n".join(rows)


def parse(output: str, names: Iterable[str], mark: str) -> dict[str, Section]:
    """The sections of a script's output. Raises ValueError when one is missing or unfinished."""
    found: dict[str, Section] = {}
    for name in names:
        word = re.escape(name)
        frame = re.search(
            rf"^{mark} begin {word}\n(.*?)^{mark} end {word} (\d+)\n(.*?)^{mark} done {word}$",
            output,
            re.DOTALL | re.MULTILINE,
        )
        if frame is None:
            raise ValueError(f"the machine's answer has no section {name!r}: {output[-500:]!r}")
        found[name] = Section(status=int(frame[2]), text=frame[1].strip("\n"), error=frame[3])
    return found
