"""Owns pressing the sandbox's image in tests: the real thing, in variants of the definition."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from goldpress.build import chosen
from goldpress.definition import load_definition
from goldpress.host.confine import remove_tree
from goldpress.host.run import Completed, run
from goldpress.locking import locked
from goldpress.machine import accel, qemu, ready
from goldpress.machine.record import Machine
from goldpress.press import Press, Pressed
from goldpress.rehearsal import project
from goldpress.workspace import Workspace, workspace

PROJECT = Path(__file__).resolve().parents[1]
BOOT_SECONDS = 300


def inv(*words: str, env: Mapping[str, str] | None = None, timeout: float = 1500) -> Completed:
    """Run ./inv as a person would, with the caller's proxies, mirrors and build directory."""
    return run(
        (PROJECT / "inv", *words), env={**os.environ, **(env or {})}, timeout=timeout, check=False
    )


def sandbox_press() -> Press:
    """The press of images/web for the sandbox, in this project's own build directory."""
    ws, definition, distribution = chosen("web", sandbox=True)
    lock, signers = locked(ws, definition, distribution)
    return Press(
        workspace=ws, definition=definition, distribution=distribution, lock=lock, signers=signers
    )


def variant(press: Press, directory: Path, files: Mapping[str, str]) -> Press:
    """The press of a copy of the definition in `directory`, with `files` written over it."""
    shutil.copytree(press.definition.directory, directory, symlinks=True)
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return dataclasses.replace(press, definition=load_definition(directory))


def one_more_line(press: Press, directory: Path) -> Press:
    """The press of the definition with one line more in a template, which every answer shows."""
    name = "files/etc/nginx/goldpress/headers.conf.j2"
    text = (press.definition.directory / name).read_text()
    return variant(press, directory, {name: f"{text}add_header X-Goldpress-Line new always;\n"})


def twin(directory: Path) -> Workspace:
    """A workspace beside the project's, see `goldpress.rehearsal.project.twin`."""
    return project.twin(workspace(), directory)


@contextmanager
def apart(press: Press, directory: Path) -> Iterator[Press]:
    """The same press with stages of its own, which are removed afterwards."""
    ws = dataclasses.replace(press.workspace, apart=directory)
    try:
        yield dataclasses.replace(press, workspace=ws)
    finally:
        remove_tree(directory)


@contextmanager
def booted_directly(
    pressed: Pressed, directory: Path, *, user_data: bytes | None = None
) -> Iterator[Machine]:
    """The image's kernel, started by QEMU itself: fast, and never evidence."""
    disk = pressed.disk
    kernel = qemu.Kernel(kernel=disk.kernel, initrd=disk.initrd, command_line=disk.command_line)
    found = accel.choose(disk.kernel, cache=directory.parent / "accelerator.json")
    machine = qemu.boot(
        disk.raw,
        directory=directory,
        accelerator=found.name,
        kernel=kernel,
        user_data=user_data,
    )
    with qemu.halting(machine):
        ready.wait_ready(machine, BOOT_SECONDS)
        yield machine
