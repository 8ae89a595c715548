"""Owns the reasons why a package is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import solv

#: Half of an image requires glibc. The first few who do, nearest to what was asked for, explain
#: as much as all of them, and leave the lock's diff to what changed.
MAX_REASONS = 3
ASKED = "asked for"


def reasons(
    pool: Any, chosen: Sequence[Any], asked: Iterable[str], *, weak: bool
) -> dict[int, tuple[str, ...]]:
    """By solvable id, at most `MAX_REASONS` sorted reasons; ``asked for`` stands alone."""
    by_id = {s.id: s for s in chosen}
    kinds = [("required by", solv.SOLVABLE_REQUIRES)]
    if weak:
        kinds.append(("recommended by", solv.SOLVABLE_RECOMMENDS))
    needed_by: dict[int, list[tuple[int, str]]] = {i: [] for i in by_id}
    needs: dict[int, set[int]] = {i: set() for i in by_id}
    for solvable in chosen:
        for word, array in kinds:
            for other in _targets(pool, solvable, array, by_id):
                needed_by[other].append((solvable.id, f"{word} {solvable.name}"))
                needs[solvable.id].add(other)
        if weak:
            for other in _targets(pool, solvable, solv.SOLVABLE_SUPPLEMENTS, by_id):
                needed_by[solvable.id].append((other, f"supplements {by_id[other].name}"))
                needs[other].add(solvable.id)
    depth = _depths(by_id, needs, set(asked))
    far = len(by_id) + 1
    why: dict[int, tuple[str, ...]] = {}
    for i, solvable in by_id.items():
        if depth.get(i) == 0:
            why[i] = (ASKED,)
            continue
        rows = sorted({(depth.get(j, far), text) for j, text in needed_by[i]})
        texts = list(dict.fromkeys(text for _, text in rows))[:MAX_REASONS]
        why[i] = tuple(sorted(texts)) or (f"chosen with {solvable.name}",)
    return why


def _targets(pool: Any, solvable: Any, array: int, by_id: dict[int, Any]) -> set[int]:
    """Chosen solvables that provide a dependency of `solvable`, itself apart."""
    found = set()
    # A marker divides requirements from those of scriptlets; -1 is before it, 1 behind it.
    for marker in (-1, 1):
        for dependency in solvable.lookup_deparray(array, marker):
            found |= {s.id for s in pool.whatprovides(dependency) if s.id in by_id}
    return found - {solvable.id}


def _depths(by_id: dict[int, Any], needs: dict[int, set[int]], asked: set[str]) -> dict[int, int]:
    """How many steps each solvable is from one that was asked for."""
    depth = {i: 0 for i, s in by_id.items() if s.name in asked}
    edge = list(depth)
    while edge:
        following = []
        for i in edge:
            for j in needs[i]:
                if j not in depth:
                    depth[j] = depth[i] + 1
                    following.append(j)
        edge = following
    return depth
