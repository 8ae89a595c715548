from __future__ import annotations

import time
from pathlib import Path

import pytest

from goldpress.errors import CommandError, DocumentError, TrustError
from goldpress.host.limited import Limits, make_limited, run_limited

DOUBLES = "tests.limited_doubles"
TIGHT = Limits(memory=256 << 20, output=8 << 20, cpu=1, clock=5)


def test_a_child_makes_a_file_and_says_what_it_took(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    usage = make_limited(DOUBLES, ["write", "text"], target, what="primary")
    assert target.read_text() == "text"
    assert list(target.parent.iterdir()) == [target]
    assert 1 << 20 < usage.peak < 256 << 20
    assert 0 < usage.cpu < 5


def test_its_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "file"
    make_limited(DOUBLES, ["tell_environment"], target, what="primary")
    lines = target.read_text().splitlines()
    assert "LC_ALL" in lines
    assert "AWS_SECRET_ACCESS_KEY" not in lines
    assert "PYTHONPATH" not in lines
    # The directory it stands in is the caller's, and is not where code comes from.
    assert lines.count(str(tmp_path)) == 1


def test_an_error_of_ours_comes_over_as_it_was_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(DocumentError) as caught:
        make_limited(DOUBLES, ["write_half_and_fail"], target, what="primary")
    assert (caught.value.message, caught.value.hint) == ("it is not a document", "write one")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("take_memory", "base/primary: reading it takes more than 256 MiB of memory"),
        ("work", "base/primary: reading it takes more than 1 s of a processor"),
        ("fall", "base/primary: reading it ends in a crash, or takes more than 256 MiB of memory"),
    ],
)
def test_a_limit_is_named(deed: str, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        run_limited(DOUBLES, [deed], what="base/primary", limits=TIGHT)
    assert str(caught.value) == f"{message}; refused"


def test_it_writes_no_endless_file(tmp_path: Path) -> None:
    with pytest.raises(TrustError) as caught:
        make_limited(
            DOUBLES, ["write_without_end"], tmp_path / "f", what="base/primary", limits=TIGHT
        )
    assert str(caught.value) == "base/primary: reading it gives more than 8 MiB; refused"
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_wait_for_ever() -> None:
    started = time.monotonic()
    with pytest.raises(TrustError) as caught:
        run_limited(DOUBLES, ["sleep"], what="base/primary", limits=Limits(clock=1))
    assert str(caught.value) == "base/primary: reading it takes longer than 1 s; refused"
    assert time.monotonic() - started < 10


def test_a_mistake_of_ours_is_not_blamed_on_the_file() -> None:
    with pytest.raises(CommandError) as caught:
        run_limited(DOUBLES, ["fail"], what="base/primary")
    assert str(caught.value).startswith("reading base/primary: exit status 1")
    assert "KeyError: 'a mistake of ours'" in str(caught.value)
