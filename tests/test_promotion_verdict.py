"""Verdicts as people see them: on a terminal, in a comment, as an error."""

from __future__ import annotations

import pytest
from rich.console import Console

from goldpress.errors import PromotionError
from goldpress.promotion.verdict import Verdict, cell, failed, markdown, refuse_failed, table

GOOD = Verdict(rule="image", ok=True, why="web, sandbox")
BAD = Verdict(rule="not-held", ok=False, why="held: a [leak] | in `it`")
WORSE = Verdict(rule="soak", ok=False, why="2.0 of 24 hours")


def test_a_comment_has_every_rule() -> None:
    assert markdown("web/prod", [GOOD, BAD]) == (
        "### web/prod\n\n**Refused** by 1 of 2 rules.\n\n| | rule | why |\n|---|---|---|\n"
        "| ✅ | `image` | web, sandbox |\n"
        "| ❌ | `not-held` | held: a \\[leak\\] \\| in \\`it\\` |\n"
    )
    assert "Every rule is met." in markdown("web/prod", [GOOD])


def test_a_reason_becomes_no_markup_and_tells_nobody() -> None:
    assert cell("a\n| b | <img src=x> @ann") == "a \\| b \\| \\<img src=x\\> \\@\u200bann"
    assert cell("x" * 700) == "x" * 600 + " ..."


def test_a_table_for_a_terminal() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table("web/prod", [GOOD, BAD]))
    text = captured.get()
    assert "held: a [leak] | in `it`" in text
    assert "NO" in text


def test_an_error_names_the_first_rule_and_tells_all() -> None:
    refuse_failed([GOOD], what="web/prod")
    with pytest.raises(PromotionError) as caught:
        refuse_failed([GOOD, BAD, WORSE], what="web/prod")
    assert caught.value.rule == "not-held"
    assert str(caught.value) == (
        "not-held: web/prod is refused: held: a [leak] | in `it`\n  soak: 2.0 of 24 hours"
    )
    assert failed([GOOD, BAD]) == (BAD,)
    assert BAD.document() == {"rule": "not-held", "ok": False, "why": BAD.why}
