"""What CentOS's packages use and the sandbox's do not, installed by the same code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from pressing import PROJECT, apart, sandbox_press, variant

from goldpress.disk import ext4
from goldpress.host import trees
from goldpress.host.confine import Confinement
from goldpress.host.run import run
from goldpress.locking import lock
from goldpress.rootfs.install import RPM_DATABASE

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The packages of the web image and the zoo, installed from a lock of their own."""
    directory = tmp_path_factory.mktemp("zoo")
    text = (PROJECT / "images/web/image.yaml").read_text()
    text = text.replace("packages:\n", "packages:\n  - goldpress-zoo\n", 1)
    press = variant(sandbox_press(), directory / "web", {"image.yaml": text})
    ws = dataclasses.replace(press.workspace, locks=directory / "locks")
    zoo = dataclasses.replace(press, lock=lock(ws, press.definition, press.distribution))
    with apart(zoo, directory / "apart") as installed:
        yield installed.packages().directory / "tree"


def test_lua_triggers_and_alternatives_ran(tree: Path) -> None:
    assert (tree / "var/lib/goldpress-zoo/lua").read_text().startswith("written by lua")
    assert "thing" in (tree / "var/lib/goldpress-zoo/triggered").read_text()
    link = tree / "usr/bin/goldpress-zoo"
    assert link.readlink() == Path("/etc/alternatives/goldpress-zoo")


def test_a_packages_user_owns_its_folder(tree: Path) -> None:
    entries = {e.path: e for e in trees.scan(tree)}
    folder = entries["/var/lib/goldpress-zoo-user"]
    assert (folder.uid, folder.gid, folder.mode & 0o7777) == (990, 990, 0o750)
    assert entries["/etc/shadow"].mode & 0o7777 == 0
    assert not [path for path in entries if path.startswith("/usr/share/doc/goldpress-zoo/")]


def test_the_kernels_scriptlets_made_no_initramfs(tree: Path) -> None:
    assert list(tree.glob("boot/*init*")) == []
    assert not (tree / "etc/kernel/install.d/50-dracut.install").is_symlink()


def test_file_capabilities_reach_the_file_system_as_version_2(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    inside = Confinement(readable={"/from": tree}, writable={"/to": root})
    inside.run(("cp", "-a", "/from/usr/bin/goldpress-zoo-capable", "/to/capable"))
    plan = ext4.Ext4(
        label="root", uuid="01234567-89ab-8def-8123-456789abcdef", size=16 << 20, inodes=1024,
        journal=False, epoch=10**9,
    )  # fmt: skip
    ext4.make(plan, root, tmp_path / "a.ext4", {})
    value = run(("debugfs", "-R", "ea_get -x /capable security.capability", tmp_path / "a.ext4"))
    # vfs_cap_data of linux/capability.h: revision 2 and the effective bit, then the capability
    # CAP_NET_BIND_SERVICE (1 << 10); revision 3 would carry the builder's user id.
    assert "01 00 00 02 00 04 00 00" in value.text


def test_the_package_database_verifies_every_file(tree: Path) -> None:
    script = f'cp -r {RPM_DATABASE} /tmp/db && exec rpm --dbpath /tmp/db "$@"'
    done = Confinement(root=tree, root_writable=False).run(
        ("sh", "-c", script, "sh", "--verify", "goldpress-zoo-capabilities", "goldpress-zoo-user"),
        merge=True,
        check=False,
    )
    assert (done.returncode, done.text) == (0, "")
