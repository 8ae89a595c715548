"""Owns ext4 images: made from a tree without mounting, labelled, and the same bytes every time.

Features are named one by one: a host's mke2fs.conf or a newer e2fsprogs must not decide what the
image's kernel and e2fsck (EL9: 1.46.5, which refuses `orphan_file`) have to understand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.confine import Confinement
from goldpress.host.trees import Entry

BLOCK = 4096
MIB = 1 << 20
INODE_BYTES = 256
FEATURES = (
    "none", "ext_attr", "dir_index", "filetype", "extent", "64bit", "flex_bg", "sparse_super",
    "large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum",
)  # fmt: skip
JOURNAL = ("has_journal", "resize_inode")

#: Inode times that mke2fs before 1.47.1 takes from the builder's disk, whatever its clock says.
TIMES = ("atime", "ctime", "crtime")
EXTRA_TIMES = ("atime_extra", "ctime_extra", "mtime_extra", "crtime_extra")


@dataclass(frozen=True, kw_only=True)
class Ext4:
    """An ext4 file system to make. `uuid` also seeds the directory hash; sizes in bytes."""

    label: str
    uuid: str
    size: int
    inodes: int
    journal: bool
    epoch: int


def room_for(entries: Iterable[Entry], *, spare: float = 0.04) -> tuple[int, int]:
    """(bytes, inodes) of a file system that holds these files, rounded up to 4 MiB."""
    rows = list(entries)
    blocks = sum(-(-row.size // BLOCK) + 1 for row in rows if row.is_file or row.is_directory)
    inodes = -(-(len(rows) + 64) // 1024) * 1024
    used = blocks * BLOCK + inodes * INODE_BYTES
    unit = 4 * MIB
    return -(-int(used * (1 + spare) + 4 * MIB) // unit) * unit, inodes


def mke2fs_argv(plan: Ext4, *, tree: str, image: str) -> tuple[str, ...]:
    """The mke2fs command. Only one -E: before 1.47.4 the last one wins."""
    features = ",".join((*FEATURES, *(JOURNAL if plan.journal else ())))
    extended = f"hash_seed={plan.uuid},root_owner=0:0,lazy_itable_init=0,nodiscard"
    return (
        "mke2fs", "-q", "-F", "-b", str(BLOCK), "-I", str(INODE_BYTES), "-N", str(plan.inodes),
        "-m", "0", "-U", plan.uuid, "-L", plan.label, "-O", features, "-E", extended,
        "-d", tree, image, str(plan.size // BLOCK),
    )  # fmt: skip


def debugfs_script(labels: Mapping[str, str], epoch: int) -> str:
    """debugfs commands: every file's label, and times that the builder's disk gave it."""
    lines = []
    for path, context in sorted(labels.items()):
        name = quoted(path)
        lines += [f"sif {name} {field} @{epoch}" for field in TIMES]
        lines += [f"sif {name} {field} 0" for field in EXTRA_TIMES]
        if context:
            # The kernel stores contexts with their closing NUL.
            lines.append(f'ea_set {name} security.selinux "{context}\\000"')
    return "\n".join([*lines, ""])


def quoted(path: str) -> str:
    """A path as debugfs's parser takes it. Raises BuildError for what it cannot take."""
    if any(c in path for c in '"\n'):
        raise BuildError(f"{path!r}: a file name that debugfs cannot be told")
    return f'"{path}"'


def make(plan: Ext4, tree: Path, image: Path, labels: Mapping[str, str]) -> None:
    """Make `image` from `tree`; `labels` are by the path inside this file system.

    Raises CommandError, also when the disk is full, and BuildError when debugfs complains.
    """
    work = image.parent
    confined = Confinement(readable={"/tree": tree}, writable={"/disk": work})
    env = {"E2FSPROGS_FAKE_TIME": str(plan.epoch), "SOURCE_DATE_EPOCH": str(plan.epoch)}
    inside = f"/disk/{image.name}"
    image.unlink(missing_ok=True)
    with image.open("wb") as stream:
        stream.truncate(plan.size)
    confined.run(
        mke2fs_argv(plan, tree="/tree", image=inside),
        env={**env, "MKE2FS_CONFIG": "/dev/null"},
        what=f"make the {plan.label} file system",
    )
    script = work / f"{image.name}.debugfs"
    script.write_text(debugfs_script(labels, plan.epoch))
    done = confined.run(
        ("debugfs", "-w", "-f", f"/disk/{script.name}", inside),
        env=env,
        what=f"label the {plan.label} file system",
    )
    script.unlink()
    complain(done.stderr.decode(errors="replace").splitlines(), plan.label)
    confined.run(
        ("e2fsck", "-f", "-n", inside), env=env, what=f"check the {plan.label} file system"
    )


def complain(lines: Sequence[str], label: str) -> None:
    """Raises BuildError for anything debugfs printed but its banner: it always exits 0."""
    rest = [line for line in lines if line.strip() and not line.startswith("debugfs 1.")]
    if rest:
        raise BuildError(f"label the {label} file system: {rest[0]}")
