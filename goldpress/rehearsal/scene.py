"""Owns the scene of a rehearsal, and `./inv demo`, which plays all acts on it.

What stands in for others (GitHub, AWS, CentOS, the people) is named when it begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from goldpress import build, cloud, progress
from goldpress.ami import Ami
from goldpress.digest import short as shortly
from goldpress.errors import RollError
from goldpress.host import tools
from goldpress.host.confine import remove_tree
from goldpress.machine import ssh
from goldpress.rehearsal import waves
from goldpress.rehearsal.fleet import HOST, make_fleet
from goldpress.rehearsal.hosting import serving
from goldpress.rehearsal.project import (
    IMAGE,
    Release,
    forget,
    make_project,
    push,
    release,
    twin,
    update,
    write,
)
from goldpress.rehearsal.seen import Seen
from goldpress.rehearsal.site import Hub
from goldpress.rehearsal.steps import REGION, Steps
from goldpress.rehearsal.story import SIZE, Story
from goldpress.rehearsal.traffic import Traffic, flowing
from goldpress.sampling import KEY
from goldpress.workspace import Workspace

#: Whoever signs and calls GitHub elsewhere has no part in it.
NOBODY = ("GOLDPRESS_SIGNER", "GOLDPRESS_GITHUB_APP", "GOLDPRESS_GITHUB_APP_KEY")
STAND_INS = (
    "CentOS: the sandbox's packages, made here under its names",
    "AWS: the embedded cloud on this machine; its instances are real machines (QEMU)",
    "GitHub: a git repository and a server on this machine; ann approves, ben merges",
)


def promote(steps: Steps, source: Path, wanted: Release) -> Ami:
    """A release on its whole way: pushed, pressed, booted, published, approved, promoted."""
    project = steps.ws.project
    release(project, source, wanted)
    push(project, steps.github, f"release {wanted.name}")
    pressed, _ = steps.built()
    ami = steps.published(pressed)
    found = steps.promoted(pressed.digest)
    update(project)
    approvers, merger = ", ".join(found.approval.approvers), found.approval.merged_by
    digest = shortly(pressed.digest)
    progress.note(f"{digest} is in force: approved by {approvers}, merged by {merger}")
    return ami


@contextmanager
def begun(
    ws: Workspace,
    steps: Steps,
    first: Release,
    promote: Callable[[Steps, Path, Release], Ami],
    *,
    short: bool = False,
) -> Iterator[Story]:
    """The first release in force, on a fleet, with traffic until the end of the block.

    A `short` one does not soak, and runs no suite on an instance of the fleet.
    """
    text = waves.channel_text(region=REGION, verify=not short, soak_minutes=0 if short else 1)
    write(steps.ws.project, {waves.PATH: text})
    ami = promote(steps, ws.project, first)
    running = cloud.running(steps.ws)
    if running is None:
        raise RollError("the embedded cloud has ended")
    key = steps.ws.build / "fleet_key"
    ssh.make_login_key(key, comment=HOST)
    fleet = make_fleet(running, ami, region=REGION, size=SIZE, key=key)
    fleet.wait(SIZE)
    traffic = Traffic(
        url=f"{fleet.url}/release", host=HOST, connections=6, slow=2, slow_path="/report", pause=0.5
    )
    with variables({KEY: os.fspath(key)}), flowing(traffic) as load:
        yield Story(
            source=ws.project, steps=steps, fleet=fleet, load=load, promote=promote,
            amis={first.name: ami},
        )  # fmt: skip


@contextmanager
def scene(ws: Workspace, directory: Path) -> Iterator[Steps]:
    """An empty channel: a hosting site with the project's images, a store and a cloud of its own.

    `directory` is made; the cloud and its machines end with the block.
    """
    tools.ensure()
    tools.ensure(tools.BALANCER)
    directory.mkdir(parents=True)
    hub = Hub(bare=directory / "images.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    with serving(hub) as github, variables({**dict.fromkeys(NOBODY), **github.environment}):
        project = make_project(ws.project, directory / "project", github)
        own = replace(twin(ws, directory / "build"), project=project)
        forget(own)
        try:
            yield Steps(ws=own, github=github, endpoint=cloud.up(own).url)
        finally:
            cloud.down(own)


@contextmanager
def variables(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """These variables of this process's environment (None: without it) during the block."""
    before = {name: os.environ.pop(name, None) for name in wanted}
    try:
        os.environ.update({name: value for name, value in wanted.items() if value is not None})
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def tell(ws: Workspace) -> list[Seen]:
    """The whole story; what was seen. Raises the first error that ends it.

    Of a story before this one nothing is left.
    """
    for text in STAND_INS:
        progress.note(f"stands in for {text}")
    definition = ws.definition(IMAGE)
    build.press(ws, definition, ws.distribution(definition, sandbox=True))
    directory = ws.build / "demo"
    old = replace(ws, build=directory / "build")
    cloud.down(old)
    if directory.exists():
        remove_tree(directory)
    first, second, third = Release(name="A"), Release(name="B"), Release(name="C", broken=True)
    seen: list[Seen] = []
    with scene(ws, directory) as steps, begun(ws, steps, first, promote) as story:
        progress.note(f"two machines of release A serve at {story.fleet.url}; requests flow")
        seen += story.good(second)
        seen += story.back(second, first)
        seen += story.bad(third, first)
    return seen
