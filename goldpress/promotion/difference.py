"""Owns a difference of two images: packages, checks, parts, sizes, as far as each is known."""

from __future__ import annotations

from dataclasses import dataclass

from goldpress.mirror.difference.change import Difference
from goldpress.promotion.side import Component, Side


@dataclass(frozen=True, kw_only=True)
class CheckDifference:
    """What the suite proves now on one kind of machine, other than before.

    `gone` are checks that were made before, and are not any more: that needs a look.
    """

    machine: str
    new: tuple[str, ...]
    gone: tuple[str, ...]
    no_longer_exercised: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PartDifference:
    """What the SBOM lists other than before; pairs are (before, after)."""

    added: tuple[Component, ...]
    removed: tuple[Component, ...]
    changed: tuple[tuple[Component, Component], ...]
    relicensed: tuple[tuple[Component, Component], ...]


@dataclass(frozen=True, kw_only=True)
class ImageDifference:
    """What a channel would have other than now; `before` is None when it has nothing yet.

    `packages` is None without a `before`, or when a lock is not known any more (`unknown` says
    which and why).
    """

    before: Side | None
    after: Side
    packages: Difference | None
    unknown: str = ""

    @property
    def checks(self) -> tuple[CheckDifference, ...]:
        """For each kind of machine that both were verified on."""
        if self.before is None:
            return ()
        pairs = ((self.before.on(row.machine), row) for row in self.after.verified)
        return tuple(
            CheckDifference(
                machine=new.machine,
                new=tuple(sorted((new.passed | new.failed) - (old.passed | old.failed))),
                gone=tuple(sorted((old.passed | old.failed) - (new.passed | new.failed))),
                no_longer_exercised=tuple(sorted(new.not_exercised - old.not_exercised)),
            )
            for old, new in pairs
            if old is not None
        )

    @property
    def parts(self) -> PartDifference | None:
        """What the SBOMs differ in; None when one of them has none."""
        if self.before is None or not self.before.components or not self.after.components:
            return None
        return compare_parts(self.before.components, self.after.components)


def compare_parts(before: frozenset[Component], after: frozenset[Component]) -> PartDifference:
    """What two lists of parts differ in. Of several versions of one part, each is one."""
    gone, come = sorted(before - after), sorted(after - before)
    old, new = ({part.name: part for part in parts} for parts in (gone, come))
    pairs = tuple((old[name], new[name]) for name in sorted(old.keys() & new.keys()))
    paired = {part for pair in pairs for part in pair}
    return PartDifference(
        added=tuple(part for part in come if part not in paired),
        removed=tuple(part for part in gone if part not in paired),
        changed=tuple(pair for pair in pairs if pair[0].version != pair[1].version),
        relicensed=tuple(pair for pair in pairs if pair[0].licence != pair[1].licence),
    )
