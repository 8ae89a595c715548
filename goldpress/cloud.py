"""Owns the embedded cloud as people use it: start it on demand, see what is there, end it.

It is a process of its own, reached over HTTP only; see goldpress/emulator/README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from goldpress import progress
from goldpress.errors import CommandError, MachineError, MissingError
from goldpress.host.run import run
from goldpress.machine import process, qemu, record
from goldpress.machine.process import Process
from goldpress.workspace import Workspace

START_SECONDS = 60
ASK_SECONDS = 30
END_SECONDS = 30
RECORD = "cloud.json"
MODULE = "goldpress.emulator"
ACCOUNT = "123456789012"
REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running embedded cloud: where it listens, what it is as a process."""

    directory: Path
    url: str
    process: Process

    def environment(self, *, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
        """The standard AWS variables that lead to this cloud, as this account, and nowhere else.

        Every other AWS variable (a profile, a session token) has to be absent beside them.
        """
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": f"AKIA0000{account}",
            "AWS_SECRET_ACCESS_KEY": "embedded-cloud",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def ask(self, name: str, values: Mapping[str, Any] | None = None) -> Any:
        """GET, or with `values` POST, what the cloud offers beside AWS's API.

        Raises MachineError when it does not answer, or refuses the values.
        """
        data = None if values is None else json.dumps(values).encode()
        url = f"{self.url}/_goldpress/{name}"
        try:
            answer = urllib3.request(
                "GET" if data is None else "POST", url, body=data, timeout=ASK_SECONDS
            )
        except urllib3.exceptions.HTTPError as error:
            raise MachineError(f"the embedded cloud at {self.url} does not answer") from error
        value = answer.json()
        if answer.status != 200:  # noqa: PLR2004
            raise MachineError(f"the embedded cloud refuses {name}: {value['error']}")
        return value


def directory_of(ws: Workspace) -> Path:
    """Where this workspace's cloud keeps its blocks and machines."""
    return ws.build / "cloud"


def running(ws: Workspace) -> Cloud | None:
    """This workspace's cloud, if it runs."""
    directory = directory_of(ws)
    try:
        value = json.loads((directory / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    cloud = Cloud(directory=directory, url=value["url"], process=Process(**value["process"]))
    return cloud if process.is_running(cloud.process) else None


def up(ws: Workspace, *, settings: Mapping[str, Any] | None = None) -> Cloud:
    """The running cloud; one is started if there is none, and either way it is announced.

    Raises MissingError without the emulator's packages, MachineError when it does not start.
    """
    found = running(ws)
    if found is None:
        found = _start(ws)
        progress.note(f"started the embedded cloud at {found.url}; `./inv cloud.down` ends it")
    else:
        progress.note(f"using the embedded cloud at {found.url}, not AWS")
    if settings:
        found.ask("settings", settings)
    return found


def _start(ws: Workspace) -> Cloud:
    directory = directory_of(ws)
    if directory.exists():
        # One that was killed: its memory is gone, so are the blocks' meaning and the machines' use.
        _end_machines(directory)
        shutil.rmtree(directory)
    directory.mkdir(parents=True, mode=0o700)
    argv = (sys.executable, "-m", MODULE, "--daemon", "--directory", directory)
    environment = {"HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(ws.project)}
    try:
        run(argv, env=environment, timeout=START_SECONDS, what="starting the embedded cloud")
    except CommandError as error:
        if "No module named 'moto'" in error.message:
            raise MissingError(
                "the embedded cloud needs moto, which is not installed",
                hint="run `./inv` anew: it installs what requirements.txt lists",
            ) from error
        raise
    found = running(ws)
    if found is None:
        raise MachineError(
            "the embedded cloud ended as soon as it had started",
            hint=f"its log: {directory / 'cloud.log'}",
        )
    found.ask("settings", {"accelerator": _accelerator(ws)})
    return found


def _accelerator(ws: Workspace) -> str:
    """What a boot on this host has found to work (see `machine.accel`); else what always does."""
    try:
        known = json.loads((ws.build / "accelerator.json").read_bytes())
        if known["key"]["boot_id"] == process.boot_id():
            return str(known["accelerator"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no boot yet
    return "tcg"


def status(ws: Workspace) -> dict[str, Any]:
    """What is there. Raises MissingError when no cloud runs."""
    found = running(ws)
    if found is None:
        raise MissingError(
            "no embedded cloud runs", hint="`./inv cloud.up` starts one; so does `--sandbox`"
        )
    return {"url": found.url, "directory": str(found.directory), **found.ask("status")}


def down(ws: Workspace) -> dict[str, Any]:
    """End the cloud and its machines, remove its blocks; returns what was lost."""
    found = running(ws)
    lost: dict[str, Any] = {"ended": False, "places": [], "machines": 0, "bytes": 0}
    if found is not None:
        lost = {"ended": True, **found.ask("status")}
        process.stop(found.process, patience=END_SECONDS)
    directory = directory_of(ws)
    if directory.exists():
        _end_machines(directory)
        shutil.rmtree(directory)
    return lost


def _end_machines(directory: Path) -> None:
    for path in sorted(directory.glob("balancers/*/balancer.json")):
        process.stop(Process(**json.loads(path.read_bytes())))
    for path in sorted(directory.glob("machines/*/machine.json")):
        qemu.halt(record.load(path.parent))
