"""Provenance: SLSA's form, without time or host; another form is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attested import COMMIT, TOOLS, World, world

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError
from goldpress.statements.provenance import Source, parse_provenance
from goldpress.store import Store


@pytest.fixture
def made(tmp_path: Path) -> World:
    return world(Store(root=tmp_path), stand_in=False)


def test_it_is_slsa(made: World) -> None:
    value = made.provenance().predicate()
    build = value["buildDefinition"]
    assert build["externalParameters"] == {
        "image": "web",
        "distribution": "centos-stream-9",
        "standIn": False,
        "arch": "x86_64",
    }
    names = [row["name"] for row in build["resolvedDependencies"]]
    assert names == ["source", "definition", "lock", "packages", "snapshot centos-stream-9"]
    assert build["resolvedDependencies"][0] == {
        "name": "source",
        "digest": {"gitCommit": COMMIT},
        "annotations": {"clean": True},
    }
    lock = build["resolvedDependencies"][2]
    assert f"sha256:{lock['digest']['sha256']}" == made.lock.digest
    assert value["runDetails"]["builder"]["version"] == TOOLS


@pytest.mark.parametrize(
    "source",
    [
        Source(commit=COMMIT, clean=True),
        Source(commit=COMMIT, clean=False),
        Source(commit="", clean=False),
    ],
)
def test_it_comes_back(made: World, source: Source) -> None:
    said = made.provenance(source=source)
    assert parse_provenance(json.loads(canonical_json(said.predicate()))) == said


def changes() -> Iterator[Callable[[Any], Any]]:
    yield lambda value: value.update(extra=1)
    yield lambda value: value.pop("runDetails")
    yield lambda value: value["buildDefinition"].update(buildType="another")
    yield lambda value: value["buildDefinition"].update(resolvedDependencies=None)
    yield lambda value: value["buildDefinition"]["resolvedDependencies"].reverse()
    yield lambda value: value["buildDefinition"]["resolvedDependencies"].pop(1)
    yield lambda value: value["buildDefinition"]["resolvedDependencies"].append({"name": "x"})
    yield lambda value: value["buildDefinition"]["resolvedDependencies"][0].pop("annotations")
    yield lambda value: value["runDetails"]["builder"].update(id="someone else")
    yield lambda value: value["runDetails"].update(byproducts=[])


@pytest.mark.parametrize("change", list(changes()))
def test_any_other_form_is_refused(made: World, change: Callable[[Any], Any]) -> None:
    value = json.loads(canonical_json(made.provenance().predicate()))
    change(value)
    with pytest.raises(DocumentError, match=r"^provenance: "):
        parse_provenance(value)
