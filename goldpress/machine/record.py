"""Owns what is known of a started machine, and its file `machine.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from goldpress.errors import DocumentError, MissingError
from goldpress.machine.process import Process
from goldpress.store import write_atomically

RECORD_NAME = "machine.json"
INSTANCE = "instance.json"
JOURNAL = "journal.export"

Firmware = Literal["uefi", "direct"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A started machine. Paths are absolute; `started` is unix time at power-on.

    `firmware` is "uefi" for the real path through the firmware and the image's own boot file,
    "direct" when QEMU loaded a kernel itself: good for fault tests, never for evidence.
    """

    kind: str
    firmware: Firmware
    accelerator: str
    address: str
    ssh_port: int
    http_port: int
    uuid: str
    directory: Path
    sockets: Path
    process: Process
    started: float
    user: str

    @property
    def key(self) -> Path:
        """The private key that logs in."""
        return self.directory / "login_key"

    @property
    def known_hosts(self) -> Path:
        """The host key, once it was pinned by what the console said."""
        return self.directory / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """The ssh configuration; the machine's name in it is `machine`."""
        return self.directory / "ssh_config"

    @property
    def console(self) -> Path:
        """Everything the machine wrote to its serial console."""
        return self.directory / "console.log"

    @property
    def instance(self) -> Path:
        """What its metadata service serves."""
        return self.directory / INSTANCE

    @property
    def journal(self) -> Path:
        """What its log host was sent: see `goldpress.machine.loghost.entries`."""
        return self.directory / JOURNAL


def save(machine: Machine) -> None:
    """Write the record, so that another process can find and halt the machine."""
    value = asdict(machine)
    value["directory"] = str(machine.directory)
    value["sockets"] = str(machine.sockets)
    data = json.dumps(value, indent=1, sort_keys=True) + "\n"
    write_atomically(machine.directory / RECORD_NAME, data.encode())


def load(directory: Path) -> Machine:
    """Read a machine's record. Raises MissingError or DocumentError."""
    path = directory / RECORD_NAME
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
        value["process"] = Process(**value["process"])
        for name in ("directory", "sockets"):
            value[name] = Path(value[name])
        return Machine(**value)
    except FileNotFoundError:
        raise MissingError(f"no machine was started in {directory}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DocumentError(f"{path}: not a machine's record: {error}") from error
