"""The embedded cloud as people use it: one daemon a workspace, ended with all it holds."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Account, block
from emulated import Emulator

from goldpress import cloud
from goldpress.errors import CommandError, MachineError, MissingError
from goldpress.machine import process
from goldpress.workspace import Workspace, workspace


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    found = dataclasses.replace(workspace({}), build=tmp_path)
    yield found
    cloud.down(found)


def test_one_serves_until_it_is_ended(
    ws: Workspace, emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    one = cloud.up(ws)
    assert f"started the embedded cloud at {one.url}" in capfd.readouterr().err
    account = Account(emulator=dataclasses.replace(emulator, url=one.url), id=cloud.ACCOUNT)
    account.register(account.made({0: block("a")}))
    two = cloud.up(ws, settings={"driver": "virtual"})
    assert f"using the embedded cloud at {one.url}, not AWS" in capfd.readouterr().err
    assert two == one
    assert two.ask("settings")["driver"] == "virtual"
    place = {
        "account": cloud.ACCOUNT, "region": cloud.REGION, "images": 1, "snapshots": 1,
        "instances": 0,
    }  # fmt: skip
    assert cloud.status(ws)["places"] == [place]
    lost = cloud.down(ws)
    assert (lost["ended"], lost["places"]) == (True, [place])
    assert lost["bytes"] >= 524288
    assert not process.is_running(one.process)
    assert not cloud.directory_of(ws).exists()
    with pytest.raises(MissingError, match="no embedded cloud runs"):
        cloud.status(ws)
    assert cloud.down(ws) == {"ended": False, "places": [], "machines": 0, "bytes": 0}


def test_one_that_was_killed_is_started_anew(ws: Workspace) -> None:
    one = cloud.up(ws)
    left = cloud.directory_of(ws) / "ebs" / "snap-left"
    left.mkdir()
    os.kill(one.process.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while process.is_running(one.process):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert cloud.running(ws) is None
    two = cloud.up(ws)
    assert two.process != one.process
    assert not left.exists()
    with pytest.raises(MachineError, match=f"the embedded cloud at {one.url} does not answer"):
        one.ask("status")


def test_settings_that_are_none_are_refused(ws: Workspace) -> None:
    with pytest.raises(MachineError, match="refuses settings: no such setting: speed"):
        cloud.up(ws, settings={"speed": 1})


def test_one_that_does_not_start_says_why(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "MODULE", "goldpress.emulator.nothing")
    with pytest.raises(CommandError, match="starting the embedded cloud: exit status 1"):
        cloud.up(ws)


def test_machines_get_the_accelerator_that_worked(ws: Workspace) -> None:
    assert cloud.up(ws).ask("settings")["accelerator"] == "tcg"
    cloud.down(ws)
    known = {"key": {"boot_id": process.boot_id()}, "accelerator": {"name": "kvm", "reason": ""}}
    (ws.build / "accelerator.json").write_text(json.dumps(known))
    assert cloud.up(ws).ask("settings")["accelerator"] == "kvm"


def test_its_environment_leads_nowhere_else(ws: Workspace) -> None:
    one = cloud.Cloud(directory=ws.build, url="http://127.0.0.1:1", process=process.identify(1))
    found = one.environment(account="111122223333", region="eu-west-1")
    assert found["AWS_ENDPOINT_URL"] == one.url
    assert found["AWS_ACCESS_KEY_ID"] == "AKIA0000111122223333"
    assert found["AWS_CONFIG_FILE"] == found["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
