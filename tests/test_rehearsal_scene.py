"""The scene of a rehearsal: no variable of this process has a part in it, and none is lost."""

from __future__ import annotations

import os

import pytest

from goldpress.rehearsal.scene import variables


def test_variables_are_others_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "1")
    monkeypatch.setenv("GONE", "2")
    monkeypatch.delenv("NEW", raising=False)
    with variables({"MINE": "other", "GONE": None, "NEW": "3"}):
        assert (os.environ["MINE"], os.environ.get("GONE"), os.environ["NEW"]) == (
            "other", None, "3",
        )  # fmt: skip
    assert (os.environ["MINE"], os.environ["GONE"]) == ("1", "2")
    assert "NEW" not in os.environ


def test_they_are_back_whatever_ends_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "1")
    with pytest.raises(RuntimeError, match="it burns"), variables({"MINE": "other"}):
        raise RuntimeError("it burns")
    assert os.environ["MINE"] == "1"
