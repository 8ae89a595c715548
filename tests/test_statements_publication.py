"""Statements of publication: an AMI and what was read back; another form is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attested import ACCOUNT, INDEX, REGION, World, world

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError
from goldpress.statements.publication import faults, parse_publication
from goldpress.store import Store


@pytest.fixture
def made(tmp_path: Path) -> World:
    return world(Store(root=tmp_path), stand_in=False)


def test_it_comes_back(made: World) -> None:
    said = made.publication()
    value = said.predicate()
    assert value["read_back"] == {"block_root": INDEX.root, "blocks": 2}
    assert value["ami"]["image"] == made.image
    assert parse_publication(json.loads(canonical_json(value))) == said
    assert said.place == f"{ACCOUNT}/{REGION}"
    assert not list(faults(said, made.manifest))


def changes() -> Iterator[Callable[[Any], Any]]:
    yield lambda value: value.update(extra=1)
    yield lambda value: value.pop("read_back")
    yield lambda value: value.update(read_back=[])
    yield lambda value: value["read_back"].update(more=1)
    yield lambda value: value["read_back"].update(block_root="x")
    yield lambda value: value["read_back"].update(block_root=None)
    yield lambda value: value["ami"].pop("snapshot")
    yield lambda value: value["ami"].update(ami_version=9)
    yield lambda value: value["ami"].update(colour="gold")
    yield lambda value: value.update(ami=None)


@pytest.mark.parametrize("change", list(changes()))
def test_any_other_form_is_refused(made: World, change: Callable[[Any], Any]) -> None:
    value = json.loads(canonical_json(made.publication().predicate()))
    change(value)
    with pytest.raises(DocumentError, match=r"^(publication|AMI document): "):
        parse_publication(value)


@pytest.mark.parametrize("name", ["name", "distribution", "arch"])
def test_what_the_ami_is_called_is_the_manifests(made: World, name: str) -> None:
    found = list(faults(made.publication(**{name: "other"}), made.manifest))
    assert found == [
        f"ami-0123456789abcdef0 in {ACCOUNT}/{REGION}: its {name} is not the manifest's"
    ]
