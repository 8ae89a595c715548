"""Owns the assembly: the table applied to Debian's trees, giving each CentOS package its paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.sandbox.table import Package, Table
from goldpress.sandbox.tree import (
    Entries,
    Entry,
    matcher,
    read_tree,
    without,
    without_hollow,
)

#: Read by the policy step: they go into the module store, not beside the package's files.
READ_ELSEWHERE = frozenset({("selinux-policy-targeted", "sandbox.cil")})


def ownership(text: str) -> tuple[int, str, str]:
    """`0750 root chrony` as mode, user, group."""
    mode, user, group = text.split()
    return int(mode, 8), user, group


def assemble(
    table: Table, debs: Mapping[str, Entries], *, fixups: Path, generated: Mapping[str, Path]
) -> dict[str, Entries]:
    """The paths of every package of the table, directories only where a package names them.

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
    return contents


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
    for path, to in {**package.links, **package.bridges}.items():
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
        raise BuildError(
            f"{name}: nothing to move at {old}", hint="correct `moves` in packages.yaml"
        )
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
        mode = 0o755 if executable else 0o644
        entries[path] = Entry(kind="file", mode=mode, source=source, fixup=True)
    for file, lines in package.users.items():
        text = "".join(f"{line}\n" for line in lines)
        entries[f"/usr/lib/sysusers.d/{file}"] = Entry(kind="file", mode=0o644, text=text)
    for path, text in package.attrs.items():
        if path not in entries:
            raise BuildError(f"{name}: `attrs` names {path}, which it does not hold")
        entries[path] = replace(entries[path], mode=ownership(text)[0])
    for key in ("capabilities", "docs", "unverified"):
        for path in getattr(package, key):
            if path not in entries:
                raise BuildError(f"{name}: `{key}` names {path}, which it does not hold")
    return entries


def _check_fixups(table: Table, fixups: Path) -> None:
    listed = {
        (name, path.lstrip("/")) for name, p in table.packages.items() for path in p.files
    } | {(name, f) for name, f in READ_ELSEWHERE}
    for file in sorted(p for p in fixups.rglob("*") if p.is_file()):
        name, _, path = file.relative_to(fixups).as_posix().partition("/")
        if (name, path) not in listed:
            raise BuildError(f"{file}: no `files` of packages.yaml names it")
