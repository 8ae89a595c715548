"""Owns looking at and changing a tree whose files belong to subordinate ids.

Changes are planned as values outside and carried out inside the user namespace by this module
run as a program: ``python -m goldpress.host.trees VERB TREE`` with JSON on stdin and stdout.
Every path is relative to the tree and no symbolic link is followed on the way to it: a package
cannot lead a change out of its tree.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from goldpress.digest import canonical_json, sha256_bytes, sha256_file
from goldpress.errors import BuildError
from goldpress.host.run import run

Verb = Literal["apply", "scan", "clamp", "listing", "match"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: `kind` is write, link (to `target`), directory or remove."""

    kind: Literal["write", "link", "directory", "remove"]
    path: str
    mode: int = 0o644
    user: str = "root"
    group: str = "root"
    content: str = ""
    target: str = ""


def write(path: str, data: bytes, *, mode: int = 0o644) -> Change:
    """Write a file, with its missing parent directories; an existing file is replaced."""
    return Change(kind="write", path=path, mode=mode, content=base64.b64encode(data).decode())


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file of a tree, as lstat(2) tells it. `path` begins with a slash; times in seconds."""

    path: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    links: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)


def apply(tree: Path, changes: Iterable[Change]) -> None:
    """Carry out changes in order. Raises BuildError with the path that failed."""
    _inside("apply", tree, [asdict(change) for change in changes])


def scan(tree: Path) -> tuple[Entry, ...]:
    """Every file of the tree, sorted by path; the tree itself is ``/``."""
    return tuple(Entry(**row) for row in _inside("scan", tree, None))


def clamp(tree: Path, epoch: int) -> None:
    """Let no modification time be later than `epoch` (seconds since 1970)."""
    _inside("clamp", tree, epoch)


def listing(tree: Path) -> dict[str, dict[str, Any]]:
    """Path to mode, owner, time and content (a sha256, or a link's target) of everything."""
    return {row.pop("path"): row for row in _inside("listing", tree, None)}


def digest(tree: Path) -> str:
    """The sha256 over names, modes, owners, times and bytes of everything in the tree."""
    return sha256_bytes(canonical_json(listing(tree)))


def match(tree: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    """Paths (with a leading slash) that match shell patterns relative to the tree.

    ``**/*`` matches files at any depth, but no directory: those are often owned by a package.
    """
    return tuple(_inside("match", tree, list(patterns)))


def _inside(verb: Verb, tree: Path, value: Any) -> Any:
    from goldpress.host.confine import USER_NAMESPACE  # noqa: PLC0415 - not needed inside

    source = Path(__file__).resolve().parents[2]
    done = run(
        (*USER_NAMESPACE, sys.executable, "-m", "goldpress.host.trees", verb, tree),
        env={"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=json.dumps(value).encode(),
        what=f"{verb} changes to {tree.name}" if verb == "apply" else f"{verb} {tree.name}",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BuildError(lines[-1] if lines else f"{verb} {tree}: exit status {done.returncode}")
    return json.loads(done.stdout or b"null")


# What follows runs inside the namespace.


def _resolved(tree: Path, path: str) -> Path:
    """`path` in the tree; links among its parents are followed within the tree only."""
    parts = [p for p in path.split("/") if p]
    done: list[str] = []
    hops = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = tree.joinpath(*done, part)
        if parts and here.is_symlink():
            hops += 1
            if hops > len("too many links") * 3:
                raise OSError(f"{path}: too many links")
            target = os.fspath(here.readlink())
            if target.startswith("/"):
                done = []
            parts = [p for p in target.split("/") if p and p != "."] + parts
            continue
        done.append(part)
    return tree.joinpath(*done)


def _id(tree: Path, database: str, name: str) -> int:
    if name == "root":  # known before the package that brings /etc/passwd is installed
        return 0
    for line in (tree / "etc" / database).read_text().splitlines():
        known, _, number, *_ = line.split(":")
        if known == name:
            return int(number)
    raise KeyError(f"{name} is not in the image's /etc/{database}")


def _make_parents(path: Path) -> None:
    missing = []
    parent = path.parent
    while not parent.is_dir():
        missing.append(parent)
        parent = parent.parent
    for directory in reversed(missing):
        directory.mkdir()
        directory.chmod(0o755)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _carry_out(tree: Path, change: Change) -> None:
    path = _resolved(tree, change.path)
    match change.kind:
        case "remove":
            _delete(path)
            return
        case "link":
            _make_parents(path)
            _delete(path)
            path.symlink_to(change.target)
        case "directory":
            _make_parents(path)
            path.mkdir(exist_ok=True)
            path.chmod(change.mode)
        case "write":
            _make_parents(path)
            _delete(path)
            path.write_bytes(base64.b64decode(change.content))
            path.chmod(change.mode)
    owner = _id(tree, "passwd", change.user), _id(tree, "group", change.group)
    os.chown(path, *owner, follow_symlinks=False)
    if change.kind != "link":  # chown clears set-id bits
        path.chmod(change.mode)


def _scan_rows(tree: Path) -> list[dict[str, Any]]:
    rows = []
    for directory, names, files in os.walk(tree):
        names.sort()
        links = [n for n in names if os.path.islink(os.path.join(directory, n))]  # noqa: PTH114, PTH118 - 20,000 files
        here = [directory] if directory == str(tree) else []
        for path in (*here, *(os.path.join(directory, n) for n in (*names, *files))):  # noqa: PTH118 - as above
            info = os.lstat(path)
            rows.append(
                {
                    "path": path[len(str(tree)) :] or "/",
                    "mode": info.st_mode,
                    "uid": info.st_uid,
                    "gid": info.st_gid,
                    "size": info.st_size,
                    "mtime": int(info.st_mtime),
                    "links": info.st_nlink,
                }
            )
        names[:] = [n for n in names if n not in links]
    return sorted(rows, key=lambda row: str(row["path"]))


def _listing(tree: Path) -> list[dict[str, Any]]:
    rows = _scan_rows(tree)
    for row in rows:
        path = tree / str(row["path"]).lstrip("/")
        if stat.S_ISREG(row["mode"]):
            row["content"] = sha256_file(path)
        elif stat.S_ISLNK(row["mode"]):
            row["content"] = os.fspath(path.readlink())
        else:
            row["size"] = 0  # a directory's size tells how the host's file system keeps it
    return rows


def _match(tree: Path, patterns: Sequence[str]) -> list[str]:
    found = set()
    for pattern in patterns:
        for path in tree.glob(pattern):
            if not (pattern.endswith("**/*") and path.is_dir() and not path.is_symlink()):
                found.add(f"/{path.relative_to(tree).as_posix()}")
    return sorted(found)


def _clamp_times(tree: Path, epoch: int) -> None:
    for row in reversed(_scan_rows(tree)):  # children first: changing them touches their parent
        path = f"{tree}{row['path']}" if row["path"] != "/" else str(tree)
        seconds = min(int(row["mtime"]), epoch)
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def _main(argv: Sequence[str]) -> int:
    verb, tree = argv[0], Path(argv[1])
    value = json.load(sys.stdin)
    match verb:
        case "apply":
            for row in value:
                change = Change(**row)
                try:
                    _carry_out(tree, change)
                except (OSError, KeyError) as error:
                    sys.stderr.write(f"{change.kind} {change.path}: {error}\n")
                    return 1
        case "scan":
            json.dump(_scan_rows(tree), sys.stdout)
        case "listing":
            json.dump(_listing(tree), sys.stdout)
        case "match":
            json.dump(_match(tree, value), sys.stdout)
        case "clamp":
            _clamp_times(tree, value)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
