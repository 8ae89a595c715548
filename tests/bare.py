"""Owns the bare variant of the web image: see tests/bare/README."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pressing import BOOT_SECONDS, PROJECT

from goldpress import progress
from goldpress.definition import Definition, load_definition
from goldpress.digest import canonical_json
from goldpress.disk.image import DiskImage, build_disk, read_disk
from goldpress.host import trees
from goldpress.host.confine import in_namespace
from goldpress.host.trees import write
from goldpress.machine import accel, qemu, ready
from goldpress.machine.record import Machine
from goldpress.press import Press
from goldpress.rootfs.product import read_rootfs

WEB = PROJECT / "images/web"
BARE = PROJECT / "tests/bare"
#: Of the web image's overlay what the bare one needs as well, unchanged.
KEPT = (
    "etc/NetworkManager", "etc/resolv.conf", "usr/libexec/goldpress/identity",
    "usr/libexec/goldpress/hostkeys",
)  # fmt: skip
SERVICES = (
    "NetworkManager.service", "chronyd.service", "dbus-broker.service", "dbus.socket",
    "goldpress-adrift.service", "goldpress-hostkeys.service", "goldpress-identity.service",
    "goldpress-stray.service", "nginx.service", "php-fpm.service", "sshd.service",
)  # fmt: skip
MASKED = ("sshd-keygen@.service", "systemd-firstboot.service", "systemd-repart.service")

#: Mistakes that the builder does not let an overlay make: path, mode, text.
MISTAKES = (
    ("/usr/local/bin/setuid", 0o4755, "#!/bin/sh\n"),
    ("/usr/local/bin/capable", 0o755, "#!/bin/sh\n"),
    ("/usr/local/share/open", 0o666, "open\n"),
    ("/usr/local/share/lost", 0o644, "lost\n"),
    ("/usr/bin/dnf", 0o755, "#!/bin/sh\n"),
    ("/etc/ssh/ssh_host_ed25519_key", 0o600, "key\n"),
    ("/etc/machine-id", 0o444, f"{'1' * 32}\n"),
    ("/etc/pki/tls/private/key.pem", 0o600, "-----BEGIN PRIVATE KEY-----\n"),
    ("/root/.ssh/authorized_keys", 0o600, "ssh-ed25519 x\n"),
    ("/root/.bash_history", 0o600, "ls\n"),
)
#: And what is changed in files that are there: path, sed's command.
EDITS = (
    ("etc/shadow", "s/^root:[^:]*:/root:$6$x$y:/"),
    ("etc/fstab", "s/,\\?\\(nodev\\|nosuid\\|noexec\\)//g"),
    ("etc/selinux/semanage.conf", "s/^expand-check=1/expand-check=0/"),
    ("etc/nginx/mime.types", "$a # changed"),
)
LEFT = ("/var/log/build.log", "left\n")


@dataclass(frozen=True, kw_only=True)
class Bare:
    """The bare image: the folder with its two trees and labels, and its disk."""

    rootfs: Path
    disk: DiskImage
    root_uuid: str


def definition(folder: Path) -> Definition:
    """The definition in `folder`: the web image's packages, and nothing else of it."""
    files = folder / "files"
    shutil.copytree(BARE, folder, symlinks=True)
    (files / "usr/share/nginx/html/dot-git").rename(files / "usr/share/nginx/html/.git")
    for name in KEPT:
        source, target = WEB / "files" / name, files / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
    shutil.copy(WEB / "controls.yaml", folder / "controls.yaml")
    value: dict[str, Any] = yaml.safe_load((WEB / "image.yaml").read_text())
    for key in ("apps", "pools", "machine", "parameters"):
        value.pop(key)
    value["services"] = {"enable": list(SERVICES), "mask": list(MASKED)}
    value["selinux"] = {"booleans": {"httpd_can_network_connect": True}}
    value["kernel"]["command_line"] = ["console=ttyS0,115200", "security=selinux", "selinux=1"]
    (folder / "image.yaml").write_text(yaml.safe_dump(value))
    return load_definition(folder)


def press_bare(press: Press, folder: Path) -> Bare:
    """Press the bare variant of the image that `press` presses, below `folder`."""
    bare = dataclasses.replace(press, definition=definition(folder / "web"), judged=False)
    packages = bare.packages()
    product = bare.rootfs(packages, bare.policy(packages))
    rootfs = folder / "rootfs"
    in_namespace(("cp", "-a", "--reflink=auto", product.directory, rootfs))
    spoil(rootfs)
    with progress.step("bare disk") as step:
        (folder / "disk").mkdir()
        facts = build_disk(
            read_rootfs(rootfs, product.facts),
            bare.initrd(packages).directory,
            definition=bare.definition,
            lock=bare.lock,
            directory=folder / "disk",
            step=step,
        )
    disk = read_disk(folder / "disk", facts)
    digits = disk.root_hash[:32]
    uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return Bare(rootfs=rootfs, disk=disk, root_uuid=uuid)


def spoil(rootfs: Path) -> None:
    """Make the mistakes in the trees below `rootfs`, and label one file wrongly."""
    tree, var = rootfs / "tree", rootfs / "var"
    trees.apply(tree, [write(path, text.encode(), mode=mode) for path, mode, text in MISTAKES])
    trees.apply(tree, [write("/etc/shells", b"/bin/sh\n")])
    in_namespace(("chown", "4242:4242", tree / "usr/local/share/lost"))
    in_namespace(("setcap", "cap_net_raw+ep", tree / "usr/local/bin/capable"))
    for path, command in EDITS:
        in_namespace(("sed", "-i", command, tree / path))
    in_namespace(("sh", "-c", f"printf '{LEFT[1]}' >{var}{LEFT[0].removeprefix('/var')}"))
    kept = rootfs / "labels.json"
    labels: dict[str, str] = json.loads(kept.read_bytes())
    for entry in trees.scan(tree):
        labels.setdefault(entry.path, "system_u:object_r:usr_t:s0")
    labels[LEFT[0]] = labels["/etc/shells"] = "system_u:object_r:unlabeled_t:s0"
    kept.write_bytes(canonical_json(labels))


@contextmanager
def booted_bare(bare: Bare, directory: Path) -> Iterator[tuple[Machine, ready.Ready]]:
    """The bare image, started with a kernel command line that asks for nothing."""
    line = (
        f"root=PARTUUID={bare.root_uuid} rw console=ttyS0,115200 panic=30 systemd.gpt_auto=0"
        " security=selinux selinux=1 enforcing=0"
    )
    disk = bare.disk
    kernel = qemu.Kernel(kernel=disk.kernel, initrd=disk.initrd, command_line=line)
    found = accel.choose(disk.kernel, cache=directory.parent / "accelerator.json")
    machine = qemu.boot(disk.raw, directory=directory, accelerator=found.name, kernel=kernel)
    with qemu.halting(machine):
        yield machine, ready.wait_ready(machine, BOOT_SECONDS)
