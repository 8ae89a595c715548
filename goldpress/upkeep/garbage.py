"""Owns throwing away: what neither a snapshot in use, a lock nor an image needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from goldpress.digest import short
from goldpress.errors import MissingError
from goldpress.mirror.gc import Collected, collect
from goldpress.mirror.gitlocks import LockRoot, git_locks, parse_root
from goldpress.mirror.roots import IMAGE
from goldpress.workspace import Workspace

#: As few of a digest's digits as name it for certain.
DIGITS = 8


def garbage(ws: Workspace, *, delete: bool, grace_days: int, newest: int) -> Collected:
    """What nothing needs any more; see `mirror.gc`. Without `delete` nothing is touched.

    Raises MissingError or DocumentError when something that may need files cannot be read: then
    nothing is deleted.
    """
    locks = (*git_locks(ws.project), *_made_locks(ws))
    return collect(ws.store, locks, delete=delete, grace=timedelta(days=grace_days), newest=newest)


def _made_locks(ws: Workspace) -> Iterator[LockRoot]:
    """The locks of distributions made on this machine, which are in no git."""
    for folder in {ws.build / "locks", ws.locks or ws.build / "locks"}:
        for path in sorted(folder.glob("*/*.json")):
            yield parse_root(path.read_bytes(), where=str(path))


def forget_image(ws: Workspace, digest: str) -> tuple[str, ...]:
    """Take an image, by its digest or the beginning of it, out of what gc keeps packages for.

    Returns the names under which it was known. Raises MissingError for one that is not, or when
    several begin so.
    """
    digits = digest.removeprefix("sha256:")
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS},64}}", digits):
        raise MissingError(
            f"{digest!r} is no image digest",
            hint=f"name it by its digest, or at least the first {DIGITS} digits of it",
        )
    known = [
        (name, entry.digest)
        for name in ws.store.names(IMAGE)
        for entry in ws.store.history(IMAGE, name)
    ]
    found = [row for row in known if row[1].removeprefix("sha256:").startswith(digits)]
    digests = sorted({full for _, full in found})
    if len(digests) != 1:
        several = ", ".join(short(full) for full in digests or sorted({d for _, d in known}))
        raise MissingError(
            f"{'several images begin' if digests else 'no image begins'} with {digits}",
            hint=f"there are: {several}" if several else "the store knows no image",
        )
    for name, full in found:
        ws.store.forget(IMAGE, name, full)
    return tuple(sorted({name for name, _ in found}))
