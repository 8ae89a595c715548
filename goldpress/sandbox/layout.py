"""Owns the layout: which package owns which directory, and the one tree that rpmbuild reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.sandbox.table import Table
from goldpress.sandbox.tree import Entries, Entry, parents

#: The package whose directories no other one owns.
FILESYSTEM = "filesystem"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What one CentOS package holds: path -> entry, and path -> `mode user group`."""

    entries: Mapping[str, Entry]
    owners: Mapping[str, str]


def settle(
    table: Table, contents: Mapping[str, Entries], debs: Iterable[Entries]
) -> dict[str, Content]:
    """Give each package the directories above its paths, save those of `filesystem`.

    A directory has one mode and owner in the whole distribution: rpm refuses two. `debs` say what
    mode a directory has where the table says nothing. Raises BuildError when two packages hold a
    path, or one lies below a link.
    """
    check_links(contents)
    check_single(contents)
    common = common_directories(table, contents)
    rules = _directory_rules(table, (*debs, *contents.values()))
    settled: dict[str, Content] = {}
    for name, entries in contents.items():
        package = table.packages[name]
        mine = common if name != FILESYSTEM else frozenset[str]()
        held = dict(_held(entries, package.ghosts, but=mine))
        owners = {
            path: rules.get(path, "0755 root root")
            if entry.kind == "dir"
            # A set-group bit without its group would be worth nothing: `attrs` gives both.
            else package.attrs.get(path, f"{entry.mode & 0o5777:04o} root root")
            for path, entry in held.items()
        }
        settled[name] = Content(entries=held, owners=owners)
    return settled


def _held(
    entries: Entries, ghosts: Iterable[str], *, but: frozenset[str]
) -> Iterator[tuple[str, Entry]]:
    """What a package holds with the directories above it, sorted, without those in `but`."""
    full: Entries = {}
    for path in (*entries, *ghosts):
        for parent in parents(path):
            full[parent] = Entry(kind="dir", mode=0o755)
    full.update(entries)
    for path in sorted(full):
        if full[path].kind != "dir" or path not in but:
            yield path, full[path]


def _directory_rules(table: Table, trees: Iterable[Entries]) -> dict[str, str]:
    """Directory -> `mode user group`: the table's word, else that of the first tree with it."""
    rules = {
        p: text for package in table.packages.values() for p, text in package.directories.items()
    }
    for entries in trees:
        for path, entry in entries.items():
            if entry.kind == "dir":
                rules.setdefault(path, f"{entry.mode:04o} root root")
    return rules


def check_single(contents: Mapping[str, Entries]) -> None:
    """No path but a directory is in two packages. Raises BuildError."""
    claimed: dict[str, str] = {}
    for name, entries in contents.items():
        for path, entry in entries.items():
            if entry.kind != "dir" and claimed.setdefault(path, name) != name:
                raise BuildError(
                    f"{path} is in {claimed[path]} and in {name}",
                    hint="take it out of one by `removes` in packages.yaml",
                )


def check_links(contents: Mapping[str, Entries]) -> None:
    """No path lies below a link, nor is a directory here and a link there. Raises BuildError."""
    links = {
        path: name
        for name, entries in contents.items()
        for path, entry in entries.items()
        if entry.kind == "link"
    }
    for name, entries in contents.items():
        for path, entry in entries.items():
            above = parents(path) if entry.kind != "dir" else [path, *parents(path)]
            for link in links.keys() & set(above):
                raise BuildError(f"{name}: {path} lies below {link}, a link of {links[link]}")


def common_directories(table: Table, contents: Mapping[str, Entries]) -> frozenset[str]:
    """The directories of `filesystem`."""
    if FILESYSTEM not in contents:
        return frozenset()
    found = {*table.packages[FILESYSTEM].directories, *contents[FILESYSTEM]}
    return frozenset(found | {parent for path in found for parent in parents(path)})


def lay_out(contents: Iterable[Content], root: Path, *, epoch: int) -> None:
    """Put every path of every package below `root`, dated `epoch` when it was made here.

    Modes are rpmbuild's business: a file that nobody may read must be readable until then.
    """
    for content in contents:
        for path, entry in sorted(content.entries.items()):
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == "dir":
                place.mkdir(exist_ok=True)
            elif entry.kind == "link":
                place.symlink_to(entry.target)
            else:
                _put_file(entry, place, epoch)


def _put_file(entry: Entry, place: Path, epoch: int) -> None:
    if entry.source is None:
        place.write_text(entry.text)
    else:
        shutil.copyfile(entry.source, place)
    # Not rounded to what a float holds: two makes have the same times.
    when = entry.source.stat().st_mtime_ns if entry.source and not entry.fixup else epoch * 10**9
    os.utime(place, ns=(when, when))
