"""Owns the tasks of the embedded cloud: up, status, down."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress.commands.command import command, show


@command
def up(_c: Context) -> None:
    """Start the embedded cloud, if it does not run; so does every task with --sandbox."""
    from goldpress import cloud
    from goldpress.workspace import workspace

    ws = workspace()
    cloud.up(ws)
    show(cloud.status(ws))


@command
def status(_c: Context) -> None:
    """What is in the embedded cloud: AMIs, EBS snapshots, instances, bytes on disk."""
    from goldpress import cloud
    from goldpress.workspace import workspace

    show(cloud.status(workspace()))


@command
def down(_c: Context) -> None:
    """End the embedded cloud and its machines, remove its blocks, and say what was lost."""
    from goldpress import cloud
    from goldpress.workspace import workspace

    show(cloud.down(workspace()))


tasks = Collection("cloud", up, status, down)
