"""Owns the tasks of the mirror: sync, snapshots, diff, view, serve, gc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invoke.collection import Collection
from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


def ensure_mirror_tools(*, sandbox: bool) -> None:
    """The programs that bring and judge packages; the sandbox is made here, and needs them all."""
    from goldpress.host import tools

    if sandbox:
        tools.ensure()
    else:
        tools.ensure_mirror()


def show_difference(find: Callable[[], Any], form: str) -> None:
    """A difference as `table` (for a terminal), `markdown` or `json`."""
    if form not in {"table", "markdown", "json"}:
        raise DocumentError(f"--form={form}: expected table, markdown or json")
    difference = find()
    if form == "json":
        from goldpress.mirror.difference.change import document

        show(document(difference))
    elif form == "markdown":
        from goldpress.mirror.difference.markdown import markdown

        print(markdown(difference))  # noqa: T201 - the result
    else:
        from goldpress.mirror.difference.table import table

        progress.result(table(difference))


@command
def sync(
    _c: Context,
    image: str = "",
    only: str = "",
    sandbox: bool = False,
    newest: bool = False,
    full: bool = False,
    accept: bool = False,
    refresh: bool = False,
) -> None:
    """Snapshots of what images use, and their locked packages; --newest or --full for more.

    --only=ID,... names distributions; --accept takes older or much smaller metadata, too;
    --refresh makes the sandbox anew.
    """
    from goldpress.upkeep.sync import Scope, sync
    from goldpress.upkeep.wanted import images
    from goldpress.workspace import sandbox_said, workspace

    said = sandbox_said(flag=sandbox)
    ensure_mirror_tools(sandbox=said)
    ws = workspace()
    taken = sync(
        ws,
        [ws.definition(image)] if image else images(ws),
        only=[name.strip() for name in only.split(",") if name.strip()],
        sandbox=said,
        scope=Scope(newest=newest, every=full),
        accept=accept,
        refresh=refresh,
    )
    show([row.document() for row in taken])


@command
def snapshots(_c: Context) -> None:
    """Every snapshot that the store remembers, with its name, time and digest."""
    from goldpress.upkeep.history import snapshots
    from goldpress.workspace import workspace

    show([row.document() for row in snapshots(workspace())])


@command
def mirror_diff(
    _c: Context, before: str, after: str, every: bool = False, form: str = "table"
) -> None:
    """What one snapshot offers other than another, and which CVEs that fixes."""
    from goldpress.upkeep.comparison import compare
    from goldpress.workspace import workspace

    show_difference(lambda: compare(workspace(), before, after, every=every), form)


@command
def view(_c: Context, snapshot: str, base: str = "") -> None:
    """Make a snapshot's view for a static host; prints the .repo file for the store's URL."""
    from goldpress.upkeep import views
    from goldpress.workspace import workspace

    ws = workspace()
    url = base or views.base_url(ws)
    print(views.view(ws, snapshot).repo_file(url), end="")  # noqa: T201 - the result


@command
def serve(
    _c: Context, snapshot: str, address: str = "127.0.0.1", port: int = 8080, base: str = ""
) -> None:
    """Serve a snapshot to dnf over HTTP until Ctrl-C; prints the .repo file.

    --address=0.0.0.0 is for other machines; --base=URL, when they know this one by another name.
    """
    import contextlib
    import threading

    from goldpress.upkeep import views
    from goldpress.workspace import workspace

    with views.served(workspace(), snapshot, address=address, port=port) as (made, url):
        print(made.repo_file(base or url), end="", flush=True)  # noqa: T201 - the result
        progress.note(f"serving at {url}; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    progress.note("ended")


@command
def gc(_c: Context, delete: bool = False, grace_days: int = 7, newest: int = 10) -> None:
    """What no snapshot in use, lock or image needs; --delete marks it, and deletes what is due."""
    from goldpress.upkeep.garbage import garbage
    from goldpress.workspace import workspace

    found = garbage(workspace(), delete=delete, grace_days=grace_days, newest=newest)
    if not delete:
        progress.note("nothing was changed: --delete marks, and deletes what is due")
    show(found.document())


@command
def forget_image(_c: Context, digest: str) -> None:
    """An image that is no longer needed: gc may delete its packages."""
    from goldpress.upkeep import garbage
    from goldpress.workspace import workspace

    show({"forgotten": garbage.forget_image(workspace(), digest)})


tasks = Collection("mirror", sync, snapshots, view, serve, gc, forget_image)
tasks.add_task(mirror_diff, name="diff")
