"""Journals: written ahead, changed by compare-and-set, found again."""

from __future__ import annotations

import pytest
from stores import Place

from goldpress.errors import ConflictError, DocumentError
from goldpress.store.journal import Journal, journals

KEY = "journals/test/one.json"


def test_what_was_written_is_there_for_the_next(place: Place) -> None:
    journal = Journal.read(place.store().objects, KEY)
    assert journal.values == {}
    journal.write(a=1, b="two")
    journal.write(a=None, c=[3])
    assert Journal.read(place.store().objects, KEY).values == {"b": "two", "c": [3]}
    journal.write(c=[4])
    assert Journal.read(place.store().objects, KEY).values == {"b": "two", "c": [4]}


def test_of_two_at_the_same_work_one_is_told(place: Place) -> None:
    one = Journal.read(place.store().objects, KEY)
    other = Journal.read(place.store().objects, KEY)
    one.write(a=1)
    with pytest.raises(ConflictError, match=f"{KEY}: someone else is at the same work"):
        other.write(a=2)
    assert Journal.read(place.store().objects, KEY).values == {"a": 1}


def test_all_of_a_kind_are_found_until_they_are_cleared(place: Place) -> None:
    objects = place.store().objects
    for name in ("one", "two"):
        Journal(objects=objects, key=f"journals/test/x/{name}.json").write(name=name)
    found = list(journals(objects, "journals/test/"))
    assert sorted(j.values["name"] for j in found) == ["one", "two"]
    found[0].clear()
    assert [j.key for j in journals(objects, "journals/test/")] == [found[1].key]


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"{", "not a journal"), (b'{"format":9}', "format 9 is not 1"), (b"[]", "not a journal")],
)
def test_a_spoiled_journal_is_told(place: Place, data: bytes, message: str) -> None:
    objects = place.store().objects
    objects.put(KEY, data)
    with pytest.raises(DocumentError, match=f"{KEY}: {message}"):
        Journal.read(objects, KEY)
