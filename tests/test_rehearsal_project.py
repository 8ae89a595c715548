"""The project of a rehearsal: its releases, and the build directory of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from goldpress.errors import DocumentError
from goldpress.rehearsal.project import PAGES, REPORT_SECONDS, Release, forget, release, twin, write
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ({}, "false"),
        ({"after": 3}, "false"),
        ({"broken": True}, "apcu_inc('release') > 0"),
        ({"broken": True, "after": 300}, "apcu_inc('release') > 300"),
    ],
)
def test_a_release_has_two_pages_more_than_the_sample(given: Any, condition: str) -> None:
    sample = (PROJECT / PAGES).read_text()
    text = Release(name="B-2", **given).pages(sample)
    assert f"$status = {condition} ? 500 : 200;\n" in text
    assert "return [$status, 'text/plain', \"release B-2\\n\"];\n" in text
    assert "'/release' => release(),\n" in text
    assert "'/report' => report(),\n" in text
    assert f"sleep({REPORT_SECONDS});" in text
    gone = [row for row in sample.splitlines() if row not in text.splitlines()]
    assert gone == []


def test_releases_are_made_of_the_sample_and_of_nothing_else() -> None:
    once = Release(name="A").pages((PROJECT / PAGES).read_text())
    with pytest.raises(DocumentError, match="not the sample's: there is no page /visits"):
        Release(name="B").pages(once.replace("'/visits'", "'/visit'"))


@pytest.mark.parametrize("name", ["", "it's", "a b", "-a", "a\n", "A" * 32])
def test_a_name_that_is_no_name(name: str) -> None:
    with pytest.raises(DocumentError, match="is no name of a release") as caught:
        Release(name=name)
    assert "letters, digits, dots and dashes" in caught.value.hint


def test_pages_and_files_are_written_into_the_clone(tmp_path: Path) -> None:
    (tmp_path / PAGES).parent.mkdir(parents=True)
    release(tmp_path, PROJECT, Release(name="A"))
    assert "release A" in (tmp_path / PAGES).read_text()
    release(tmp_path, PROJECT, Release(name="B"))
    assert "release A" not in (tmp_path / PAGES).read_text()
    write(tmp_path, {"x": "1\n"})
    assert (tmp_path / "x").read_text() == "1\n"


def test_a_twin_has_products_together_and_what_happened_alone(tmp_path: Path) -> None:
    build = tmp_path / "build"
    for name in ("stages/web", "cloud", "machines/m", "demo", "store/ledger", "store/journals"):
        (build / name).mkdir(parents=True)
    (build / "store/ledger/ami.json").write_text("{}")
    (build / "accelerator.json").write_text("{}")
    ws = Workspace(
        project=tmp_path, build=build, store_url="s3://bucket/prefix", store_kms_key="alias/k"
    )
    own = twin(ws, build / "rehearsal" / "build")
    assert (own.store_url, own.store_kms_key) == ("", "")
    shared = {path.name for path in own.build.iterdir() if path.is_symlink()}
    assert shared == {"accelerator.json", "cache", "keys", "locks", "sandbox", "stages"}
    assert {path.name for path in own.build.iterdir()} - shared == {"store"}
    assert (own.build / "store/pool").is_symlink()
    ledger = own.build / "store/ledger"
    assert not ledger.is_symlink()
    assert not (own.build / "store/journals").exists()
    forget(own)
    assert list(ledger.iterdir()) == []
    assert (build / "store/ledger/ami.json").exists()


def test_what_a_twin_makes_first_is_kept(tmp_path: Path) -> None:
    """On an empty machine the rehearsal is what makes the sandbox."""
    own = twin(Workspace(project=tmp_path, build=tmp_path / "build"), tmp_path / "own")
    (own.sandbox / "made").write_text("")
    (own.store.root / "pool/x").write_text("")
    assert (tmp_path / "build/sandbox/made").exists()
    assert (tmp_path / "build/store/pool/x").exists()
