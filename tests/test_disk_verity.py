"""The hash tree: the root hash that the kernel will compute, and the same bytes every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from centos import Metadata

from goldpress.digest import sha256_file
from goldpress.disk.verity import BLOCK, Verity, as_uuid, format_argv, make_tree, root_hash
from goldpress.errors import BuildError, CommandError

HASH = "0123456789abcdef0123456789abcdef" + "f" * 32


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """More blocks than one block of hashes covers, so that the tree has two levels."""
    path = tmp_path / "root.ext4"
    path.write_bytes(b"".join(bytes([i % 251]) * BLOCK for i in range(300)))
    return path


def merkle(data: bytes, salt: bytes) -> str:
    """The root hash as Documentation/admin-guide/device-mapper/verity.rst (version 1) has it."""
    level = data
    while True:
        blocks = [level[i : i + BLOCK] for i in range(0, len(level), BLOCK)]
        hashes = b"".join(hashlib.sha256(salt + block).digest() for block in blocks)
        if len(blocks) == 1:
            return hashes.hex()
        level = hashes.ljust(-(-len(hashes) // BLOCK) * BLOCK, b"\0")


def test_the_root_hash_is_the_one_of_the_kernels_definition(data: Path, tmp_path: Path) -> None:
    sha256 = sha256_file(data)
    made = make_tree(data, tmp_path / "tree", sha256=sha256)
    (salt,) = [w for w in format_argv(data, data, sha256=sha256) if w.startswith("--salt=")]
    salted = bytes.fromhex(salt.partition("=")[2])
    assert made.root_hash == merkle(data.read_bytes(), salted)


def test_the_tree_is_the_same_twice_and_follows_the_content(data: Path, tmp_path: Path) -> None:
    first = make_tree(data, tmp_path / "a", sha256=sha256_file(data))
    second = make_tree(data, tmp_path / "b", sha256=sha256_file(data))
    assert first == second
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with data.open("r+b") as stream:
        stream.seek(200 * BLOCK + 17)
        stream.write(b"!")
    assert make_tree(data, tmp_path / "c", sha256=sha256_file(data)) != first


def test_each_partition_is_named_by_its_half_of_the_root_hash() -> None:
    verity = Verity(root_hash=HASH)
    assert verity.data_uuid == "01234567-89ab-cdef-0123-456789abcdef"
    assert verity.hash_uuid == as_uuid("f" * 32) == "ffffffff-ffff-ffff-ffff-ffffffffffff"
    line = verity.command_line(["panic=30"])
    assert line == ("root=/dev/mapper/root", f"roothash={HASH}", "ro", "panic=30")


@pytest.mark.parametrize(
    "word",
    ["rw", "root=/dev/sda1", "roothash=0", "systemd.verity=0", "rd.systemd.verity=no",
     "systemd.verity_root_options=ignore-corruption", "rootflags=noload"],
)  # fmt: skip
def test_a_definition_cannot_weaken_the_check(word: str) -> None:
    verity = Verity(root_hash=HASH)
    with pytest.raises(BuildError) as caught:
        verity.command_line(["panic=30", word])
    assert str(caught.value).startswith(f"kernel.command_line: {word!r} changes how the root is")
    assert "take it out of image.yaml" in caught.value.hint


def test_output_without_a_root_hash_is_refused() -> None:
    assert root_hash(f"UUID:  \t1\nRoot hash:      \t{HASH}\n") == HASH
    with pytest.raises(BuildError, match=r"veritysetup named no root hash: 'Root hash: 12'\n"):
        root_hash("Root hash: 12\n")


def test_a_file_system_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="make the hash tree of the root file system: exit"):
        make_tree(tmp_path / "absent", tmp_path / "tree", sha256="0" * 64)


#: What boots the checked root and grows /var, and the package that brings it on CentOS Stream 9.
#: The definition names these packages, or the kernel's, which requires kernel-modules-core.
NEEDED = {
    "/usr/lib/dracut/modules.d/01systemd-veritysetup/module-setup.sh": "dracut",
    "/usr/lib/dracut/modules.d/01systemd-repart/module-setup.sh": "dracut",
    "/usr/lib/dracut/modules.d/90dm/module-setup.sh": "dracut",
    "/usr/sbin/dmsetup": "device-mapper",
    "/usr/lib/udev/rules.d/10-dm.rules": "device-mapper",
    "/usr/lib/udev/rules.d/13-dm-disk.rules": "device-mapper",
    "/usr/lib/udev/rules.d/95-dm-notify.rules": "device-mapper",
    "/usr/lib/systemd/systemd-veritysetup": "systemd-udev",
    "/usr/lib/systemd/system-generators/systemd-veritysetup-generator": "systemd-udev",
    "/usr/bin/systemd-repart": "systemd-udev",
    "/usr/lib/systemd/system/initrd-root-fs.target.wants/systemd-repart.service": "systemd-udev",
    "/usr/lib/systemd/systemd-growfs": "systemd-udev",
    "/usr/lib/systemd/system/systemd-growfs@.service": "systemd-udev",
    "/usr/lib64/libcryptsetup.so.12": "cryptsetup-libs",
}


@pytest.mark.metadata
@pytest.mark.parametrize("path", sorted(NEEDED))
def test_centos_has_what_boots_a_checked_root(metadata: Metadata, path: str) -> None:
    assert NEEDED[path] in metadata.owners.get(path, set())


@pytest.mark.metadata
@pytest.mark.parametrize("driver", ["dm-mod", "dm-verity", "dm-bufio"])
def test_centos_has_the_drivers_in_the_one_kernel_package(metadata: Metadata, driver: str) -> None:
    name = f"/kernel/drivers/md/{driver}.ko.xz"
    owners = [found for path, found in metadata.owners.items() if path.endswith(name)]
    assert owners
    assert any("kernel-modules-core" in found for found in owners)
