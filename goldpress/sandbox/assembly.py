"""Owns the assembly: the table applied to Debian's trees, giving each CentOS package its paths."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.sandbox.table import Package, Table
from goldpress.sandbox.tree import (
    Entries,
    Entry,
    matcher,
    parents,
    read_tree,
    without,
    without_hollow,
)

#: The package whose directories no other one owns.
FILESYSTEM = "filesystem"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What one CentOS package holds: path -> entry, and path -> `mode user group`."""

    entries: Mapping[str, Entry]
    owners: Mapping[str, str]


def ownership(text: str) -> tuple[int, str, str]:
    """`0750 root chrony` as mode, user, group."""
    mode, user, group = text.split()
    return int(mode, 8), user, group


def assemble(
    table: Table, debs: Mapping[str, Entries], *, fixups: Path, generated: Mapping[str, Path]
) -> dict[str, Content]:
    """The content of every package of the table.

    `debs` are Debian's trees; `fixups` holds a folder of files per package; `generated` gives
    trees that were made here. Raises BuildError naming package and path.
    """
    rests = {name: without(entries, table.drop_paths) for name, entries in debs.items()}
    selected = {name: _take_paths(name, package, rests) for name, package in table.packages.items()}
    contents: dict[str, Entries] = {}
    for name, package in table.packages.items():
        entries = dict(selected[name])
        for part in package.parts:
            if not part.paths:
                entries.update(rests[part.deb])
        if name in generated:
            entries.update(read_tree(generated[name]))
        entries = _change(name, package, entries)
        contents[name] = _with_fixups(name, package, entries, fixups=fixups)
    _check_fixups(table, fixups)
    return _with_directories(table, contents, debs)


def _take_paths(name: str, package: Package, rests: dict[str, Entries]) -> Entries:
    """The paths that the parts of `package` name; they leave `rests`."""
    taken: Entries = {}
    for part in package.parts:
        if not part.paths:
            continue
        rest = rests[part.deb]
        for glob in part.paths:
            pattern = matcher([glob])
            hits = {p: e for p, e in rest.items() if pattern.match(p)}
            if not hits:
                raise BuildError(
                    f"{name}: Debian's {part.deb} has no path {glob}",
                    hint="correct the `paths` of that part in packages.yaml",
                )
            taken.update(hits)
        left = {p: e for p, e in rest.items() if p not in taken}
        rests[part.deb] = without_hollow(left, taken)
    return taken


def _change(name: str, package: Package, entries: Entries) -> Entries:
    """Concatenations, removes, moves, links and directories."""
    for target, glob in package.concatenates.items():
        entries[target] = _joined(name, entries, glob)
    for glob in package.removes:
        left = without(entries, [glob])
        if len(left) == len(entries):
            raise BuildError(
                f"{name}: nothing to remove at {glob}", hint="correct `removes` in packages.yaml"
            )
        entries = left
    for old, new in package.moves.items():
        entries = _moved(name, entries, old, new)
    for path, to in package.links.items():
        below = any(other.startswith(f"{path}/") for other in entries)
        if below or (path in entries and entries[path].kind != "dir"):
            raise BuildError(f"{name}: {path} is there already, the link to {to} has no place")
        entries[path] = Entry(kind="link", mode=0o777, target=to)
    for path, text in package.directories.items():
        mode, _, _ = ownership(text)
        entries[path] = Entry(kind="dir", mode=mode)
    return entries


def _moved(name: str, entries: Entries, old: str, new: str) -> Entries:
    moved: Entries = {}
    for path, entry in entries.items():
        if path == old or path.startswith(old + "/"):
            moved[new + path[len(old) :]] = entry
    if not moved:
        raise BuildError(f"{name}: nothing to move at {old}", hint="correct `moves`")
    left = {p: e for p, e in entries.items() if p != old and not p.startswith(old + "/")}
    clash = sorted(p for p, e in moved.items() if p in left and e.kind != "dir")
    if clash:
        raise BuildError(f"{name}: {clash[0]} is there already, {old} cannot move to it")
    gone = [p for p in entries if p not in left]
    return {**without_hollow(left, gone), **moved}


def _joined(name: str, entries: Entries, glob: str) -> Entry:
    pattern = matcher([glob])
    sources = [e.source for p, e in sorted(entries.items()) if pattern.match(p) and e.source]
    if not sources:
        raise BuildError(f"{name}: nothing to concatenate at {glob}")
    joined = sources[0].with_name(f"{sources[0].name}.joined")
    joined.write_bytes(b"".join(source.read_bytes() for source in sources))
    return Entry(kind="file", mode=0o644, source=joined)


def _with_fixups(name: str, package: Package, entries: Entries, *, fixups: Path) -> Entries:
    for path in package.files:
        source = fixups / name / path.lstrip("/")
        if not source.is_file():
            raise BuildError(
                f"{name}: the fix-up file for {path} is missing", hint=f"write {source}"
            )
        before = entries.get(path)
        if before is not None and before.kind != "file":
            raise BuildError(f"{name}: {path} is a {before.kind}, its fix-up is a file")
        executable = bool(source.stat().st_mode & 0o100)
        entries[path] = Entry(kind="file", mode=0o755 if executable else 0o644, source=source)
    for file, lines in package.users.items():
        text = "".join(f"{line}\n" for line in lines)
        entries[f"/usr/lib/sysusers.d/{file}"] = Entry(kind="file", mode=0o644, target=text)
    for path, text in package.attrs.items():
        if path not in entries:
            raise BuildError(f"{name}: `attrs` names {path}, which it does not hold")
        entry = entries[path]
        entries[path] = Entry(
            kind=entry.kind, mode=ownership(text)[0], source=entry.source, target=entry.target
        )
    for path in (*package.capabilities, *package.docs):
        if path not in entries:
            raise BuildError(f"{name}: {path} is named and not held")
    return entries


def _check_fixups(table: Table, fixups: Path) -> None:
    listed = {
        (name, path.lstrip("/")) for name, p in table.packages.items() for path in p.files
    } | {(name, f) for name, f in _READ_ELSEWHERE}
    for file in sorted(p for p in fixups.rglob("*") if p.is_file()):
        name, _, path = file.relative_to(fixups).as_posix().partition("/")
        if (name, path) not in listed:
            raise BuildError(f"{file}: no `files` of packages.yaml names it")


#: Read by the policy step: it goes into the module store, not beside the package's files.
_READ_ELSEWHERE = frozenset({("selinux-policy-targeted", "sandbox.cil")})


def _with_directories(
    table: Table, contents: Mapping[str, Entries], debs: Mapping[str, Entries]
) -> dict[str, Content]:
    """Each package owns the directories above its paths, save those of `filesystem`.

    A directory has one mode and owner in the whole distribution: rpm refuses two.
    """
    explicit = {p: t for pkg in table.packages.values() for p, t in pkg.directories.items()}
    common = _common_directories(table, contents)
    _check_links(contents)
    modes: dict[str, int] = {}
    for entries in (*debs.values(), *contents.values()):
        for path, entry in entries.items():
            if entry.kind == "dir":
                modes.setdefault(path, entry.mode)
    done: dict[str, Content] = {}
    claimed: dict[str, str] = {}
    for name, entries in contents.items():
        package = table.packages[name]
        full: Entries = {}
        for path in sorted({*entries, *package.ghosts}):
            for parent in parents(path):
                full.setdefault(parent, Entry(kind="dir", mode=0o755))
            if path in entries:
                full[path] = entries[path]
        owners: dict[str, str] = {}
        held: Entries = {}
        for path in sorted(full):
            entry = full[path]
            if entry.kind == "dir":
                if path in common and name != FILESYSTEM:
                    continue
                text = explicit.get(path, f"{modes.get(path, 0o755):04o} root root")
            else:
                if path in claimed:
                    raise BuildError(f"{path} is in {claimed[path]} and in {name}")
                claimed[path] = name
                # A set-group bit without its group would be worth nothing: `attrs` gives both.
                text = package.attrs.get(path, f"{entry.mode & 0o5777:04o} root root")
            held[path] = entry
            owners[path] = text
        done[name] = Content(entries=held, owners=owners)
    return done


def _check_links(contents: Mapping[str, Entries]) -> None:
    """No path may lie below a link, nor be a directory here and a link there."""
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


def _common_directories(table: Table, contents: Mapping[str, Entries]) -> set[str]:
    if FILESYSTEM not in contents:
        return set()
    found = set(table.packages[FILESYSTEM].directories) | set(contents[FILESYSTEM])
    return found | {parent for path in found for parent in parents(path)}


def lay_out(contents: Mapping[str, Content], root: Path, *, epoch: int) -> None:
    """Put every file of every package below `root`, dated `epoch` when it was made here."""
    import os

    for content in contents.values():
        for path, entry in sorted(content.entries.items()):
            place = root / path.lstrip("/")
            if entry.kind == "dir":
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == "link":
                place.symlink_to(entry.target)
            elif entry.source is None:
                place.write_text(entry.target)
                os.utime(place, (epoch, epoch))
            else:
                shutil.copyfile(entry.source, place)
                shutil.copystat(entry.source, place)
                place.chmod(0o755 if entry.mode & 0o100 else 0o644)
