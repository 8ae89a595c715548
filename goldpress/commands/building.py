"""Owns the tasks of making an image and of looking at one here: build, boot, halt."""

from __future__ import annotations

from invoke.context import Context

from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def build_image(
    _c: Context, image: str = "web", sandbox: bool = False, twice: bool = False
) -> None:
    """Press, boot and verify an image; --sandbox rehearses it, --twice proves the bytes."""
    from goldpress import build, reproducing

    result = build.build(image, sandbox=sandbox)
    if twice:
        result["reproduced"] = reproducing.twice(image, sandbox=sandbox)["identical"]
    show(result)


@command
def reproduce(
    _c: Context,
    image: str = "web",
    channel: str = "",
    digest: str = "",
    find: bool = False,
    sandbox: bool = False,
) -> None:
    """Press an image twice, independently, and compare the bytes.

    --channel=NAME presses the image in force there once more, from its own inputs; --digest=...
    any image of the store. With --find, --channel only tells which it is, and its commit.
    """
    from goldpress import progress, reproducing
    from goldpress.github.outputs import hand_on
    from goldpress.workspace import sandbox_said, workspace

    if (channel and digest) or (find and not channel):
        raise DocumentError("--channel or --digest, and --find with --channel alone")
    if find:
        found = reproducing.find(workspace(), image, channel)
        if found["image_digest"] is None:
            progress.note(f"{image}/{channel} has no image in force: there is nothing to reproduce")
        hand_on({"digest": found["image_digest"] or "", "commit": found["commit"] or ""})
        show(found)
        return
    if not channel and not digest:
        show(reproducing.twice(image, sandbox=sandbox))
        return
    ws, said = workspace(), sandbox_said(flag=sandbox)
    if channel:
        show(reproducing.reproduce_channel(ws, image, channel, sandbox=said))
    else:
        show(reproducing.reproduce(ws, digest, sandbox=said))


@command
def controls(
    _c: Context, image: str = "web", sandbox: bool = False, markdown: bool = False
) -> None:
    """Show every control of an image, and how it did in the last verification."""
    from goldpress import build

    print(build.controls(image, sandbox=sandbox, markdown=markdown), end="")  # noqa: T201 - the result


@command
def boot(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Boot a copy of an image, leave it running, and print how to reach it."""
    from goldpress import local

    show(local.boot(image, sandbox=sandbox))


@command
def halt(_c: Context, machine: str = "") -> None:
    """End the machine that `boot` left running (all of them, if none is named)."""
    from goldpress import local

    show({"halted": local.halt(machine)})
