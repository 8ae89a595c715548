"""Owns the overrides: what `rpm-mirror/overrides.yaml` says to take instead of the newest.

Each is an exception, so each says why, at a URL, and ends on a day. A pin holds a package at a
version that the repositories still have; a fast-track takes one package from another snapshot,
older or newer than the one that everything else comes from.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from goldpress.definition import Definition, Name, PackageName
from goldpress.digest import short
from goldpress.distribution import FOLDER
from goldpress.document import Part, parse, read_yaml, shown
from goldpress.errors import DocumentError

FILE = f"{FOLDER}/overrides.yaml"

_EVR = re.compile(r"(?:([0-9]{1,9}):)?([A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+)")
_NEVRA = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9._+-]*)-(?:([0-9]{1,9}):)?"
    r"([A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+)\.([a-z0-9_]+)"
)


def _evr(value: str) -> str:
    match = _EVR.fullmatch(value)
    if not match:
        raise ValueError(f"{value!r} is not [epoch:]version-release, such as 2:1.20.1-20.el9")
    return f"{int(match[1] or 0)}:{match[2]}"


def _nevra(value: str) -> str:
    match = _NEVRA.fullmatch(value)
    if not match:
        raise ValueError(
            f"{value!r} is not name-[epoch:]version-release.arch, such as bash-5.1.8-9.el9.x86_64"
        )
    return f"{match[1]}-{int(match[2] or 0)}:{match[3]}.{match[4]}"


def _snapshot(value: str) -> str:
    # Names such as "the one before" move; an override is the same every day.
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is not the digest of a snapshot: sha256: and 64 hex digits")
    return value


def _reason(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+/\S+", value):
        raise ValueError(f"{value!r} is not the URL of an issue or an advisory that says why")
    return value


def _day(value: str) -> dt.date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is not a day, such as 2026-12-31")


Reason = Annotated[str, AfterValidator(_reason)]
Day = Annotated[str, AfterValidator(lambda value: _day(value).isoformat())]


class Override(Part):
    """What every override says: for which images of a distribution, why, and until when.

    No `images` means all; `reason` is a URL; `expires` is the last day (UTC) of its use.
    """

    distribution: Name
    images: tuple[Name, ...] = ()
    reason: Reason
    expires: Day

    def expired(self, today: dt.date) -> bool:
        """Whether its last day is over."""
        return _day(self.expires) < today


class Pin(Override):
    """Of packages called `name` only this `evr` may be chosen."""

    name: PackageName
    evr: Annotated[str, AfterValidator(_evr)]

    def document(self) -> dict[str, str]:
        """What it decides, as plain JSON values."""
        return {"pin": self.name, "evr": self.evr}

    def __str__(self) -> str:
        return f"pin of {self.name} at {self.evr}"


class FastTrack(Override):
    """The package `nevra` is taken from `repository` of another `snapshot` (its digest)."""

    nevra: Annotated[str, AfterValidator(_nevra)]
    snapshot: Annotated[str, AfterValidator(_snapshot)]
    repository: Name

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.nevra.rsplit("-", 2)[0]

    @property
    def evr(self) -> str:
        """``epoch:version-release``."""
        return self.nevra.removeprefix(f"{self.name}-").rpartition(".")[0]

    @property
    def arch(self) -> str:
        """The architecture of the package, or noarch."""
        return self.nevra.rpartition(".")[2]

    def document(self) -> dict[str, str]:
        """What it decides, as plain JSON values."""
        return {
            "fast_track": self.nevra,
            "snapshot": self.snapshot,
            "repository": self.repository,
        }

    def __str__(self) -> str:
        return (
            f"fast-track of {self.nevra} from {self.repository} of snapshot {short(self.snapshot)}"
        )


class Overrides(Part):
    """All overrides of a project. Read them with `load_overrides`."""

    pins: tuple[Pin, ...] = ()
    fast_tracks: tuple[FastTrack, ...] = ()

    def every(self) -> tuple[Pin | FastTrack, ...]:
        """Pins, then fast-tracks."""
        return (*self.pins, *self.fast_tracks)

    def applying(self, definition: Definition, distributions: Iterable[str]) -> Overrides:
        """Those for an image that is made from these distributions (ids).

        Raises DocumentError when two are for the same package.
        """
        ids = set(distributions)

        def applies(row: Override) -> bool:
            return row.distribution in ids and (not row.images or definition.name in row.images)

        found = Overrides(
            pins=tuple(row for row in self.pins if applies(row)),
            fast_tracks=tuple(
                row
                for row in self.fast_tracks
                if applies(row) and row.arch in (definition.arch, "noarch")
            ),
        )
        for one, other in combinations(found.every(), 2):
            if one.name == other.name:
                raise DocumentError(f"{FILE}: the {one} and the {other} are both for this image")
        return found

    def document(self) -> list[dict[str, str]]:
        """What they decide, in order. Reasons and days are left out: they decide nothing."""
        return sorted((row.document() for row in self.every()), key=lambda row: sorted(row.items()))

    def check_expiry(self, today: dt.date) -> None:
        """Raises DocumentError when the last day of one is over."""
        lines = [
            f"{FILE}: the {row} expired on {row.expires}; it was for {row.reason}"
            for row in self.every()
            if row.expired(today)
        ]
        if lines:
            raise DocumentError(
                "\n".join(lines), hint="remove it, or write another day after looking at its reason"
            )


NONE = Overrides()


def load_overrides(root: Path) -> Overrides:
    """The overrides of the project at `root`; none without a file.

    Raises DocumentError when the file cannot be used.
    """
    path = root / FILE
    if not path.exists():
        return NONE
    name = shown(path)
    overrides = parse(Overrides, read_yaml(path), name=name)
    faults = list(_contradictions(overrides))
    if faults:
        raise DocumentError("\n".join(f"{name}: {fault}" for fault in faults))
    return overrides


def _contradictions(overrides: Overrides) -> Iterable[str]:
    for one, other in combinations(overrides.every(), 2):
        if one.distribution == other.distribution and _both_apply(one, other):
            yield f"the {one} and the {other} are for the same images"


def _both_apply(one: Pin | FastTrack, other: Pin | FastTrack) -> bool:
    arches = {row.arch for row in (one, other) if isinstance(row, FastTrack)} - {"noarch"}
    images = not one.images or not other.images or {*one.images} & {*other.images}
    return one.name == other.name and len(arches) <= 1 and bool(images)
