"""Making the sandbox: skipped when nothing changed, says why when not, whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from goldpress.errors import BuildError, DocumentError
from goldpress.sandbox import closure as closures
from goldpress.sandbox import make, signing
from goldpress.sandbox.closure import Closure, Deb
from goldpress.sandbox.make import make_sandbox, read_made
from goldpress.sandbox.table import load_tables


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a closure, where every step of a make but the last writes nothing."""
    names = load_tables(make.HERE).used | {"linux-image-6.1.0-1-cloud-amd64"}
    debs = tuple(
        Deb(
            name=name,
            version="1-1",
            architecture="amd64",
            sha256="0" * 64,
            depends="",
            pre_depends="",
            provides="",
        )
        for name in sorted(names)
        if "@" not in name
    )
    wanted = load_tables(make.HERE).wanted
    closures.store_closure(tmp_path / "closure.json", Closure(wanted=wanted, debs=debs))

    def bring(*_: object, **__: object) -> Mapping[str, Path]:
        return {"x": tmp_path / "x.deb"}

    def repository(folder: Path, *_: object, inputs: Mapping[str, str], epoch: int) -> None:
        folder.mkdir()
        made = {"fingerprint": "AB" * 20, "inputs": dict(inputs), "epoch": epoch}
        (folder / "made.json").write_text(json.dumps(made))

    monkeypatch.setattr(make, "_bring", bring)
    monkeypatch.setattr(make, "_repository", repository)
    monkeypatch.setattr(make, "_packages", lambda _: [])
    monkeypatch.setattr(closures, "newest_epoch", lambda _: 1)
    monkeypatch.setattr(signing, "load_key", lambda _: None)
    monkeypatch.setattr(signing, "sign", lambda *_, **__: None)
    return tmp_path


def test_makes_once_and_says_why(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_sandbox(work)
    assert made.root == work / "repository"
    assert made.key == work / "repository/RPM-GPG-KEY-goldpress-sandbox"
    assert made.fingerprint == "AB" * 20
    assert "sandbox: made because there is none yet" in capsys.readouterr().err
    assert make_sandbox(work) == made
    assert capsys.readouterr().err == ""
    assert not (work / "scratch").exists()


def test_says_what_changed(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_sandbox(work)
    path = work / "repository/made.json"
    value = json.loads(path.read_text())
    value["inputs"]["the table"] = "other"
    value["inputs"]["the fix-up files"] = "other"
    path.write_text(json.dumps(value))
    capsys.readouterr()
    make_sandbox(work)
    assert "sandbox: made because the table and the fix-up files changed" in capsys.readouterr().err


def test_a_failure_leaves_the_product_and_no_scratch(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sandbox(work)
    (work / "repository/made.json").write_text('{"fingerprint": "old", "inputs": {}}')

    def fail(_: object) -> list[Path]:
        assert (work / "scratch").is_dir()
        raise BuildError("the disk is full")

    monkeypatch.setattr(make, "_packages", fail)
    with pytest.raises(BuildError, match=r"^the disk is full$"):
        make_sandbox(work)
    assert read_made(work / "repository").fingerprint == "old"
    assert not (work / "scratch").exists()


def test_an_interruption_leaves_nothing_to_trip_over(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> list[Path]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make, "_packages", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_sandbox(work)
    # What a kill leaves behind is cleared as well.
    (work / "scratch/debs/half").mkdir(parents=True)
    assert make_sandbox(work).root.is_dir()
    assert not (work / "scratch").exists()


def test_other_wishes_choose_the_packages_anew(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = closures.read_closure(work / "closure.json")
    assert kept is not None
    chosen: list[Path] = []

    def choose(where: Path, _: object) -> Closure:
        chosen.append(where)
        return kept

    monkeypatch.setattr(make, "_choose", choose)
    make_sandbox(work)
    assert not chosen
    make_sandbox(work, refresh=True)
    other = Closure(wanted=("something-else",), debs=kept.debs)
    closures.store_closure(work / "closure.json", other)
    make_sandbox(work)
    assert chosen == [work, work]


@pytest.mark.parametrize("text", ["{", "[]", '{"fingerprint": "AB"}'])
def test_a_broken_product_says_to_remove_it(work: Path, text: str) -> None:
    make_sandbox(work)
    (work / "repository/made.json").write_text(text)
    with pytest.raises(DocumentError) as caught:
        make_sandbox(work)
    assert str(caught.value).startswith(
        f"{work}/repository/made.json: not what a make of the sandbox wrote: "
    )
    assert caught.value.hint == f"remove {work}/repository: it is made again"
