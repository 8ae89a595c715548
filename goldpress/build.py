"""Owns the main job: lock, press, boot, verify; and what is said at its end."""

from __future__ import annotations

from typing import Any

from goldpress import progress
from goldpress.definition import Definition
from goldpress.distribution import Distribution
from goldpress.host import tools
from goldpress.locking import locked
from goldpress.press import Press, Pressed
from goldpress.workspace import Workspace, sandbox_said, workspace


def chosen(image: str, *, sandbox: bool) -> tuple[Workspace, Definition, Distribution]:
    """The workspace, the image's definition, and the distribution that was said."""
    ws = workspace()
    definition = ws.definition(image)
    return ws, definition, ws.distribution(definition, sandbox=sandbox_said(sandbox))


def press(ws: Workspace, definition: Definition, distribution: Distribution) -> Pressed:
    """Press the image from its lock, every stage that is not there yet."""
    progress.note(f"image {definition.name}, distribution: {distribution.name}")
    if not distribution.made:  # say what is missing before installing anything
        locked(ws, definition, distribution)
    tools.ensure()
    lock, signers = locked(ws, definition, distribution)
    return Press(
        workspace=ws, definition=definition, distribution=distribution, lock=lock, signers=signers
    ).press()


def build(image: str, *, sandbox: bool, twice: bool) -> dict[str, Any]:
    """Lock, press, boot and verify an image; returns the result document."""
    ws, definition, distribution = chosen(image, sandbox=sandbox)
    pressed = press(ws, definition, distribution)
    return {"image_digest": pressed.digest, "disk_sha256": pressed.disk.sha256}
