"""What a step hands on: lines that nothing else can be read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.errors import DocumentError
from goldpress.github.outputs import hand_on


def test_lines_are_added_to_the_file_that_the_runner_names(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("before=1\n")
    hand_on({"digest": "sha256:0a", "commit": ""}, {"GITHUB_OUTPUT": str(path)})
    assert path.read_text() == "before=1\ndigest=sha256:0a\ncommit=\n"


def test_outside_of_a_workflow_there_is_nobody_to_tell(tmp_path: Path) -> None:
    hand_on({"digest": "x"}, {})
    hand_on({"digest": "x"}, {"GITHUB_OUTPUT": ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["a\nevil=1", "$(id)", "a b", "${{ x }}", "é", "a\r"])
def test_what_could_be_more_than_a_value_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "output"
    with pytest.raises(DocumentError, match="is no value of commit for later steps"):
        hand_on({"digest": "x", "commit": value}, {"GITHUB_OUTPUT": str(path)})
    assert not path.exists()
