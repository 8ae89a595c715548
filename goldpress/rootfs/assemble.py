"""Owns the finished root filesystem: packages, overlay, accounts, services, policy, no residue.

The product has two trees, because they become two partitions: ``tree`` (read-only on the
machine) and ``var`` (writable, what the image brings for /var), and ``labels.json``, the SELinux
context of every path of both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goldpress.definition import Definition, Services
from goldpress.digest import canonical_json, content_uuid
from goldpress.errors import BuildError
from goldpress.host import trees
from goldpress.host.confine import Confinement, in_namespace
from goldpress.host.trees import Change, write
from goldpress.lock import Lock
from goldpress.rootfs import labels
from goldpress.rootfs.code import plan_code
from goldpress.rootfs.install import RPM_DATABASE
from goldpress.rootfs.overlay import plan_overlay, template_names
from goldpress.rootfs.policy import POLICY_TYPE
from goldpress.rootfs.pools import plan_pools
from goldpress.rootfs.programs import check_programs

#: repart.d(5): the partition of this type, the last, takes what the disk has beyond the image's
#: size. It is matched by its type and keeps its UUID and its content.
GROWTH = ("/usr/lib/repart.d/50-var.conf", "[Partition]\nType=var\n")

PRESET = "/usr/lib/systemd/system-preset/00-goldpress.preset"

#: What packages, their scripts and our own steps leave that would be a secret, an identity, a log,
#: a cache, or an invitation to patch when baked into an image. Patterns as pathlib's, relative to
#: the tree; controls.yaml declares what of it packages own.
RESIDUE = (
    "etc/ssh/ssh_host_*", "etc/*-", "etc/audit/audit.rules.prev", "etc/.pwd.lock",
    "etc/.updated", "var/.updated", "etc/yum.repos.d/*",
    "root/.*_history", "boot/*", "tmp/*", "tmp/.*", "run/*", "var/tmp/*", "var/cache/*",
    "var/lib/dnf",
    "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "var/lib/NetworkManager/*",
    "var/lib/dhclient/*", "var/lib/rpm-state", "var/lib/rpm", "var/spool/mail/*",
)  # fmt: skip

#: The controls that are looked at before labelling, whatever the suite looks at: what to do.
HYGIENE = {
    "identity-no-baked-host-key": "remove it: the key would be the same on every machine",
    "identity-no-baked-login-key": "remove it: whoever has the key could log in to every machine",
    "identity-machine-id-baked-empty": "let it be empty: the id would be the same on every machine",
    "os-world-writable-files": "take the mode bit away where it comes from",
}


def assemble(
    packages: Path, policy: Path, definition: Definition, lock: Lock, directory: Path
) -> Mapping[str, Any]:
    """Make ``directory/{tree,var,labels.json}``. Raises BuildError or CommandError."""
    tree, var = directory / "tree", directory / "var"
    in_namespace(("cp", "-a", "--reflink=auto", packages / "tree", tree), what="copy the packages")
    for source, target in (("etc-selinux", "etc/selinux"), ("store", "var/lib/selinux")):
        in_namespace(("rm", "-rf", tree / target))
        in_namespace(("cp", "-a", policy / source, tree / target))
    trees.apply(
        tree,
        [
            *plan_image(definition, lock),
            *plan_overlay(definition.files, template_names(definition), plan_pools(definition)),
            *plan_code(definition),
        ],
    )
    _run_inside(tree, definition, lock)
    check_programs(tree, definition)
    settle_database(tree / RPM_DATABASE.lstrip("/"))
    trees.apply(tree, plan_hygiene(tree))
    trees.clamp(tree, lock.source_date_epoch)
    uuid_source = trees.digest(tree / "var")
    trees.apply(tree, [write("/etc/fstab", fstab(content_uuid(uuid_source)).encode())])
    trees.clamp(tree, lock.source_date_epoch)
    entries = trees.scan(tree)
    check_hygiene(entries)
    contexts = tree / "etc/selinux" / POLICY_TYPE / "contexts/files/file_contexts"
    found = labels.look_up(contexts, entries)
    (directory / "labels.json").write_bytes(canonical_json(found))
    in_namespace(("mv", tree / "var", var))
    in_namespace(("mkdir", "-m", "0755", tree / "var"))
    trees.clamp(tree, lock.source_date_epoch)
    return {
        "files": len(entries),
        "bytes": sum(e.size for e in entries if e.is_file),
        "var_uuid": content_uuid(uuid_source),
    }


def fstab(var_uuid: str) -> str:
    """File systems to mount: /var by the UUID that its content gave it, and /tmp in memory.

    systemd-repart has grown the partition to the end of the disk by then (see `GROWTH`), in the
    initrd; `x-systemd.growfs` lets the file system follow, at each start and in no time.
    """
    return (
        "# The root is named, and kept read-only, by the kernel command line.\n"
        f"PARTUUID={var_uuid} /var ext4 rw,nodev,nosuid,x-systemd.growfs 0 0\n"
        "tmpfs /tmp tmpfs mode=1777,nodev,nosuid,noexec,size=25% 0 0\n"
        "tmpfs /dev/shm tmpfs mode=1777,nodev,nosuid,noexec 0 0\n"
    )


def plan_image(definition: Definition, lock: Lock) -> tuple[Change, ...]:
    """What every image has, whatever its overlay says; the overlay may replace it."""
    about = {
        "name": definition.name,
        "distribution": lock.distribution,
        "stand_in": lock.stand_in,
    }
    return (
        write("/usr/lib/goldpress/image.json", canonical_json(about) + b"\n"),
        write("/etc/rpm/macros.goldpress", f"%_dbpath {RPM_DATABASE}\n".encode()),
        write(GROWTH[0], GROWTH[1].encode()),
        write(PRESET, preset(definition.enabled).encode()),
        Change(kind="link", path="/etc/mtab", target="../proc/self/mounts"),
    )


def preset(enabled: Iterable[str]) -> str:
    """systemd.preset(5): these units and no other."""
    return "".join(f"enable {unit}\n" for unit in enabled) + "disable *\n"


def _run_inside(tree: Path, definition: Definition, lock: Lock) -> None:
    """The steps that the image's own programs do best, each in the image's confined root."""
    inside = Confinement(root=tree)
    env = {"SOURCE_DATE_EPOCH": str(lock.source_date_epoch), "SYSTEMD_OFFLINE": "1"}
    inside.run(("systemd-sysusers",), env=env, what="create the accounts of sysusers.d")
    done = inside.run(
        ("systemctl", "preset-all"), env=env, merge=True, what="enable the services by preset"
    )
    _check_units(tree, definition.enabled, done.text)
    for words in off_argvs(tree, definition.services):
        inside.run(words, env=env, what=f"{words[1]} services")
    if (tree / "usr/sbin/augenrules").exists():
        # auditd's unit would write this file at each start, hide its failure, and load nothing.
        inside.run(("augenrules",), what="put the audit rules together")
    inside.run(("ldconfig", "-X"), env=env, what="ldconfig")


def off_argvs(tree: Path, services: Services) -> Iterable[tuple[str, ...]]:
    """The commands that turn units off, after the preset.

    A unit that is enabled may bring another along (Also=), whatever the preset says of that one.
    What a stand-in does not have cannot be disabled there; a mask needs no unit.
    """
    if there := [unit for unit in services.disable if _has_unit(tree, unit)]:
        yield ("systemctl", "disable", *there)
    if services.mask:
        yield ("systemctl", "mask", *services.mask)


def _check_units(tree: Path, enabled: Iterable[str], output: str) -> None:
    for unit in enabled:
        if not _has_unit(tree, unit):
            raise BuildError(
                f"services.enable: {unit} is in no package and no overlay file of the image",
                hint=output.strip()[-300:],
            )


def _has_unit(tree: Path, unit: str) -> bool:
    """Whether the tree has the unit, or the template that it is made of."""
    template = f"{unit.partition('@')[0]}@.{unit.rpartition('.')[2]}" if "@" in unit else unit
    homes = [tree / "etc/systemd/system", tree / "usr/lib/systemd/system"]
    return any((home / template).exists() for home in homes)


def settle_database(database: Path) -> None:
    """Let the rpm database be readable where nothing can be written: no WAL beside it.

    rpm opens sqlite with a write-ahead log, whose shared-memory file it cannot make on a
    read-only file system; `rpm -qa` then fails.
    """
    path = database / "rpmdb.sqlite"
    if not path.exists():
        raise BuildError(f"no rpm database at {RPM_DATABASE}: was rpm told another place?")
    connection = sqlite3.connect(path)
    try:
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    finally:
        connection.close()
    if mode != "delete":
        raise BuildError(f"{path.name}: its journal mode stays {mode}")
    for suffix in ("-wal", "-shm"):
        (database / f"{path.name}{suffix}").unlink(missing_ok=True)
    (database / ".rpm.lock").unlink(missing_ok=True)


def plan_hygiene(tree: Path) -> tuple[Change, ...]:
    """Remove residue; leave an *empty* machine-id, which systemd fills for each boot in /run.

    `uninitialized` would mean first boot, and presets would be written to a read-only /etc.
    """
    found = trees.match(tree, [*RESIDUE, "var/log/**/*"])
    removals = [Change(kind="remove", path=path) for path in found]
    return (*removals, write("/etc/machine-id", b"", mode=0o444))


def check_hygiene(entries: Iterable[trees.Entry]) -> None:
    """Raises BuildError for what must never be in an image, with the control that it breaks."""
    for entry in entries:
        if control := broken_control(entry):
            raise BuildError(
                f"{control}: {entry.path} (mode {entry.mode & 0o7777:o}, {entry.size} bytes)",
                hint=f"what to do: {HYGIENE[control]}",
            )


def broken_control(entry: trees.Entry) -> str | None:
    """The control that a file breaks by being there."""
    name = entry.path.rpartition("/")[2]
    world_writable = entry.mode & 0o002 and not entry.mode & 0o1000
    if name.startswith("ssh_host_"):
        return "identity-no-baked-host-key"
    if name == "authorized_keys":
        return "identity-no-baked-login-key"
    if entry.path == "/etc/machine-id" and entry.size:
        return "identity-machine-id-baked-empty"
    if world_writable and (entry.is_file or entry.is_directory):
        return "os-world-writable-files"
    return None
