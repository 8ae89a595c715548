"""The hosting site as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess  # noqa: TID251 - the site is a process of its own
import sys
from pathlib import Path

import pytest
from github_server import TOKEN

from goldpress.github.api import Repository
from goldpress.github.token import Token
from goldpress.host.run import run
from goldpress.machine import daemon, process
from goldpress.machine.process import Process
from goldpress.rehearsal.site import REPOSITORY, Hub

PROJECT = Path(__file__).resolve().parents[1]
ARGV = (sys.executable, "-m", "goldpress.rehearsal")
ENVIRONMENT = {"PYTHONPATH": str(PROJECT)}


def at(url: str) -> Repository:
    return Repository(name=REPOSITORY, caller=Token(secret=TOKEN), url=url)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    hub = Hub(bare=tmp_path / "images.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    return tmp_path


def test_a_daemon_serves_when_its_starter_has_gone_home(directory: Path) -> None:
    argv = (*ARGV, "--daemon", "--directory", directory)
    run(argv, env=ENVIRONMENT, timeout=60)
    value = json.loads((directory / "site.json").read_bytes())
    running = Process(**value["process"])
    try:
        assert process.is_running(running)
        assert os.getsid(running.pid) == running.pid
        assert value["url"].startswith("http://127.0.0.1:")
        assert at(value["url"]).get("")["full_name"] == REPOSITORY
        (row,) = at(value["url"]).pages("activity", ref="refs/heads/main")
        assert (row["activity_type"], row["actor"]["login"]) == ("branch_creation", "ann")
        assert row["timestamp"][:4] != "2026" or row["timestamp"] > "2026-11-01T09"
    finally:
        assert process.stop(running)
    assert (directory / "site.log").read_text() == f"{value['url']}\n"


def test_in_the_foreground_it_ends_at_ctrl_c(directory: Path) -> None:
    argv = [*ARGV, "--directory", str(directory)]
    with subprocess.Popen(
        argv, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        assert at(url).get("branches/main")["protected"]
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    assert not (directory / "site.json").exists()


def test_it_needs_a_directory() -> None:
    done = run(ARGV, env=ENVIRONMENT, timeout=60, check=False)
    assert done.returncode == 2
    assert b"the following arguments are required: --directory" in done.stderr


def test_an_announcement_names_the_process_itself(tmp_path: Path) -> None:
    daemon.announce(tmp_path / "x.json", "http://127.0.0.1:1")
    value = json.loads((tmp_path / "x.json").read_bytes())
    assert value == {"url": "http://127.0.0.1:1", "process": vars_of(process.identify(os.getpid()))}


def vars_of(one: Process) -> dict[str, object]:
    return {"pid": one.pid, "start_ticks": one.start_ticks, "boot_id": one.boot_id}
