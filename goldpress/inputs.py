"""Owns the inputs of an image: what a checkout and a machine would press it from, and what differs.

The lock is none of them: it is taken by the digest that the image's provenance names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from goldpress.attesting import builder_versions
from goldpress.digest import short
from goldpress.errors import BuildError, DocumentError, MissingError
from goldpress.host import checkout
from goldpress.press import definition_digest
from goldpress.statements.provenance import Provenance, Source
from goldpress.workspace import Workspace

#: The tool that is this very package; its version is a digest of its code.
OURSELVES = "goldpress"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What an image would be pressed from here.

    `definition` is its digest; empty where it cannot be used, and `fault` tells why. `tools` are
    versions by name, as in a provenance.
    """

    source: Source
    definition: str
    tools: Mapping[str, str]
    fault: str = ""


def inputs_here(ws: Workspace, image: str) -> Inputs:
    """What this checkout and machine have for the image of this name."""
    commit, clean = checkout.state(ws.project)
    definition, fault = "", ""
    try:
        definition = definition_digest(ws.definition(image))
    except (DocumentError, MissingError) as error:
        # Of another commit than the image's: that is what has to be told first.
        fault = error.message
    return Inputs(
        source=Source(commit=commit, clean=clean),
        definition=definition,
        tools=builder_versions(),
        fault=fault,
    )


def differences(wanted: Provenance, here: Inputs) -> tuple[str, ...]:
    """Every input that is not the image's, in words; empty when all are."""
    return (*_source(wanted.source, here.source), *_definition(wanted, here), *_tools(wanted, here))


def refuse_other(image: str, wanted: Provenance, here: Inputs) -> None:
    """Raises BuildError when not all inputs are the image's: it names each, and what to do."""
    found = differences(wanted, here)
    if not found:
        return
    commit = wanted.source.commit
    if any(_source(wanted.source, here.source)):
        hint = (
            f"check out its commit, and change nothing: `git checkout {commit}`; "
            f"then `./inv reproduce --digest={image}`"
        )
    elif wanted.definition != here.definition or wanted.tools.get(OURSELVES) != here.tools.get(
        OURSELVES
    ):
        hint = "it was pressed from files that no commit has: only their digests are known"
    else:
        hint = "install those versions, or take a machine that has them"
    raise BuildError(
        f"{short(image)} cannot be pressed again from what is here: {'; '.join(found)}", hint=hint
    )


def _source(wanted: Source, here: Source) -> Iterator[str]:
    # A stand-in may be of files that were changed, or of no checkout: digests speak for those.
    if not (wanted.commit and wanted.clean):
        return
    if here.commit != wanted.commit:
        yield _row("the commit", here.commit[:12], wanted.commit[:12])
    if not here.clean:
        yield f"files were changed here since the commit {here.commit[:12] or '(none)'}"


def _definition(wanted: Provenance, here: Inputs) -> Iterator[str]:
    if here.fault:
        yield f"the definition here cannot be used ({here.fault})"
    elif here.definition != wanted.definition:
        yield _row("the definition", short(here.definition), short(wanted.definition))


def _tools(wanted: Provenance, here: Inputs) -> Iterator[str]:
    for name in sorted({*wanted.tools, *here.tools}):
        one, other = here.tools.get(name, ""), wanted.tools.get(name, "")
        if one == other:
            continue
        if name == OURSELVES:
            yield _row("the code of goldpress", short(one), short(other))
        else:
            yield _row(name, one, other)


def _row(name: str, here: str, wanted: str) -> str:
    return f"{name} here is {here or 'none'}, the image's was {wanted or 'none'}"
