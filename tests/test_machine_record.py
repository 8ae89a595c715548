from __future__ import annotations

from pathlib import Path

import pytest
from machine_doubles import machine_in

from goldpress.errors import DocumentError, MissingError
from goldpress.machine import record


def test_a_record_is_read_back(tmp_path: Path) -> None:
    machine = machine_in(tmp_path / "m")
    record.save(machine)
    assert record.load(tmp_path / "m") == machine


def test_a_folder_without_a_machine(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no machine was started in .*/m$"):
        record.load(tmp_path / "m")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"process": {"pid": 1}}', '{"process": 3}'])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "machine.json").write_text(text)
    with pytest.raises(DocumentError, match=r"machine\.json: not a machine's record"):
        record.load(tmp_path)
