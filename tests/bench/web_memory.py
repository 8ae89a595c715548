"""Owns memory and connections of running services: what /proc tells of them, and its peaks.

PSS is what a process has alone and its share of what it has with others, so that the sum over
processes is what they take together; RSS would count a shared page once for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DATABASE = "database"
#: Fewer samples than these are no peak.
ENOUGH = 5
PROC = Path("/proc")
PARENT_FIELD = 1  # field 4 of /proc/PID/stat, counted after the name in parentheses


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look: for each service its PSS in bytes and its processes; connections to the database.

    They are counted by the titles that the database gives its processes: asking it would be one
    more.
    """

    pss: Mapping[str, int]
    processes: Mapping[str, int]
    connections: int


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """The most of every look, in bytes; each of the sums in the look that had most of it."""

    web: int
    database: int
    together: int
    connections: int
    processes: int
    services: Mapping[str, int]


def parse_pss(text: str) -> int:
    """The PSS in bytes of a smaps_rollup, 0 for one without memory. Raises ValueError."""
    if not text:  # a process that is ending
        return 0
    rows = [line.split() for line in text.splitlines() if line.startswith("Pss:")]
    if len(rows) != 1 or rows[0][2:] != ["kB"]:
        raise ValueError(f"smaps_rollup has no line `Pss: N kB`: {text[:80]!r}")
    return int(rows[0][1]) << 10


def families(parents: Mapping[int, int], roots: Mapping[str, int]) -> dict[str, list[int]]:
    """Service -> its first process and all that come from it. `parents`: process -> its parent."""
    children: dict[int, list[int]] = {}
    for process, parent in parents.items():
        children.setdefault(parent, []).append(process)
    found = {}
    for name, root in roots.items():
        family = [root] if root in parents else []
        for process in family:  # it grows while it is walked
            family += children.get(process, [])
        found[name] = family
    return found


def look(roots: Mapping[str, int], title: str, proc: Path = PROC) -> Sample:
    """What the services whose first processes are `roots` take now.

    `title` begins the title of each of the database's processes that serves a connection. A
    process that ends meanwhile has nothing; one that may not be read raises PermissionError.
    """
    parents = {}
    for entry in proc.iterdir():
        if entry.name.isdigit() and (text := _read(entry / "stat")):
            parents[int(entry.name)] = int(text.rpartition(")")[2].split()[PARENT_FIELD])
    members = families(parents, roots)
    return Sample(
        pss={
            name: sum(parse_pss(_read(proc / str(pid) / "smaps_rollup")) for pid in pids)
            for name, pids in members.items()
        },
        processes={name: len(pids) for name, pids in members.items()},
        connections=sum(
            _read(proc / str(pid) / "cmdline").startswith(title)
            for pid in members.get(DATABASE, [])
        ),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def peaks(samples: Sequence[Sample]) -> Peaks:
    """The peaks over all looks. Raises ValueError for too few."""
    if len(samples) < ENOUGH:
        raise ValueError(f"{len(samples)} looks at the memory are no peak: at least {ENOUGH} are")

    def most(value: Callable[[Sample], int]) -> int:
        return max(value(sample) for sample in samples)

    def web(values: Mapping[str, int]) -> int:
        return sum(value for name, value in values.items() if name != DATABASE)

    return Peaks(
        web=most(lambda sample: web(sample.pss)),
        database=most(lambda sample: sample.pss.get(DATABASE, 0)),
        together=most(lambda sample: sum(sample.pss.values())),
        connections=most(lambda sample: sample.connections),
        processes=most(lambda sample: web(sample.processes)),
        services={name: most(lambda s, n=name: s.pss[n]) for name in samples[0].pss},  # type: ignore[misc]
    )
