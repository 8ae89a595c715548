"""Owns the tasks of benchmarks: each a ratio, of one run."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress.commands.command import PROJECT, command


@command
def bench_press(_c: Context) -> None:
    """How much a press costs when little changed, as ratios of a whole press."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.bench(PROJECT, "incremental")


@command
def bench_mirror(_c: Context) -> None:
    """Locking against dnf, a sync with little news against reposync: ratios, one run."""
    from goldpress.host import checks, tools

    tools.ensure(*tools.BENCH_TOOLS)
    checks.bench(PROJECT, "mirror")


@command
def bench_publish(_c: Context) -> None:
    """An upload against one that knows no holes, and a bare loop of calls: ratios, one run."""
    from goldpress.host import checks, tools

    tools.ensure()
    checks.bench(PROJECT, "publish")


@command
def bench_web(_c: Context, markdown: bool = False) -> None:
    """nginx + PHP-FPM as baked beside Apache prefork; --markdown shows the last run, for docs."""
    from goldpress.host import checks, tools

    if not markdown:
        tools.ensure()
    checks.bench(PROJECT, "web", *(["--markdown"] if markdown else []))


tasks = Collection("bench")
for name, task in (
    ("press", bench_press),
    ("mirror", bench_mirror),
    ("publish", bench_publish),
    ("web", bench_web),
):
    tasks.add_task(task, name=name)
