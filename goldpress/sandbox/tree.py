"""Owns the trees: Debian packages unpacked and merged below /usr, files cut out per CentOS package.

Nothing of an unpacked package's maintainer scripts is ever run.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal

from goldpress.errors import BuildError
from goldpress.host.run import run

Kind = Literal["file", "dir", "link"]

#: The directories that a merged tree keeps below /usr only.
MERGED = ("bin", "sbin", "lib", "lib64")
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One path of a package.

    A link has its `target`; a file has its bytes at `source`, or is `text`. A `fixup` is a file of
    ours: its own time says when somebody checked it out.
    """

    kind: Kind
    mode: int
    source: Path | None = None
    target: str = ""
    text: str = ""
    fixup: bool = False


Entries = dict[str, Entry]


def merged_path(path: str) -> str:
    """Where `path` lies in a merged tree: ``/bin/ls`` is ``/usr/bin/ls``."""
    first = path.split("/", 2)[1]
    return f"/usr{path}" if first in MERGED else path


def merged_target(path: str, target: str) -> str:
    """The target of the link `path` after the merge, still naming the same file.

    A relative target of a link that itself moves one level down is counted anew.
    """
    if target.startswith("/"):
        return target
    if merged_path(path) == path:
        return target
    absolute = merged_path(os.path.normpath(f"{folder(path)}/{target}"))
    return os.path.relpath(absolute, folder(merged_path(path)))


def folder(path: str) -> str:
    """The directory that `path` lies in; the root is ``/``."""
    return path.rpartition("/")[0] or "/"


def matcher(globs: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all `globs`, where `*` matches `/` too; without globs it matches nothing."""
    return re.compile("|".join(translate(glob) for glob in globs) or r"(?!)")


def unpack_argv(deb: Path, root: Path) -> list[str | Path]:
    """How to unpack the files of `deb` into `root`."""
    return ["dpkg-deb", "--extract", deb, root]


def unpack(debs: Mapping[str, Path], below: Path) -> dict[str, Path]:
    """Unpack each package in a folder `below`; package name -> its root. Raises CommandError."""

    def one(item: tuple[str, Path]) -> tuple[str, Path]:
        name, deb = item
        root = below / name
        root.mkdir(parents=True)
        run(unpack_argv(deb, root), what=f"unpack {deb.name}")
        return name, root

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        return dict(pool.map(one, sorted(debs.items())))


def read_tree(root: Path) -> Entries:
    """Every path below `root`, merged. Raises BuildError when two paths become one."""
    entries: Entries = {}
    for here, dirs, files in os.walk(root):
        for name in sorted(dirs + files):
            place = Path(here) / name
            path = "/" + place.relative_to(root).as_posix()
            found = place.lstat()
            mode = stat.S_IMODE(found.st_mode)
            merged = merged_path(path) if path.lstrip("/") not in MERGED else f"/usr{path}"
            if stat.S_ISLNK(found.st_mode):
                entry = Entry(
                    kind="link", mode=0o777, target=merged_target(path, str(place.readlink()))
                )
            elif stat.S_ISDIR(found.st_mode):
                # A directory that its maker locked must not lock us out while it is here.
                place.chmod(mode | 0o700)
                entry = Entry(kind="dir", mode=mode & 0o1777)
            elif stat.S_ISREG(found.st_mode):
                place.chmod((mode & 0o777) | 0o600)
                entry = Entry(kind="file", mode=mode, source=place)
            else:
                raise BuildError(f"{path}: neither a file, a directory nor a link")
            before = entries.get(merged)
            if before is not None and not (before.kind == entry.kind == "dir"):
                raise BuildError(f"{path}: the merge of /bin and /usr/bin finds it twice")
            entries[merged] = entry
    return entries


def without(entries: Entries, globs: Iterable[str]) -> Entries:
    """`entries` less those that match, and less the directories that this leaves empty."""
    pattern = matcher(globs)
    left = {path: entry for path, entry in entries.items() if not pattern.match(path)}
    return without_hollow(left, set(entries) - set(left))


def without_hollow(left: Entries, taken: Iterable[str]) -> Entries:
    """`left` less the directories that held something of `taken` and now hold nothing."""
    hollow = {parent for path in taken for parent in parents(path)}
    full = {parent for path, e in left.items() if e.kind != "dir" for parent in parents(path)}
    full |= {
        parent
        for path, e in left.items()
        if e.kind == "dir" and path not in hollow
        for parent in parents(path)
    }
    return {
        path: entry
        for path, entry in left.items()
        if entry.kind != "dir" or path in full or path not in hollow
    }


def parents(path: str) -> list[str]:
    """The directories above `path`, nearest first, without the root."""
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found
