"""Owns dm-verity: the root's hash tree, its root hash, and how the kernel is told of both.

The root partition's UUID is the first half of the root hash and the tree's partition has the
other half (Discoverable Partitions Specification, "Root Verity Partition"). systemd's
veritysetup generator looks for exactly these two, so the command line has nothing but the hash,
and a second volume of another image is never taken for this one.

A block that does not match is an I/O error, the kernel's default. `restart-on-corruption` would
make one bad block an endless loop of boots, and `panic-on-corruption` lose the log that tells of
it; neither adds safety, because no mode ever hands out what does not match. Blocks are checked at
each read from the disk, not once: the disk may change under a running machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.digest import content_uuid, sha256_bytes
from goldpress.errors import BuildError
from goldpress.host.run import run

BLOCK = 4096
#: What systemd calls the mapped device when the command line has `roothash=`.
DEVICE = "/dev/mapper/root"

OWN_WORDS = frozenset({"root", "rootflags", "rootfstype", "roothash", "ro", "rw"})

ROOT_HASH = re.compile(r"^Root hash:\s+([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Verity:
    """A hash tree: its root hash in 64 hex digits."""

    root_hash: str

    @property
    def data_uuid(self) -> str:
        """The UUID of the partition that holds the root."""
        return as_uuid(self.root_hash[:32])

    @property
    def hash_uuid(self) -> str:
        """The UUID of the partition that holds the tree."""
        return as_uuid(self.root_hash[32:])

    def command_line(self, others: Sequence[str]) -> tuple[str, ...]:
        """The kernel's words that mount the checked root, and then the `others`.

        Raises BuildError for one that would find or check the root in another way.
        """
        for word in others:
            name = word.partition("=")[0].removeprefix("rd.")
            if name in OWN_WORDS or name.startswith("systemd.verity"):
                raise BuildError(
                    f"kernel.command_line: {word!r} changes how the root is found or checked",
                    hint="take it out of image.yaml: these words follow from the disk's content",
                )
        return (f"root={DEVICE}", f"roothash={self.root_hash}", "ro", *others)


def as_uuid(digits: str) -> str:
    """32 hex digits in a UUID's form, as systemd writes them in /dev/disk/by-partuuid."""
    groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(groups)


def format_argv(data: Path, tree: Path, *, sha256: str) -> tuple[str, ...]:
    """The veritysetup command; `sha256` is that of `data`, and makes salt and UUID repeatable."""
    return (
        "veritysetup", "format", "--format=1", "--hash=sha256",
        f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}",
        f"--salt={sha256_bytes(f'verity salt {sha256}'.encode())}",
        f"--uuid={content_uuid(sha256_bytes(f'verity {sha256}'.encode()))}",
        str(data), str(tree),
    )  # fmt: skip


def root_hash(said: str) -> str:
    """The root hash in veritysetup's output. Raises BuildError when it is not there."""
    found = ROOT_HASH.search(said)
    if found is None:
        raise BuildError(
            f"veritysetup named no root hash: {said.strip()[-200:]!r}",
            hint="its output is not what cryptsetup 2.x prints; see `./inv doctor`",
        )
    return found[1]


def make_tree(data: Path, tree: Path, *, sha256: str) -> Verity:
    """Write the hash tree of `data` to `tree`. Raises CommandError, also when the disk is full."""
    tree.write_bytes(b"")
    done = run(
        format_argv(data, tree, sha256=sha256), what="make the hash tree of the root file system"
    )
    made = Verity(root_hash=root_hash(done.text))
    run(
        ("veritysetup", "verify", data, tree, made.root_hash),
        what="check the root file system against its hash tree",
    )
    return made
