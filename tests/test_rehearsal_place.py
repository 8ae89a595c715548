"""The place of a rehearsal by hand: begun once, known to its shells, ended without a trace."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gits import make_checkout
from invoke.context import Context

from goldpress.commands import rehearse
from goldpress.errors import CommandError, ConflictError, MissingError
from goldpress.github.api import Repository
from goldpress.github.token import Token
from goldpress.host.run import run
from goldpress.machine import process
from goldpress.machine.process import Process
from goldpress.rehearsal import place, waves
from goldpress.rehearsal.place import Place
from goldpress.rehearsal.project import PAGES
from goldpress.rehearsal.site import Person
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
CODE = ("goldpress", "tasks.py")


@pytest.fixture
def real(tmp_path: Path) -> Workspace:
    """A project, a git checkout: with the sample's pages, its channel and links to the code."""
    checkout = make_checkout(tmp_path / "project")
    for path in (PAGES, waves.PATH):
        checkout.write((PROJECT / path).read_text(), path.removeprefix("images/"))
    shutil.copyfile(PROJECT / "trust.yaml", checkout.root / "trust.yaml")
    for name in CODE:
        (checkout.root / name).symlink_to(PROJECT / name)
    (checkout.root / ".gitignore").write_text("/build/\n")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "images")
    return Workspace(project=checkout.root, build=checkout.root / "build")


@pytest.fixture
def begun(real: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A rehearsal, and this process as if its shell had evaluated its lines."""
    found = place.begin(real)
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    for name in place.GONE:
        monkeypatch.delenv(name, raising=False)
    directory = Path.cwd()
    yield found
    if found.directory.exists():
        place.stop(real, found)
        place.remove(found)
    os.chdir(directory)


def server(found: Place) -> Process:
    return Process(**json.loads((found.directory / "site.json").read_bytes())["process"])


def evaluated(lines: str, cwd: Path, **given: str) -> dict[str, str]:
    """The variables of a shell that evaluated these lines, and where it is."""
    done = run(["sh", "-c", f"{lines} env -0; pwd"], env=given, cwd=cwd)
    *rows, where = done.text.split("\0")
    return {**dict(row.split("=", 1) for row in rows), "PWD": where.strip()}


def test_it_begins_with_the_heads_files_and_a_shell_that_means_nobody_elses(
    begun: Place, real: Workspace
) -> None:
    found = evaluated(
        begun.shell.read_text(), real.project, GOLDPRESS_STORE="s3://x", GOLDPRESS_SIGNER="ci"
    )
    assert found["PWD"] == str(begun.clone)
    assert found["GOLDPRESS_BUILD"] == str(begun.directory / "build")
    assert found["GOLDPRESS_DISTRIBUTION"] == "sandbox"
    assert not {"GOLDPRESS_STORE", "GOLDPRESS_SIGNER"} & found.keys()
    github = Repository(
        name=found["GITHUB_REPOSITORY"],
        caller=Token(secret=found["GOLDPRESS_GITHUB_TOKEN"]),
        url=found["GITHUB_API_URL"],
    )
    assert github.url.startswith("http://127.0.0.1:")
    assert github.get("branches/main")["commit"]["sha"] == begun.base

    def git(*words: str) -> str:
        return run(["git", "-C", begun.clone, *words]).text.strip()

    assert git("rev-parse", "HEAD") == begun.base
    assert git("config", "remote.origin.url") == str(begun.directory / "images.git")
    assert git("config", "user.email") == Person(login="ann").email
    assert git("status", "--porcelain") == ""
    assert (begun.directory / "fleet_key").stat().st_mode & 0o77 == 0
    out = evaluated(begun.shell.read_text() + begun.lines_out(), real.project)
    assert out["PWD"] == str(real.project)
    assert not begun.environment().keys() & out.keys()


def test_a_build_directory_elsewhere_is_what_it_was_again(tmp_path: Path) -> None:
    found = Place(directory=tmp_path, source=tmp_path / "a b", around=tmp_path / "c d", base="0")
    assert f"export GOLDPRESS_BUILD={shlex.quote(str(tmp_path / 'c d'))}\n" in found.lines_out()
    assert f"cd {shlex.quote(str(tmp_path / 'a b'))}\n" in found.lines_out()


def test_there_is_one_at_a_time_whoever_asks(begun: Place, real: Workspace) -> None:
    for ws in (real, begun.workspace(real)):
        with pytest.raises(ConflictError, match="a rehearsal is under way") as caught:
            place.begin(ws)
        assert f"`. {begun.shell}` goes there" in caught.value.hint
    assert process.is_running(server(begun))


def test_its_end_leaves_nothing(begun: Place, real: Workspace) -> None:
    running = server(begun)
    own = begun.workspace(real)
    assert place.known(own) == place.known(real) == begun
    assert place.stop(own, begun) == {"sites": 1, "clouds": 0, "machines": 0}
    assert not process.is_running(running)
    place.remove(begun)
    assert not begun.directory.exists()
    with pytest.raises(MissingError, match="no rehearsal is under way"):
        place.known(real)


def test_what_a_killed_one_left_is_told_and_removed(begun: Place, real: Workspace) -> None:
    process.stop(server(begun))
    with pytest.raises(MissingError, match="the stand-in of GitHub has ended") as caught:
        place.here(begun.workspace(real))
    assert "`./inv rehearse.end` removes the rest" in caught.value.hint
    with pytest.raises(ConflictError):
        place.begin(real)
    assert place.stop(real, begun)["sites"] == 0
    place.remove(begun)
    assert not begun.directory.exists()


def test_it_needs_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="not a git checkout"):
        place.begin(Workspace(project=tmp_path, build=tmp_path / "build"))
    assert not (tmp_path / "build").exists()


def test_one_that_cannot_begin_leaves_nothing(
    real: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise CommandError("no keys today")

    began: list[Process] = []
    stop = place.stop

    def stopped(ws: Workspace, of: Place) -> dict[str, int]:
        began.append(server(of))
        return stop(ws, of)

    monkeypatch.setattr("goldpress.machine.ssh.make_login_key", fail)
    monkeypatch.setattr(place, "stop", stopped)
    monkeypatch.chdir(real.project)
    with pytest.raises(CommandError, match="no keys today"):
        place.begin(real)
    assert not (real.build / "rehearsal").exists()
    assert [process.is_running(one) for one in began] == [False]


def test_nothing_is_done_outside_of_its_clone(begun: Place, real: Workspace) -> None:
    with pytest.raises(MissingError, match="not the clone of a rehearsal") as caught:
        place.here(real)
    assert caught.value.hint == f"`. {begun.shell}` goes there"
    other = Workspace(project=PROJECT, build=real.project / "other")
    with pytest.raises(MissingError, match="not the clone of a rehearsal") as caught:
        place.here(other)
    assert caught.value.hint == '`eval "$(./inv rehearse.begin)"` begins one'


def test_a_shell_that_has_other_variables_is_refused(begun: Place, real: Workspace) -> None:
    ws, right = begun.workspace(real), begun.environment()
    assert place.here(ws, right) == begun
    for wrong, name in (
        ({**right, "GOLDPRESS_BUILD": "build"}, "GOLDPRESS_BUILD"),
        ({**right, "GITHUB_API_URL": "https://api.github.com"}, "GITHUB_API_URL"),
        ({**right, "GOLDPRESS_STORE": "s3://bucket"}, "GOLDPRESS_STORE"),
    ):
        with pytest.raises(MissingError, match=f"^{name}: not as this rehearsal has it"):
            place.here(ws, wrong)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def inv(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a task in a workspace; its exit status, and what it printed where."""

    def call(ws: Workspace, task: Any, **given: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("goldpress.workspace.workspace", lambda: ws)
        status = 0
        capsys.readouterr()
        try:
            task(Context(), **given)
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_the_tasks_print_lines_for_the_shell_and_nothing_else(
    real: Workspace, inv: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(real.project)
    (real.project / "images/web/channels/staging.yaml").write_text("x\n")
    status, out, err = inv(real, rehearse.begin)
    found = place.known(real)
    assert (status, out) == (0, found.lines_in())
    assert "what is not committed here is not in the rehearsal" in err
    status, out, err = inv(real, rehearse.begin)
    assert (status, out) == (1, "")
    assert "error: a rehearsal is under way" in err
    status, out, err = inv(found.workspace(real), rehearse.end)
    assert (status, out) == (0, found.lines_out())
    assert "ended: sites 1, clouds 0, machines 0" in err
    status, out, err = inv(real, rehearse.end)
    assert (status, out) == (1, "")
    assert "error: no rehearsal is under way" in err


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        (rehearse.release, {"name": "it's"}, "is no name of a release"),
        (rehearse.release, {"name": "B", "after": 3}, "--after=N is of a --broken release"),
        (rehearse.approve, {"pull": "x"}, "'x' is not the number of a pull request"),
        (rehearse.fleet, {"size": 0}, "--size=0: a fleet has one machine at least"),
    ],
)
def test_arguments_that_mean_nothing(
    real: Workspace, inv: Run, task: Any, given: dict[str, Any], said: str
) -> None:
    status, out, err = inv(real, task, **given)
    assert (status, out) == (1, "")
    assert f"{said}" in err
