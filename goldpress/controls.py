"""Owns an image's controls: what `images/<name>/controls.yaml` says, parsed strictly.

A *control* is a hardening: the overlay or the builder implements it, a check of the suite proves
it, and a machine without it fails that check. A *duty* is what the image has to do, hardened or
not; its check passes on the bare image too.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue

from goldpress.definition import Definition, Word
from goldpress.document import Part, matching, parse, read_yaml, shown
from goldpress.errors import DocumentError

Level = Literal["offline", "booted"]
LEVELS: tuple[Level, ...] = ("offline", "booted")

Line = Annotated[str, matching(r"\S(?:[^\n]*\S)?", "one line of text")]
ControlId = Annotated[
    str,
    matching(
        r"(?:boot|disk|identity|net|os|packages|web)(?:-[a-z0-9]+)+",
        "an id of small words, such as os-sshd-settings",
    ),
]
FilePattern = Annotated[str, matching(r"/[^\s]*", "a path in the image, with * for any part")]


def _day(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a day, such as 2027-03-31") from None
    return value


class Waiver(Part):
    """A rule of a source that the control departs from, why, who answers for it, and until when."""

    rule: Line
    reason: Line
    owner: Line
    expires: Annotated[str, AfterValidator(_day)]

    def is_over(self, today: date) -> bool:
        """Whether `today` is later than its last day."""
        return today > date.fromisoformat(self.expires)


class Control(Part):
    """One hardening. `parameters` are what its checks compare with; `files` what implements it.

    `not_exercised` names distributions where it cannot be shown, with the reason: evidence lists
    it, and is then good for nothing but a rehearsal.
    """

    protects: Line
    value: Line
    source: Annotated[tuple[Line, ...], Field(min_length=1)]
    level: Literal["offline", "booted", "both"]
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    files: tuple[FilePattern, ...] = ()
    remedy: Line | None = None
    not_exercised: dict[Word, Line] = Field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()

    @property
    def what_to_do(self) -> str:
        """What to do when its check fails."""
        return self.remedy or f"restore it in {', '.join(self.files)}"


class Duty(Part):
    """What the image has to do, hardened or not."""

    says: Line
    level: Literal["offline", "booted", "both"]
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    files: tuple[FilePattern, ...] = ()
    remedy: Line

    @property
    def what_to_do(self) -> str:
        """What to do when its check fails."""
        return self.remedy


class Controls(Part):
    """All controls and duties of an image. Read one with `load_controls`."""

    controls: dict[ControlId, Control]
    duties: dict[ControlId, Duty] = Field(default_factory=dict)

    @property
    def every(self) -> Mapping[str, Control | Duty]:
        """Controls and duties by their ids."""
        return {**self.controls, **self.duties}

    def not_exercised(self, distribution: str) -> dict[str, str]:
        """Id -> why it cannot be shown on this distribution."""
        return {
            name: control.not_exercised[distribution]
            for name, control in sorted(self.controls.items())
            if distribution in control.not_exercised
        }

    def expected(self, level: Level, distribution: str) -> tuple[str, ...]:
        """The ids that have exactly one check each at this level, on this distribution."""
        absent = self.not_exercised(distribution)
        return tuple(
            name
            for name, entry in sorted(self.every.items())
            if entry.level in (level, "both") and name not in absent
        )

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Id -> what its checks compare with, of those that have any."""
        return {n: dict(e.parameters) for n, e in sorted(self.every.items()) if e.parameters}

    def claims(self, path: str) -> tuple[str, ...]:
        """The ids that say they have to do with this path of the image."""
        return tuple(
            name
            for name, entry in sorted(self.every.items())
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in entry.files)
        )

    def remedies(self, ids: Iterable[str]) -> dict[str, str]:
        """Id -> what to do, of those that are known."""
        return {name: self.every[name].what_to_do for name in ids if name in self.every}


def load_controls(definition: Definition) -> Controls:
    """The controls of an image. Raises MissingError without the file, DocumentError for faults."""
    path = definition.directory / "controls.yaml"
    name = shown(path)
    found = parse(Controls, read_yaml(path), name=name)
    faults = list(_contradictions(found))
    if faults:
        raise DocumentError("\n".join(f"{name}: {fault}" for fault in faults))
    return found


def _contradictions(found: Controls) -> Iterable[str]:
    if not found.controls:
        yield "controls: at least one is needed"
    for name in sorted({*found.controls} & {*found.duties}):
        yield f"duties.{name}: is a control already"
    for name, control in found.controls.items():
        if not control.files and control.remedy is None:
            yield f"controls.{name}: name the files that implement it, or a remedy"


def refuse_expired(found: Controls, today: date) -> None:
    """Raises DocumentError that names each waiver whose last day is over."""
    over = [
        f"{name}: the waiver of {waiver.rule} expired on {waiver.expires}; {waiver.owner} owns it"
        for name, control in sorted(found.controls.items())
        for waiver in control.waivers
        if waiver.is_over(today)
    ]
    if over:
        raise DocumentError(
            "\n".join(over),
            hint="implement the rule, or let its owner renew the waiver in controls.yaml",
        )
