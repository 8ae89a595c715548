"""The record of promotions: signed, in their order, and nothing else is believed."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mutations import mutated
from signed import manifest, signer, stored, trust

from goldpress import holds
from goldpress.digest import canonical_json
from goldpress.errors import (
    ConflictError,
    DocumentError,
    GoldpressError,
    MissingError,
    TrustError,
)
from goldpress.promotion import record
from goldpress.promotion.record import (
    Approval,
    Promotion,
    current,
    history,
    in_force,
    keep,
    moment_of,
    parse_promotion,
)
from goldpress.statements import shelf
from goldpress.statements.chain import chain
from goldpress.statements.envelope import sign
from goldpress.statements.statement import PROMOTION, Statement
from goldpress.store import Store

APPROVAL = Approval(
    repository="example/images", pull=12, head="a" * 40, merge="b" * 40, tree="c" * 40,
    approvers=("ann", "ben"), merged_by="ben", expedited="",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


def promotion(digest: str, **changes: Any) -> Promotion:
    made = Promotion(
        image="web", channel="prod", digest=digest, previous="", approval=APPROVAL,
        account="123456789012", emulated=True, amis={"us-east-1": "ami-0123456789abcdef0"},
        evidence=(f"sha256:{'e' * 64}",), at="", after="",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_what_is_kept_is_read_back_in_its_order(store: Store) -> None:
    key = signer("us")
    one, two = (stored(store, disk_bytes=n) for n in (1, 2))
    first = keep(store, trust(key), promotion(one), key)
    second = keep(store, trust(key), promotion(two, previous=one), key)
    assert history(store, trust(key), "web", "prod") == (first, second)
    assert (second.by, second.previous, second.regions) == ("us", one, ("us-east-1",))
    assert second.after == store.history("promotion", "web/prod")[0].digest
    assert current(store, trust(key), "web", "prod") == second
    assert current(store, trust(key), "web", "staging") is None
    # It is among what is said of the image, too.
    (row,) = shelf.kept(store, two)
    assert row.document == store.history("promotion", "web/prod")[1].digest


def test_the_same_is_kept_once(store: Store) -> None:
    key = signer()
    one = stored(store)
    first = keep(store, trust(key), promotion(one), key)
    again = promotion(one, previous="x", evidence=())
    assert keep(store, trust(key), again, key) == first
    other = dataclasses.replace(APPROVAL, pull=13)
    assert keep(store, trust(key), promotion(one, approval=other), key) != first
    assert len(history(store, trust(key), "web", "prod")) == 2


def test_one_that_was_signed_and_not_yet_in_force_is_taken_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signer()
    one = stored(store)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            keep(store, trust(key), promotion(one), key)
    assert history(store, trust(key), "web", "prod") == ()
    made = keep(store, trust(key), promotion(one), key)
    assert [row.document for row in shelf.kept(store, one)] == [
        row.digest for row in store.history("promotion", "web/prod")
    ]
    assert made.digest == one


def test_it_is_in_force_since_it_was_recorded_not_since_it_was_signed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signer()
    one = stored(store)
    monkeypatch.setattr("goldpress.store.ledger._now", lambda: "2999-01-01T00:00:00Z")
    made = keep(store, trust(key), promotion(one), key)
    assert made.at < made.since == "2999-01-01T00:00:00Z"
    assert made.moment == moment_of("2999-01-01T00:00:00Z")


def test_a_key_that_may_not_promote_is_told_and_nothing_is_in_force(store: Store) -> None:
    key = signer("builder", "build")
    with pytest.raises(TrustError, match="the key builder may not sign promote statements"):
        keep(store, trust(key), promotion(stored(store)), key)
    key = signer("real", stand_in=False)
    with pytest.raises(TrustError, match="vouches for images of real distributions"):
        keep(store, trust(key), promotion(stored(store)), key)
    assert store.history("promotion", "web/prod") == ()


def test_a_record_of_a_key_that_is_not_trusted_is_an_error(store: Store) -> None:
    key, other = signer("us"), signer("them")
    keep(store, trust(other), promotion(stored(store)), other)
    with pytest.raises(TrustError, match="which is not trusted"):
        history(store, trust(key), "web", "prod")


def test_a_record_in_the_wrong_place_is_an_error(store: Store) -> None:
    key = signer()
    trusted = trust(key)
    one, two = (stored(store, disk_bytes=n) for n in (1, 2))
    keep(store, trusted, promotion(one), key)
    keep(store, trusted, promotion(two), key)
    first, second = (row.digest for row in store.history("promotion", "web/prod"))
    store.enter("promotion", "web/staging", first)
    with pytest.raises(TrustError, match="of web/prod follows none: it is not the one after none"):
        history(store, trusted, "web", "staging")
    store.forget("promotion", "web/prod", first)
    with pytest.raises(TrustError, match=f"follows {first[7:19]}: it is not the one after none"):
        history(store, trusted, "web", "prod")
    store.forget("promotion", "web/prod", second)
    store.enter("promotion", "web/prod", f"sha256:{'9' * 64}")
    with pytest.raises(GoldpressError, match="the store has no statement"):
        history(store, trusted, "web", "prod")


def test_two_at_once_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = signer()
    trusted = trust(key)
    one, two, three = (stored(store, disk_bytes=n) for n in (1, 2, 3))
    keep(store, trusted, promotion(one), key)
    signed = record._signed  # noqa: SLF001 - somebody else comes in between

    def slowly(*given: Any) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(record, "_signed", signed)
            keep(store, trusted, promotion(two), key)
        return signed(*given)

    monkeypatch.setattr(record, "_signed", slowly)
    with pytest.raises(ConflictError, match="web/prod stands for"):
        keep(store, trusted, promotion(three), key)
    assert [row.digest for row in history(store, trusted, "web", "prod")] == [one, two]


def test_a_promotion_of_one_image_signed_as_another_s_is_refused(store: Store) -> None:
    key = signer()
    one, two = (stored(store, disk_bytes=n) for n in (1, 2))
    made = promotion(two, at="2026-01-01T00:00:00Z")
    said = Statement(image=one, predicate_type=PROMOTION, predicate=made.predicate())
    document = shelf.keep(store, one, sign(said, key))
    store.enter("promotion", "web/prod", document)
    with pytest.raises(TrustError, match=f"a promotion of {two} is signed as one of {one}"):
        history(store, trust(key), "web", "prod")


def test_hours_in_force_are_counted_over_all_times() -> None:
    start = moment_of("2026-01-01T00:00:00Z")

    def since(digest: str, hours: int) -> Promotion:
        at = (start + timedelta(hours=hours)).strftime(record.MOMENT)
        return promotion(digest, at=at)

    past = (since("a", 0), since("b", 5), since("a", 6))
    assert in_force(past, "a", start + timedelta(hours=9.5)) == 5 + 3.5
    assert in_force(past, "b", start + timedelta(hours=9.5)) == 1
    assert in_force(past, "c", start + timedelta(hours=9.5)) == 0
    assert in_force((), "a", start) == 0


def test_a_ledger_that_was_put_forward_adds_no_hours(store: Store) -> None:
    """Whoever can write to the store cannot have a digest soak for longer than it did."""
    key = signer()
    one, two = (stored(store, disk_bytes=n) for n in (1, 2))
    keep(store, trust(key), promotion(one), key)
    keep(store, trust(key), promotion(two, previous=one), key)
    past = history(store, trust(key), "web", "prod")
    until = past[-1].moment + timedelta(hours=30)
    path = store.root / "ledger/promotion.json"
    value = json.loads(path.read_bytes())
    value["names"]["web/prod"][1]["at"] = until.strftime(record.MOMENT)
    path.write_bytes(canonical_json(value))
    later = history(Store(root=store.root), trust(key), "web", "prod")
    assert later[1].moment == until
    assert in_force(later, one, until) < 0.1
    assert in_force(later, two, until) == 0


def test_of_many_ledgers_that_were_changed_none_adds_a_promotion(store: Store) -> None:
    """Nor is one a traceback, whatever is read by it."""
    key = signer()
    one, two = (stored(store, disk_bytes=n) for n in (1, 2))
    keep(store, trust(key), promotion(one), key)
    keep(store, trust(key), promotion(two, previous=one), key)
    holds.hold(store, trust(key), one, why="it leaks", signer=key)
    whole = [row.digest for row in history(store, trust(key), "web", "prod")]
    for kind in ("promotion", "statement", "hold"):
        path = store.root / f"ledger/{kind}.json"
        data = path.read_bytes()
        for changed in mutated(data, seed=11):
            path.write_bytes(changed)
            other = Store(root=store.root)
            try:
                found = history(other, trust(key), "web", "prod")
                in_force(found, one, datetime.now(UTC))
                held = holds.held(other, trust(key), two)
                chain(other, one, trust(key))
            except GoldpressError:
                continue
            # What was cut off at the end is not there; nothing else is.
            assert [row.digest for row in found] == whole[: len(found)]
            assert held is None
        path.write_bytes(data)


def test_its_document_comes_out_as_it_went_in() -> None:
    made = promotion(manifest().digest, at="2026-01-01T00:00:00Z")
    assert parse_promotion(made.predicate(), by="us") == dataclasses.replace(made, by="us")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promotion_version": 2}, "its promotion_version is not one that I know"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
        ({"by": "me"}, "got multiple values for keyword argument 'by'"),
        ({"since": "2026-01-01T00:00:00Z"}, "not in the form that I know"),
        ({"digest": 1}, "not in the form that I know"),
        ({"emulated": 1}, "not in the form that I know"),
        ({"at": "today"}, "'today' is not a time in UTC"),
        ({"evidence": "abc"}, "not in the form that I know"),
        ({"amis": {"us-east-1": None}}, "not in the form that I know"),
        ({"approval": None}, "TypeError"),
        ({"approval": {**dataclasses.asdict(APPROVAL), "pull": "12"}}, "not in the form"),
    ],
)
def test_another_form_is_refused(changes: dict[str, Any], message: str) -> None:
    value = {**promotion(manifest().digest, at="2026-01-01T00:00:00Z").predicate(), **changes}
    with pytest.raises(DocumentError, match=message):
        parse_promotion(value, by="us")


def test_no_mutation_of_a_record_is_believed(store: Store) -> None:
    key = signer()
    one = stored(store)
    keep(store, trust(key), promotion(one), key)
    (entry,) = store.history("promotion", "web/prod")
    data = store.document("statement", entry.digest)
    store.forget("promotion", "web/prod", entry.digest)
    chance = random.Random(6)  # noqa: S311 - mutations of a test
    for _ in range(200):
        place = chance.randrange(len(data))
        other = bytes([data[place] ^ chance.choice([1, 2, 4, 8, 16, 32, 64])])
        changed = data[:place] + other + data[place + 1 :]
        try:
            document = store.put_document("statement", json.loads(changed))
        except (ValueError, UnicodeError):
            continue
        if canonical_json(json.loads(changed)) == data:
            continue
        store.enter("promotion", "web/prod", document)
        with pytest.raises((TrustError, DocumentError, MissingError)):
            history(store, trust(key), "web", "prod")
        store.forget("promotion", "web/prod", document)
