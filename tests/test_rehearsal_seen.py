"""What was seen in a rehearsal, and that it fails when something does not hold."""

from __future__ import annotations

import pytest
from rich.console import Console

from goldpress.errors import RollError
from goldpress.rehearsal.seen import Seen, refuse_failed, table

GOOD = Seen.of("no request failed", True, "3 failures", "1200 requests")  # noqa: FBT003
BAD = Seen.of("its digest is held", False, "it is not", "5xx")  # noqa: FBT003


def test_the_table_tells_what_held_and_what_did_not() -> None:
    console = Console(width=120, record=True, quiet=True)
    console.quiet = False
    with console.capture() as capture:
        console.print(table([GOOD, BAD]))
    rows = [row.split() for row in capture.get().splitlines()]
    assert ["ok", *["no", "request", "failed", "1200", "requests"]] in rows
    assert ["NO", *["its", "digest", "is", "held", "it", "is", "not"]] in rows


def test_what_holds_is_no_error() -> None:
    refuse_failed([GOOD, GOOD])


def test_what_does_not_hold_is_named() -> None:
    with pytest.raises(RollError) as caught:
        refuse_failed([GOOD, BAD, BAD])
    assert caught.value.message == ("2 of 3 do not hold; the first: its digest is held: it is not")
    assert "build/demo" in caught.value.hint
