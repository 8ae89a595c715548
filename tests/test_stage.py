"""Stages: made once a key, whole or not at all, and they say what changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from goldpress.progress import Step
from goldpress.stage import Stage


def stage(root: Path, **inputs: str) -> Stage:
    return Stage(root=root, name="bake", scope="web.sandbox", inputs=inputs, title="bake")


def cake(directory: Path, _step: Step) -> Mapping[str, Any]:
    (directory / "cake").write_text("sweet")
    return {"bytes": 5}


def burnt(directory: Path, _step: Step) -> Mapping[str, Any]:
    (directory / "cake").write_text("half")
    raise KeyboardInterrupt


def test_made_once_then_found(tmp_path: Path) -> None:
    first = stage(tmp_path, flour="1").run(cake)
    again = stage(tmp_path, flour="1").run(burnt)
    assert (first.fresh, again.fresh) == (True, False)
    assert again.facts == {"bytes": 5}
    assert (again.directory / "cake").read_text() == "sweet"


def test_what_is_missing_elsewhere_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(tmp_path, flour="1").run(cake)
    asked: list[Mapping[str, Any]] = []

    def lacks(facts: Mapping[str, Any]) -> str:
        asked.append(facts)
        return "the shop has no candles" if len(asked) == 1 else ""

    again = stage(tmp_path, flour="1").run(cake, lacks=lacks)
    assert again.fresh
    assert "the shop has no candles" in capsys.readouterr().err
    assert not stage(tmp_path, flour="1").run(burnt, lacks=lacks).fresh
    assert asked == [{"bytes": 5}] * 2


def test_an_interrupted_stage_leaves_nothing_and_the_next_run_makes_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path, flour="1").run(burnt)
    assert [p.name for p in (tmp_path / "stages/bake").iterdir()] == [".lock"]
    assert stage(tmp_path, flour="1").run(cake).fresh


def test_a_product_without_its_record_is_made_again(tmp_path: Path) -> None:
    product = stage(tmp_path, flour="1").run(cake)
    (product.directory / "product.json").unlink()
    assert stage(tmp_path, flour="1").run(cake).fresh


def test_says_which_input_changed(tmp_path: Path) -> None:
    assert stage(tmp_path, flour="1", eggs="2").why() == "first time"
    stage(tmp_path, flour="1", eggs="2").run(cake)
    assert stage(tmp_path, flour="2", eggs="2").why() == "changed: flour"
    assert stage(tmp_path, flour="1", eggs="2").why() == "its product was removed"


def test_keeps_only_the_newest_products(tmp_path: Path) -> None:
    for number in range(5):
        stage(tmp_path, flour=str(number)).run(cake)
    left = [p for p in (tmp_path / "stages/bake").iterdir() if p.is_dir()]
    assert len(left) == 3
    assert stage(tmp_path, flour="4").existing() is not None
