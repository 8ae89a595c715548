"""Owns telling why a request has no answer: which package needs what, and who would have it.

libsolv names every version of every package on the way. Here the newest of each name speaks for
it, and what fails for one reason is one sentence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import solv

from goldpress.resolve.cause import VERSION, Cause, cause
from goldpress.resolve.pool import LoadedPool, nevra
from goldpress.resolve.visible import Hidden, Hiding

#: Repositories that are further apart than this come from different moments of the mirror.
APART_SECONDS = 7 * 86400
MAX_NAMES = 4

_REQUIRES = solv.Solver.SOLVER_RULE_PKG_REQUIRES
_LACK = solv.Solver.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP


@dataclass(frozen=True, kw_only=True)
class Told:
    """A refusal: its sentences, advice, and modules whose enabled stream cannot be installed."""

    lines: tuple[str, ...]
    advice: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Lack:
    """A package that cannot be installed, by its newest version, and the requirement to tell."""

    solvable: Any
    requirement: str
    cause: Cause


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a refusal is told from: the pool, and what was asked of it.

    `streams` are the enabled ones (``module:stream``) by NEVRA, `hidden` the reasons by libsolv's
    id, `image` and `where` names for messages.
    """

    loaded: LoadedPool
    asked: Sequence[str]
    hidden: Mapping[int, Hidden]
    streams: Mapping[str, str]
    image: str
    where: str

    def told(self, problems: Iterable[Any]) -> Told:
        """libsolv's problems in sentences.

        Afterwards the pool shows what was hidden from the solver.
        """
        found = [_infos(problem) for problem in problems]
        infos = [info for rows in found for info in rows]
        # Their texts are taken before the pool changes below them.
        others = [text for rows in found for text in _other_texts(rows)]
        self._show_hidden()
        lacks = [self._lack(solvable, deps) for solvable, deps in _missing(infos)]
        streams = [self.streams.get(nevra(row.solvable), "") for row in lacks]
        advice = [row.cause.advice for row in lacks if row.cause.advice]
        return Told(
            lines=tuple(dict.fromkeys([*self._sentences(lacks, _needed_by(infos)), *others])),
            advice=tuple(dict.fromkeys([*advice, *self._ages(lacks)])),
            modules=tuple(sorted({s.partition(":")[0] for s in streams if s})),
        )

    def _show_hidden(self) -> None:
        pool = self.loaded.pool
        never = [i for i, reason in self.hidden.items() if reason.why is Hiding.TRACKED]
        pool.set_disabled_list(never)
        pool.createwhatprovides()

    def _lack(self, solvable: Any, deps: Mapping[str, Any]) -> _Lack:
        rows = [
            _Lack(
                solvable=solvable,
                requirement=text,
                cause=cause(self.loaded, dep, self.hidden, image=self.image, where=self.where),
            )
            for text, dep in deps.items()
        ]
        return min(rows, key=lambda row: row.cause.rank)

    def _sentences(
        self, lacks: Iterable[_Lack], needed_by: Mapping[str, Sequence[str]]
    ) -> Iterator[str]:
        """One sentence a reason, with all that fails for it."""
        groups: dict[tuple[str, str], list[_Lack]] = {}
        for lack in lacks:
            groups.setdefault((lack.cause.kind, lack.cause.provider), []).append(lack)
        for rows in groups.values():
            # What was asked for is what a person knows.
            rows.sort(key=lambda row: row.solvable.name not in self.asked)
            first, *others = rows
            so_do = _listed([row.solvable.name for row in others])
            yield (
                f"{self._named(first.solvable, needed_by)} needs {first.requirement}, "
                f"{first.cause.sentence}" + (f"; so do {so_do}" if so_do else "")
            )

    def _named(self, solvable: Any, needed_by: Mapping[str, Sequence[str]]) -> str:
        """``nevra (why it is wanted)``."""
        words = []
        if solvable.name in self.asked:
            words.append("asked for")
        elif way := self._way(solvable.name, needed_by):
            words.append("needed by " + ", needed by ".join(way))
        if stream := self.streams.get(nevra(solvable)):
            words.append(f"of module {stream}")
        return f"{nevra(solvable)} ({', '.join(words)})" if words else nevra(solvable)

    def _way(self, name: str, needed_by: Mapping[str, Sequence[str]]) -> list[str]:
        """From who needs `name` to who was asked for, on the shortest way."""
        ways, seen = [[name]], {name}
        while ways:
            way = ways.pop(0)
            for parent in needed_by.get(way[-1], ()):
                if parent in self.asked:
                    return [*way[1:], parent]
                if parent not in seen:
                    seen.add(parent)
                    ways.append([*way, parent])
        return []

    def _ages(self, lacks: Iterable[_Lack]) -> Iterator[str]:
        """Repositories that do not fit because one is older than the other."""
        pairs = {
            (row.solvable.repo.id, row.cause.repository)
            for row in lacks
            if row.cause.kind == VERSION
        }
        newest: dict[int, int] = {}
        names: dict[int, str] = {}
        for solvable in self.loaded.solvables if pairs else ():
            repo = solvable.repo
            built = solvable.lookup_num(solv.SOLVABLE_BUILDTIME)
            newest[repo.id] = max(newest.get(repo.id, 0), built)
            names[repo.id] = repo.name
        for new, old in sorted(pairs):
            if newest[new] - newest[old] > APART_SECONDS:
                yield (
                    f"{names[old]} here ends at {_day(newest[old])} and {names[new]} at "
                    f"{_day(newest[new])}: `./inv mirror.sync` when the mirror has both"
                )


def _infos(problem: Any) -> list[Any]:
    return [info for rule in problem.findallproblemrules() for info in rule.allinfos()]


def _is_lack(info: Any) -> bool:
    return info.type == _LACK and info.solvable is not None


def _other_texts(infos: Sequence[Any]) -> list[str]:
    """libsolv's own sentences for what is not a lack of something.

    A requirement alone says something only when nothing else does: with conditions in it, say.
    """
    others = [info for info in infos if not _is_lack(info) and info.type != _REQUIRES]
    if not others and not any(_is_lack(info) for info in infos):
        others = list(infos)
    return [info.problemstr() for info in others]


def _missing(infos: Iterable[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """By name, the newest package that lacks something, and what it lacks."""
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for info in infos:
        if not _is_lack(info):
            continue
        name = info.solvable.name
        if name not in found or found[name][0].evrcmp(info.solvable) < 0:
            found[name] = (info.solvable, {})
        solvable, lacks = found[name]
        if solvable.id == info.solvable.id:
            lacks[str(info.dep)] = info.dep
    return list(found.values())


def _needed_by(infos: Iterable[Any]) -> dict[str, list[str]]:
    """By name, the names of the packages that need it."""
    found: dict[str, list[str]] = {}
    for info in infos:
        if info.type != _REQUIRES:
            continue
        parent = info.solvable.name
        pool = info.solvable.pool
        for name in {s.name for s in pool.whatprovides(info.dep)} - {parent}:
            if parent not in found.setdefault(name, []):
                found[name].append(parent)
    return found


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``, or ``a, b, c, d and 5 more``."""
    shown = list(names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        shown.append(f"{len(names) - MAX_NAMES} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def _day(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()
