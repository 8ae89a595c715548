"""Owns the task of the lock: made, checked, or told how it differs."""

from __future__ import annotations

import os

from invoke.context import Context

from goldpress.commands.command import command, show
from goldpress.commands.mirror import ensure_mirror_tools, show_difference
from goldpress.errors import DocumentError


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
