"""Owns the tasks of publishing: publish, verify, sweep."""

from __future__ import annotations

from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show


@command
def publish(
    _c: Context,
    image: str = "web",
    sandbox: bool = False,
    regions: str = "",
    audit: bool = False,
    keep_on_failure: bool = False,
) -> None:
    """Make an image an AMI in its regions, launch it in each and verify it over ssh.

    --sandbox publishes to the embedded cloud; without it, AWS is called. --regions=NAME,... are
    some of publish.yaml; --audit reads every block back before the launch; --keep-on-failure
    leaves an instance that fails running for some hours.
    """
    from goldpress import publishing
    from goldpress.publish import outcome

    rows = publishing.publish_image(
        image,
        sandbox=sandbox,
        regions=[name.strip() for name in regions.split(",") if name.strip()],
        audited=audit,
        keep_on_failure=keep_on_failure,
    )
    progress.result(outcome.table(rows), beside=True)
    show([row.document() for row in rows])
    if error := outcome.failure(rows):
        raise error


@command
def verify(_c: Context, ami: str, sandbox: bool = False, keep_on_failure: bool = False) -> None:
    """Launch an AMI that `publish` made, run its image's suite over ssh, and terminate it."""
    from goldpress import publishing
    from goldpress.workspace import workspace

    ws = workspace()
    endpoint = publishing.endpoint_of(ws, sandbox=sandbox)
    show(publishing.verify_ami(ws, ami, endpoint=endpoint, keep_on_failure=keep_on_failure))


@command
def sweep(_c: Context, sandbox: bool = False, all: bool = False) -> None:  # noqa: A002 - its option
    """Remove what killed commands left in the cloud, and kept instances whose time is over.

    --all ends kept instances and uploads of today, too.
    """
    from goldpress import publishing, sweeping
    from goldpress.workspace import workspace

    ws = workspace()
    endpoint = publishing.endpoint_of(ws, sandbox=sandbox)
    show(sweeping.sweep(ws, endpoint=endpoint, every=all))
