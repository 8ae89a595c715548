"""Owns asking libsolv: what is hidden from it, its answer, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import solv

from goldpress.definition import Definition
from goldpress.document import nearest
from goldpress.errors import ResolveError
from goldpress.mirror.overrides import FILE, Overrides
from goldpress.resolve.modules import Allowed, ModuleFilter, module_filter
from goldpress.resolve.pool import LoadedPool, nevra
from goldpress.resolve.refusal import Refusal, Told
from goldpress.resolve.visible import Hidden, Hiding, Wish, hidden

#: Other streams that are tried, to name one that would do; each try costs some 50 ms.
MAX_TRIES = 8


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A definition's request to a loaded pool; `where` names the distributions in messages.

    `allowed` are the module streams that may be suggested (None: all).
    """

    loaded: LoadedPool
    definition: Definition
    overrides: Overrides
    platform: str
    where: str
    allowed: Allowed | None

    def answer(self) -> tuple[list[Any], tuple[str, ...]]:
        """The solvables, and a sentence for each that was asked for and is held back.

        Raises ResolveError in sentences when there is no answer.
        """
        modular = self._modular(self.definition.modules)
        gone = self._hide(modular)
        self._check_overrides()
        self._check_names(gone)
        solver, problems = self._solve()
        if problems:
            raise self._refused(problems, gone, modular)
        chosen = list(solver.transaction().newsolvables())
        return chosen, tuple(self._held_back(chosen))

    def _modular(self, modules: Mapping[str, str]) -> ModuleFilter:
        return module_filter(
            self.loaded.streams, modules, arch=self.definition.arch, platform=self.platform
        )

    def _hide(self, modular: ModuleFilter) -> dict[int, Hidden]:
        # What provides a name is asked below, and must not depend on what was hidden before.
        pool = self.loaded.pool
        pool.set_disabled_list([])
        pool.createwhatprovides()
        definition = self.definition
        wish = Wish(
            arch=definition.arch,
            exclude=definition.exclude,
            modular=modular,
            overrides=self.overrides,
        )
        gone = hidden(self.loaded, wish)
        pool.set_disabled_list(list(gone))
        pool.createwhatprovides()
        return gone

    def _solve(self) -> tuple[Any, list[Any]]:
        jobs = []
        for name in self.definition.packages:
            selection = self.loaded.pool.select(name, solv.Selection.SELECTION_NAME)
            jobs += selection.jobs(solv.Job.SOLVER_INSTALL)
        return self._solved(jobs)

    def _solved(self, jobs: list[Any]) -> tuple[Any, list[Any]]:
        solver = self.loaded.pool.Solver()
        # Without this, what is merely recommended is installed as well.
        solver.set_flag(
            solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED,
            0 if self.definition.weak_dependencies else 1,
        )
        return solver, solver.solve(jobs)

    def _visible(self, name: str) -> list[Any]:
        """The solvables called `name` that may be chosen."""
        pool = self.loaded.pool
        wanted = pool.str2id(name)
        # Every package provides its own name.
        return [s for s in pool.whatprovides(wanted) if s.nameid == wanted]

    def _named(self, name: str) -> list[Any]:
        """The solvables called `name`, those hidden too."""
        wanted = self.loaded.pool.str2id(name)
        return [s for s in self.loaded.solvables if s.nameid == wanted]

    def _check_overrides(self) -> None:
        unknown = [
            f"the {pin}: {self.where} has no package of that name"
            for pin in self.overrides.pins
            if not self._named(pin.name)
        ]
        absent = [
            f"the {track}: there is no such package in it"
            for track in self.overrides.fast_tracks
            if track.nevra not in {nevra(s) for s in self._visible(track.name)}
        ]
        if lines := [*unknown, *absent]:
            raise ResolveError("\n".join(lines), hint=f"correct {FILE}")

    def _check_names(self, gone: Mapping[int, Hidden]) -> None:
        missing = [name for name in self.definition.packages if not self._visible(name)]
        if not missing:
            return
        known = {s.name for s in self.loaded.solvables if s.id not in gone}
        lines = []
        for name in missing:
            reasons = [gone[s.id] for s in self._named(name)]
            if ways := _ways([r for r in reasons if r.why is not Hiding.TRACKED]):
                lines.append(f"the package {name!r} is in {self.where}, but {ways}")
            else:
                lines.append(f"no package named {name!r} in {self.where}{nearest(name, known)}")
        raise ResolveError(
            "\n".join(lines),
            hint=f"correct `packages:`, `exclude:` or `modules:` of {self.definition.name}",
        )

    def _held_back(self, chosen: Iterable[Any]) -> Iterator[str]:
        by_name = {solvable.name: solvable for solvable in chosen}
        for name in self.definition.packages:
            taken = by_name[name]
            newest = taken
            for solvable in self._visible(name):
                if solvable.repo.priority == taken.repo.priority and solvable.evrcmp(newest) > 0:
                    newest = solvable
            if newest is not taken:
                yield f"{nevra(newest)} is not taken: {self._why_not(newest)}"

    def _why_not(self, solvable: Any) -> str:
        pool = self.loaded.pool
        job = pool.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE, solvable.id)
        _, problems = self._solved([job])
        if not problems:
            return "it does not go together with the others"
        return str(problems[0].findproblemrule().info().problemstr())

    def _refused(
        self, problems: Iterable[Any], gone: Mapping[int, Hidden], modular: ModuleFilter
    ) -> ResolveError:
        definition = self.definition
        refusal = Refusal(
            loaded=self.loaded,
            asked=definition.packages,
            hidden=gone,
            streams=modular.active,
            image=definition.name,
            where=self.where,
        )
        found = refusal.told(problems)
        advice = [*found.advice, *self._other_streams(found)]
        return ResolveError(
            "\n".join(found.lines),
            hint="; ".join(advice)
            or f"change `packages:`, `exclude:` or `modules:` of {definition.name}",
        )

    def _other_streams(self, found: Told) -> Iterator[str]:
        """Streams that would do instead of those whose packages cannot be installed."""
        modules = self.definition.modules
        good: list[str] = []
        tries = 0
        for module in found.modules:
            others = {s.stream for s in self.loaded.streams if s.module == module}
            if self.allowed is not None:
                others &= set(self.allowed.get(module, ()))
            for stream in sorted(others - {modules.get(module)}):
                if tries < MAX_TRIES and self._would_do({**modules, module: stream}):
                    good.append(f"{module}:{stream}")
                tries += 1
        if good:
            yield f"with {' or '.join(good)} in `modules:` of {self.definition.name} it goes"

    def _would_do(self, modules: Mapping[str, str]) -> bool:
        try:
            gone = self._hide(self._modular(modules))
            self._check_names(gone)
        except ResolveError:
            return False
        return not self._solve()[1]


def _ways(reasons: Iterable[Hidden]) -> str:
    """Why no package of a name may be chosen, each reason once."""
    words = {
        Hiding.EXCLUDED: "`exclude:` has {}",
        Hiding.PINNED: "an override holds it at {}, which is not there",
        Hiding.STREAM: "it is in module {}, which is not enabled",
        Hiding.SHADOWED: "the enabled module {} takes its place",
        Hiding.ARCH: "it is for {}",
    }
    details: dict[Hiding, set[str]] = {}
    for reason in reasons:
        details.setdefault(reason.why, set()).add(reason.detail)
    return ", and ".join(
        text.format(" or ".join(sorted(details[why])))
        for why, text in words.items()
        if why in details
    )
