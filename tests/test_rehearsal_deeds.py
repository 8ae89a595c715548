"""What people do in a rehearsal by hand: releases, approvals, a fleet of what is in force."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from emulated import Emulator
from test_rehearsal_fleet import NONE
from test_rehearsal_place import Run, begun, inv, real, server

from goldpress import cloud
from goldpress.channel import edited, parse_channel
from goldpress.cloud import Cloud
from goldpress.commands import rehearse
from goldpress.errors import CommandError, DocumentError, GitHubError, MissingError
from goldpress.github.api import repository
from goldpress.host.git import Git
from goldpress.host.run import run
from goldpress.machine import process
from goldpress.rehearsal import deeds, waves
from goldpress.rehearsal.place import Place
from goldpress.rehearsal.project import PAGES, Release
from goldpress.workspace import Workspace

__all__ = ["begun", "inv", "real"]

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def ws(begun: Place, real: Workspace) -> Workspace:
    return begun.workspace(real)


def git(ws: Workspace, *words: str) -> str:
    return run(["git", "-C", ws.project, *words], timeout=60).text.strip()


def proposed(ws: Workspace) -> int:
    """A pull request as `propose` opens one: the channel's line, by the bot."""
    channel = parse_channel((ws.project / waves.PATH).read_bytes(), path=waves.PATH)
    made = Git(project=ws.project).make(
        "HEAD", {waves.PATH: edited(channel, DIGEST)}, "have an image"
    )
    git(ws, "push", "-q", "origin", f"{made}:refs/heads/goldpress/staging")
    body = {"head": "goldpress/staging", "base": "main", "title": "have an image", "body": ""}
    return int(repository().post("pulls", body)["number"])


def test_a_release_is_pages_and_once_a_channel_pushed_as_ann(ws: Workspace) -> None:
    first = deeds.release(ws, Release(name="A"))
    assert first.fresh
    assert git(ws, "show", "--name-only", "--format=%an", "HEAD").split() == [
        "ann",
        PAGES,
        waves.PATH,
    ]
    assert repository().get("branches/main")["commit"]["sha"] == first.commit
    (row, *_) = repository().pages("activity", ref="refs/heads/main")
    assert (row["actor"]["login"], row["after"]) == ("ann", first.commit)
    again = deeds.release(ws, Release(name="A"))
    assert (again.fresh, again.commit) == (False, first.commit)
    second = deeds.release(ws, Release(name="B", broken=True))
    assert git(ws, "show", "--name-only", "--format=%s", "HEAD").splitlines() == [
        "release B", "", PAGES,
    ]  # fmt: skip
    text = (ws.project / PAGES).read_text()
    assert "release B" in text
    assert "release A" not in text
    assert second.document() == {
        "release": "B", "broken": True, "commit": second.commit, "fresh": True,
    }  # fmt: skip


def test_a_release_keeps_what_was_promoted(ws: Workspace) -> None:
    deeds.release(ws, Release(name="A"))
    proposed(ws)
    deeds.approve(ws, None)
    deeds.release(ws, Release(name="B"))
    text = (ws.project / waves.PATH).read_bytes()
    assert parse_channel(text, path=waves.PATH).digest == DIGEST


def test_a_real_project_is_never_written(real: Workspace, begun: Place) -> None:
    before = (real.project / PAGES).read_bytes()
    for deed in (
        lambda: deeds.release(real, Release(name="A")),
        lambda: deeds.approve(real, None),
        lambda: deeds.fleet(real, 2),
    ):
        with pytest.raises(MissingError, match="not the clone of a rehearsal"):
            deed()
    assert (real.project / PAGES).read_bytes() == before
    assert git(real, "status", "--porcelain") == ""
    assert begun.clone.is_dir()


def test_a_release_goes_to_main_only(ws: Workspace) -> None:
    git(ws, "checkout", "-q", "-b", "mine")
    with pytest.raises(DocumentError, match="is not on its branch main") as caught:
        deeds.release(ws, Release(name="A"))
    assert caught.value.hint == "`git checkout main`, then again"
    assert git(ws, "status", "--porcelain") == ""


def test_what_main_does_not_have_is_not_overwritten(ws: Workspace) -> None:
    """Somebody's commit here, another one there: git says so, nothing is pushed."""
    deeds.release(ws, Release(name="A"))
    proposed(ws)
    (ws.project / "mine").write_text("x\n")
    git(ws, "add", "mine")
    git(ws, "commit", "-q", "-m", "mine")
    with pytest.raises(CommandError, match="fast-forward"):
        deeds.approve(ws, None)
    with pytest.raises(CommandError, match="fast-forward"):
        deeds.release(ws, Release(name="B"))


def test_an_approval_is_two_peoples_and_comes_into_the_clone(ws: Workspace) -> None:
    deeds.release(ws, Release(name="A"))
    number = proposed(ws)
    done = deeds.approve(ws, None)
    assert done == {
        "pull": number, "title": "have an image", "approved_by": "ann", "merged_by": "ben",
        "commit": git(ws, "rev-parse", "HEAD"),
    }  # fmt: skip
    pull = repository().get(f"pulls/{number}")
    assert (pull["user"]["type"], pull["merged_by"]["login"]) == ("Bot", "ben")
    assert parse_channel(
        (ws.project / waves.PATH).read_bytes(), path=waves.PATH
    ).digest == DIGEST  # fmt: skip


def test_there_is_nothing_to_approve(ws: Workspace) -> None:
    with pytest.raises(GitHubError, match="no pull request is open") as caught:
        deeds.approve(ws, None)
    assert caught.value.hint == "`./inv propose staging` opens one; --pull=N chooses"
    with pytest.raises(GitHubError, match="pull request 7 is not open; open: none"):
        deeds.approve(ws, 7)


def test_a_site_that_has_ended_is_told(ws: Workspace, begun: Place) -> None:
    process.stop(server(begun))
    with pytest.raises(MissingError, match="the stand-in of GitHub has ended"):
        deeds.approve(ws, None)


def test_a_fleet_needs_something_in_force(ws: Workspace) -> None:
    with pytest.raises(MissingError, match="web/staging has nothing in force"):
        deeds.fleet(ws, 2)


def test_a_fleet_needs_the_cloud_that_has_its_ami(
    ws: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = SimpleNamespace(amis={"us-east-1": "ami-0123456789abcdef0"})
    monkeypatch.setattr(deeds, "current", lambda *_: found)
    here = Cloud(directory=tmp_path, url=emulator.url, process=NONE)
    for running in (None, here):
        with monkeypatch.context() as patch:
            patch.setattr(cloud, "running", lambda _, value=running: value)
            with pytest.raises(
                MissingError, match="ami-0123456789abcdef0: the embedded cloud that"
            ) as e:
                deeds.fleet(ws, 2)
        assert "`./inv publish`" in e.value.hint


def test_the_line_of_traffic_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    from goldpress.rehearsal import traffic  # noqa: PLC0415

    line = deeds.traffic_line("http://127.0.0.9:1").split()
    assert line[:3] == [".venv/bin/python", "-m", "goldpress.rehearsal.traffic"]
    assert traffic.main([*line[3:-1], "0.2", "--connections", "1"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failures"][0]["path"] == "/report"


def test_the_tasks_print_json(ws: Workspace, inv: Run) -> None:
    status, out, err = inv(ws, rehearse.release, name="A")
    assert (status, json.loads(out)["release"]) == (0, "A")
    assert "`./inv build-image publish` makes it an image" in err
    assert "release A was in main already" in inv(ws, rehearse.release, name="A")[2]
    number = proposed(ws)
    status, out, err = inv(ws, rehearse.approve, pull=str(number))
    assert (status, json.loads(out)["pull"]) == (0, number)
    status, out, err = inv(ws, rehearse.approve)
    assert (status, out) == (1, "")
    assert err.startswith("error: no pull request is open\n")


def test_a_fleet_is_shown_with_its_traffic(
    ws: Workspace, inv: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = SimpleNamespace(url="http://127.3.0.1:80", members=lambda: {"i-1": "ami-1"})
    monkeypatch.setattr(deeds, "fleet", lambda *_: made)
    status, out, err = inv(ws, rehearse.fleet)
    assert (status, json.loads(out)) == (0, {"url": made.url, "instances": {"i-1": "ami-1"}})
    assert "goldpress.rehearsal.traffic http://127.3.0.1:80/release" in " ".join(err.split())
