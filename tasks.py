"""The tasks that people and CI call: `./inv --list`. Each wires stages and prints a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context

sys.path.insert(0, os.fspath(Path(__file__).resolve().parent))

from goldpress import progress
from goldpress.commands import cloud, publishing
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def setup(_c: Context) -> None:
    """Find the host programs that goldpress needs, and install what is missing."""
    from goldpress.host import tools

    tools.ensure()
    progress.note(f"all {len(tools.TOOLS)} tools are there")


@command
def doctor(_c: Context) -> None:
    """Show every tool, its version and purpose, and what this machine can do."""
    from goldpress.host import tools

    for name, state, purpose in tools.report():
        print(f"{name:<55} {state:<40} {purpose}")  # noqa: T201 - the result


@command
def build_image(
    _c: Context, image: str = "web", sandbox: bool = False, twice: bool = False
) -> None:
    """Press, boot and verify an image; --sandbox rehearses it, --twice proves the bytes."""
    from goldpress import build

    result = build.build(image, sandbox=sandbox)
    if twice:
        result["reproduced"] = build.reproduce(image, sandbox=sandbox)["identical"]
    show(result)


@command
def reproduce(_c: Context, image: str = "web", sandbox: bool = False) -> None:
    """Press an image twice, independently, and compare the bytes."""
    from goldpress import build

    show(build.reproduce(image, sandbox=sandbox))


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


@command
def lock(
    _c: Context,
    image: str = "web",
    sandbox: bool = False,
    check: bool = False,
    diff: bool = False,
    since: str = "",
    form: str = "",
) -> None:
    """Resolve an image's packages, write its lock; --check that it is current, --diff to git."""
    from goldpress.build import chosen

    if check and (diff or since or form):
        raise DocumentError("--check tells whether a lock is current; --diff is another question")
    if (since or form) and not diff:
        raise DocumentError("--since and --form belong to --diff: `./inv lock --diff --since=...`")
    ws, definition, distribution = chosen(image, sandbox=sandbox)
    if diff:
        from goldpress.upkeep import comparison

        show_difference(
            lambda: comparison.compare_locks(ws, definition, distribution, since=since or "HEAD"),
            form or "table",
        )
        return
    from goldpress import locking

    if check:
        made = locking.check_lock(ws, definition, distribution)
    else:
        ensure_mirror_tools(sandbox=distribution.made)
        made = locking.lock(ws, definition, distribution)
    path = ws.lock_path(definition, distribution)
    show({"lock": os.fspath(path), "digest": made.digest, "packages": len(made.packages)})


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


@command
def check(_c: Context) -> None:
    """Lint, formatting, types and layers."""
    from goldpress.host import checks

    checks.check(Path(__file__).parent)


@command
def everything(_c: Context, only: str = "") -> None:
    """All checks and all tests but the long ones: a real build, boot and verification too."""
    from goldpress.host import checks, tools

    tools.ensure()
    project = Path(__file__).parent
    checks.check(project)
    if only:
        checks.run_tests(project, markers="not long", only=only)
    else:
        checks.run_lanes(project, shown="real and not long", beside="not real and not long")


@command
def longer(_c: Context, only: str = "") -> None:
    """The tests that need longer, and root: Ctrl-C in every stage, full disks."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.run_tests(Path(__file__).parent, markers="long", only=only)


@command
def bench_press(_c: Context) -> None:
    """How much a press costs when little changed, as ratios of a whole press."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.bench(Path(__file__).parent, "incremental")


@command
def bench_mirror(_c: Context) -> None:
    """Locking against dnf, a sync with little news against reposync: ratios, one run."""
    from goldpress.host import checks, tools

    tools.ensure(*tools.BENCH_TOOLS)
    checks.bench(Path(__file__).parent, "mirror")


@command
def bench_publish(_c: Context) -> None:
    """An upload against one that knows no holes, and a bare loop of calls: ratios, one run."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.bench(Path(__file__).parent, "publish")


@command
def bench_web(_c: Context, markdown: bool = False) -> None:
    """nginx + PHP-FPM as baked beside Apache prefork; --markdown shows the last run, for docs."""
    from goldpress.host import checks, tools

    if not markdown:
        tools.ensure()
    checks.bench(Path(__file__).parent, "web", *(["--markdown"] if markdown else []))


ns = Collection(setup, doctor, build_image, reproduce, controls, boot, halt, lock, check)
for made in (publishing.publish, publishing.verify, publishing.sweep):
    ns.add_task(made)
ns.add_collection(cloud.tasks)
mirror = Collection("mirror", sync, snapshots, view, serve, gc, forget_image)
mirror.add_task(mirror_diff, name="diff")
ns.add_collection(mirror)
tests = Collection("test")
tests.add_task(everything, name="all", default=True)
tests.add_task(longer, name="long")
ns.add_collection(tests)
bench = Collection("bench")
bench.add_task(bench_press, name="press")
bench.add_task(bench_mirror, name="mirror")
bench.add_task(bench_publish, name="publish")
bench.add_task(bench_web, name="web")
ns.add_collection(bench)
