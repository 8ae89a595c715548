"""Statements: one form, strictly, and a role for each type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError
from goldpress.statements.statement import (
    HOLD,
    PROVENANCE,
    ROLES,
    Statement,
    parse_payload,
    role_of,
)

IMAGE = f"sha256:{'a' * 64}"
SAID = Statement(image=IMAGE, predicate_type=HOLD, predicate={"why": "bad", "n": [1, 0.5, None]})


def changed(**changes: Any) -> bytes:
    return canonical_json({**json.loads(SAID.payload()), **changes})


def test_it_is_an_intoto_statement_and_comes_back() -> None:
    value = json.loads(SAID.payload())
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["subject"] == [{"name": "image", "digest": {"sha256": "a" * 64}}]
    assert (value["predicateType"], value["predicate"]) == (HOLD, SAID.predicate)
    assert parse_payload(SAID.payload()) == SAID
    assert parse_payload(SAID.payload(), by="me").by == "me"
    assert SAID.role == "hold"
    assert set(ROLES.values()) == {"build", "verify", "publish", "promote", "hold"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "statement: not JSON: Expecting value"),
        (b"\xff\xfe", "statement: not JSON:"),
        (b"[" * 100_000, "statement: not JSON: maximum recursion depth exceeded"),
        (b"[]", "statement: expected a mapping"),
        (b'{"a":NaN}', "statement: not JSON: Out of range float values"),
        (b'{"a":1e999}', "statement: not JSON: Out of range float values"),
        (b'{"a":"\\ud800"}', "statement: not JSON: 'utf-8' codec can't encode"),
        (b'{"a":1,"a":1}', "statement: not in its canonical form: its bytes were changed"),
        (b"{}", "statement: expected ['_type', 'predicate', 'predicateType', 'subject'], not []"),
        (SAID.payload() + b"\n", "statement: not in its canonical form"),
        (changed(_type="x"), "statement: _type: expected https://in-toto.io/Statement/v1"),
        (changed(more=1), "statement: expected"),
        (changed(predicateType="x"), "statement: predicateType: 'x' is not known"),
        (changed(predicateType=1), "statement: predicate: expected a mapping, and its type"),
        (changed(predicate=[]), "statement: predicate: expected a mapping"),
    ],
)
def test_any_other_form_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_payload(data)
    assert caught.value.message.startswith(why)


@pytest.mark.parametrize(
    "subject",
    [
        [], {}, "x", None, [{"name": "image"}],
        [{"name": "other", "digest": {"sha256": "a" * 64}}],
        [{"name": "image", "digest": {"sha256": "A" * 64}}],
        [{"name": "image", "digest": {"sha256": "a" * 63}}],
        [{"name": "image", "digest": {"sha256": "a" * 64, "sha512": "b"}}],
        [{"name": "image", "digest": {"sha256": "a" * 64}, "uri": "x"}],
        [{"name": "image", "digest": {"sha256": "a" * 64}}] * 2,
    ],
)  # fmt: skip
def test_the_subject_is_one_image(subject: Any) -> None:
    with pytest.raises(DocumentError, match="subject: expected one image, by its sha256"):
        parse_payload(changed(subject=subject))


def test_what_cannot_be_said_is_not_signed() -> None:
    with pytest.raises(DocumentError, match="'web' is not an image digest"):
        Statement(image="web", predicate_type=PROVENANCE, predicate={}).payload()
    with pytest.raises(DocumentError, match="predicateType: 'rumour' is not known"):
        Statement(image=IMAGE, predicate_type="rumour", predicate={}).payload()
    with pytest.raises(DocumentError, match="is not known"):
        role_of("")
