"""Owns why nothing that may be chosen provides a requirement, and what a person can do about it.

What was hidden from the solver is looked at again: most often that is where the answer is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.mirror.overrides import FILE
from goldpress.resolve.pool import LoadedPool, nevra
from goldpress.resolve.visible import Hidden, Hiding

#: Kinds in the order in which they are worth telling: what a person can change here comes first.
#: A version is not among `Hiding`: nothing hides what does not exist.
VERSION, NOTHING = "version", "nothing"
_RANKS = ("excluded", "pinned", "stream", "shadowed", VERSION, "arch", NOTHING)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A reason: its kind, who has what is required, the rest of a sentence, what to do.

    `repository` is libsolv's id of the repository that has another version.
    """

    kind: str
    provider: str
    sentence: str
    advice: str = ""
    repository: int = 0

    @property
    def rank(self) -> int:
        """Its place in the order of usefulness; the least is the best."""
        return _RANKS.index(self.kind)


def cause(
    loaded: LoadedPool, dep: Any, hidden: Mapping[int, Hidden], *, image: str, where: str
) -> Cause:
    """The most useful reason why nothing provides `dep`; the pool has to show what is hidden."""
    pool = loaded.pool
    providers = _newest_first(s for s in pool.whatprovides(dep) if s.id in hidden)
    found = [_hidden_cause(s, hidden[s.id], image) for s in providers]
    streams = {s.id: hidden[s.id].detail for s in providers if hidden[s.id].why is Hiding.STREAM}
    if streams:
        found.append(_stream_cause(streams.values(), image))
    plain = pool.str2id(any_version(str(dep)))
    for nearly in _newest_first(s for s in pool.whatprovides(plain) if s.id not in hidden)[:1]:
        sentence = (
            f"and what comes nearest, {nevra(nearly)} of {nearly.repo.name}, has another version"
        )
        repository = nearly.repo.id
        found.append(
            Cause(kind=VERSION, provider=nearly.name, sentence=sentence, repository=repository)
        )
    nothing = Cause(kind=NOTHING, provider=str(dep), sentence=f"which nothing in {where} has")
    return min([*found, nothing], key=lambda row: row.rank)


def _hidden_cause(solvable: Any, reason: Hidden, image: str) -> Cause:
    full, detail = nevra(solvable), reason.detail
    words = {
        Hiding.EXCLUDED: (f"but `exclude:` has {detail!r}", f"correct `exclude:` of {image}"),
        Hiding.PINNED: (f"but an override holds it at {detail}", f"correct {FILE}"),
        Hiding.STREAM: (f"of module {detail}", ""),
        Hiding.SHADOWED: (
            f"but the enabled module {detail} takes its place",
            f"correct `modules:` of {image}",
        ),
        Hiding.ARCH: ("for another architecture", ""),
    }
    sentence, advice = words[reason.why]
    kind = NOTHING if reason.why is Hiding.STREAM else reason.why.value
    return Cause(
        kind=kind,
        provider=solvable.name,
        sentence=f"which {full} has, {sentence}",
        advice=advice,
    )


def _stream_cause(streams: Iterable[str], image: str) -> Cause:
    names = sorted(set(streams))
    listed = " or ".join(names)
    module, _, stream = names[0].partition(":")
    return Cause(
        kind=Hiding.STREAM.value,
        provider=listed,
        sentence=f"which module {listed} has, and that is not enabled",
        advice=f'in `modules:` of {image}, `{module}: "{stream}"` enables it',
    )


def _newest_first(solvables: Iterable[Any]) -> list[Any]:
    def order(one: Any, other: Any) -> int:
        return int(other.evrcmp(one))

    return sorted(solvables, key=functools.cmp_to_key(order))


def any_version(dep: str) -> str:
    """The same of any version: ``a`` of ``a = 1``, ``b.so()(64bit)`` of ``b.so(X)(64bit)``."""
    name, space, _ = dep.partition(" ")
    if space or dep.startswith("("):
        return name
    library, bracket, rest = dep.partition("(")
    _, closing, marks = rest.partition(")")
    return f"{library}(){marks}" if ".so" in library and bracket and closing else dep
