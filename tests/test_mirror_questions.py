from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from comparing import Shelf, one

from goldpress.errors import MissingError
from goldpress.mirror.metadata import changelog
from goldpress.mirror.metadata.questions import answers, question
from goldpress.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


def test_answers_come_in_the_order_of_questions(store: Store, tmp_path: Path) -> None:
    snapshot = one(store, Shelf(root=tmp_path).repository("1.0", "first", "CVE-2024-0001"))
    (base,) = snapshot.repositories
    (package,) = base.read_packages(store)
    # More than a command line could have.
    others = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(5000)]
    asked = [
        question(store, base, "other", changelog.MODULE, wanted)
        for wanted in ([], [*others, package.sha256], others)
    ]
    none, found, absent = answers(asked)
    assert none == absent == {}
    assert [row["cves"] for row in found[package.sha256]] == [[], ["CVE-2024-0001"]]
    assert answers([]) == []


def test_what_a_repository_has_not_cannot_be_asked(store: Store, tmp_path: Path) -> None:
    (base,) = one(store, Shelf(root=tmp_path).repository("1.0")).repositories
    with pytest.raises(MissingError, match="repository base has no updateinfo metadata"):
        question(store, base, "updateinfo", "m")
