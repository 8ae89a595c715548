"""Owns local machines that people keep: started from an image, reached by ssh, ended by hand."""

from __future__ import annotations

from typing import Any

from goldpress import build, progress
from goldpress.errors import MissingError
from goldpress.machine import qemu, ready, record, ssh
from goldpress.workspace import workspace


def boot(image: str, *, sandbox: bool) -> dict[str, Any]:
    """Press the image if needed, boot a copy, and say how to reach it. Raises MachineError."""
    ws, definition, distribution = build.chosen(image, sandbox=sandbox)
    pressed = build.press(ws, definition, distribution)
    machine = build.boot(ws, pressed)
    try:
        with progress.step("boot", machine.address):
            up = ready.wait_ready(machine, definition.verify.boot_seconds)
    except BaseException:
        qemu.halt(machine)
        raise
    progress.note(f"./inv halt {machine.directory.name} ends it")
    return {
        "machine": machine.directory.name,
        "image_digest": pressed.digest,
        "distribution": distribution.id,
        "stand_in": distribution.stand_in,
        "http": f"http://{machine.address}:{machine.http_port}/",
        "ssh": f"ssh -F {machine.ssh_config} {ssh.ALIAS}",
        "console": str(machine.console),
        "boot_to_200_seconds": round(up.boot_to_200_seconds, 1),
    }


def halt(name: str) -> list[str]:
    """End the named machine, or every one of this workspace; returns the names of those ended."""
    folder = workspace().machines
    found = sorted(p.parent for p in folder.glob("*/machine.json"))
    if name:
        found = [p for p in found if p.name == name]
        if not found:
            raise MissingError(f"no machine {name!r}", hint=f"machines are kept in {folder}")
    return [p.name for p in found if qemu.halt(record.load(p))]
