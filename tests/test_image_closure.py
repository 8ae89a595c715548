"""What the web image's controls and builder rely on is in its packages on real CentOS Stream 9.

Metadata names packages and paths; it has no modes, no accounts made by scriptlets, no contents, and
of AppStream's packages only programs and what lies in /etc. What is known by declaration alone is
listed here as such.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from centos import Metadata
from closures import Closure
from pressing import PROJECT
from suites import web_controls

from goldpress.definition import load_definition
from goldpress.disk.initrd import DRIVERS, MODULES
from goldpress.host.trees import apply
from goldpress.rootfs.assemble import plan_hygiene
from goldpress.rootfs.overlay import plan_overlay, template_names
from goldpress.rootfs.pools import plan_pools

pytestmark = pytest.mark.metadata

#: What units, scripts, builder and checks call on the machine, by its package.
PROGRAMS = {
    "audit": ("auditctl", "augenrules", "ausearch"),
    "bash": ("bash",),
    "coreutils": (
        "cat",
        "chcon",
        "chown",
        "dd",
        "id",
        "mkdir",
        "mv",
        "readlink",
        "stat",
        "timeout",
    ),
    "curl": ("curl",),
    "device-mapper": ("dmsetup",),
    "dracut": ("dracut",),
    "findutils": ("find",),
    "gawk": ("awk",),
    "glibc": ("ldconfig",),
    "grep": ("grep",),
    "iproute": ("ss",),
    "kmod": ("depmod", "modprobe"),
    "libcap": ("getcap",),
    "nginx-core": ("nginx",),
    "openssh": ("ssh-keygen",),
    "openssh-server": ("sshd",),
    "openssl": ("openssl",),
    "php-cli": ("php",),
    "php-fpm": ("php-fpm",),
    "policycoreutils": ("restorecon", "semodule", "setfiles"),
    "procps-ng": ("sysctl",),
    "rpm": ("rpm",),
    "sed": ("sed",),
    "sudo": ("sudo", "visudo"),
    "systemd": ("journalctl", "systemctl", "systemd-analyze", "systemd-sysusers"),
    "systemd-udev": ("systemd-repart",),
    "util-linux": ("setpriv",),
    "util-linux-core": ("findmnt", "mount", "unshare"),
}
#: By declaration: built into CentOS's kernel, where Debian's has a module.
BUILT_IN = {"virtio_pci"}
#: By declaration: CentOS's kernel has no such module, so nothing is lost by refusing it.
NO_MODULE = {"dccp", "firewire-core", "freevxfs", "hfs", "hfsplus", "jffs2", "rds"}
#: By declaration: the stand-in's places of programs that CentOS has elsewhere, or not at all.
STAND_IN = {"/usr/libexec/dbus-1/dbus-daemon-launch-helper", "/usr/sbin/clockdiff"}
#: By declaration: accounts of services that a package's scriptlet makes; pools have sysusers.d.
SERVICE_ACCOUNTS = {"nginx": "nginx-filesystem"}
#: What the builder itself puts into every image.
BUILDER = {
    "/etc/rpm/macros.goldpress",
    "/usr/lib/kernel/cmdline",
    "/usr/lib/repart.d/50-var.conf",
    "/usr/lib/systemd/system-preset/00-goldpress.preset",
}
#: What only the bare image has.
BARE = {
    "/root/.bash_history",
    "/usr/bin/dnf",
    "/usr/local/bin/capable",
    "/usr/local/bin/setuid",
    "/usr/local/share/lost",
    "/usr/local/share/open",
}


def test_every_program_is_of_a_package_of_the_image(metadata: Metadata, closure: Closure) -> None:
    lost = [
        f"{name} of {package}"
        for package, names in PROGRAMS.items()
        for name in names
        if not any(
            package in metadata.owners.get(f"{place}/{name}", ())
            for place in ("/usr/bin", "/usr/sbin")
        )
    ]
    assert lost == []
    assert PROGRAMS.keys() - closure.names == set()


def test_what_the_build_takes_from_packages_is_declared(closure: Closure, tmp_path: Path) -> None:
    """rpm --verify tells of every path that is missing, but for ghosts."""
    places = ("/boot/", "/etc/", "/root/", "/run/", "/tmp/", "/var/")
    rows = {
        path: kind
        for path, (_, kind) in closure.paths.items()
        if kind != "ghost" and path.startswith(places)
    }
    for path, kind in rows.items():
        place = tmp_path / path.lstrip("/")
        (place if kind == "dir" else place.parent).mkdir(parents=True, exist_ok=True)
        if kind == "file":
            place.touch()
    apply(tmp_path, plan_hygiene(tmp_path))
    gone = {path for path in rows if not (tmp_path / path.lstrip("/")).exists()}
    assert {"/etc/yum.repos.d/centos.repo", "/var/lib/rpm-state", "/run/motd"} <= gone
    assert undeclared(gone) == []


def undeclared(paths: Iterable[str]) -> list[str]:
    """Those that `os-rpm-integrity` would call changed."""
    declared = web_controls().parameters()["os-rpm-integrity"]["declared"]
    return [path for path in paths if not any(fnmatchcase(path, shape) for shape in declared)]


def test_what_the_overlay_replaces_of_packages_is_declared(closure: Closure) -> None:
    web = load_definition(PROJECT / "images/web")
    planned = plan_overlay(web.files, template_names(web), plan_pools(web))
    replaced = [p.path for p in planned if closure.paths.get(p.path, ("", "ghost"))[1] == "file"]
    assert "/etc/chrony.conf" in replaced
    assert undeclared(replaced) == []


def test_the_initrds_modules_and_drivers_are_there(closure: Closure) -> None:
    dracut = "/usr/lib/dracut/modules.d/"
    modules = {
        path.removeprefix(dracut)[2:]
        for path, (package, kind) in closure.paths.items()
        if package == "dracut" and kind == "dir" and path.startswith(dracut)
    }
    assert set(MODULES) - modules == set()
    assert set(DRIVERS) - BUILT_IN - drivers(closure.paths) == set()
    assert BUILT_IN & drivers(closure.paths) == set()


def drivers(paths: Iterable[str]) -> set[str]:
    """The kernel modules among these paths, with `_` for `-` as the kernel calls them."""
    found = (re.search(r"^/(?:usr/)?lib/modules/.*/([\w-]+)\.ko(?:\.xz)?$", path) for path in paths)
    return {match[1].replace("-", "_") for match in found if match}


def test_refused_kernel_modules_are_called_so(metadata: Metadata) -> None:
    refused = set(web_controls().parameters()["os-kernel-modules"]["modules"])
    known = drivers(metadata.owners)
    assert {name for name in refused if name.replace("-", "_") not in known} == NO_MODULE


@pytest.mark.parametrize("control", ["os-setuid-files", "os-file-capabilities"])
def test_programs_with_privileges_are_of_packages(metadata: Metadata, control: str) -> None:
    allowed = set(web_controls().parameters()[control]["allowed"])
    assert {path for path in allowed if path not in metadata.owners} <= STAND_IN
    assert {path for path in STAND_IN if path in metadata.owners} == set()


def test_what_controls_say_of_packages_files_is_so(metadata: Metadata, closure: Closure) -> None:
    """A path without a wildcard is the overlay's, the builder's, or a package's of the image."""
    web = load_definition(PROJECT / "images/web")
    planned = plan_overlay(web.files, template_names(web), plan_pools(web))
    own = {change.path for change in planned} | BUILDER
    paths = {path for entry in web_controls().every.values() for path in entry.files}
    named = {path for path in paths if "*" not in path} - own
    assert {"/etc/shadow", "/etc/php-fpm.d/www.conf", "/etc/selinux/semanage.conf"} <= named
    lost = {path for path in named if not metadata.owners.get(path, set()) & closure.names}
    assert lost == BARE
    typed = set(web_controls().parameters()["os-selinux-labels"]["types"]) - own
    assert {path for path in typed if not metadata.owners.get(path, set()) & closure.names} == set()


@pytest.mark.parametrize("policy", ["c9s", "c10s"])
def test_types_that_controls_name_exist(real_policies: Path, policy: str) -> None:
    real = json.loads((real_policies / f"{policy}.json").read_text())
    wanted = set(web_controls().parameters()["os-selinux-labels"]["types"].values())
    names = {*real["types"], *real["aliases"]}
    assert {name for name in wanted if not name.startswith("gp_")} - names == set()


def test_units_that_others_bring_along_are_of_the_image(closure: Closure) -> None:
    pulled = web_controls().parameters()["os-services"]["pulled_in"]
    assert [u for u in pulled if f"/usr/lib/systemd/system/{u}" not in closure.paths] == []


def test_accounts_that_units_run_as(closure: Closure) -> None:
    """Those of packages come by scriptlets, which metadata does not show."""
    web = load_definition(PROJECT / "images/web")
    units = [p for p in web.files.rglob("*.service*") if p.is_file()]
    users = {
        name
        for unit in units
        for name in re.findall(r"^(?:User|Group)=(\S+)$", unit.read_text(), re.MULTILINE)
    }
    made = (web.files / "usr/lib/sysusers.d/goldpress.conf").read_text()
    own = set(re.findall(r"^u (\S+)", made, re.MULTILINE))
    assert users - own == SERVICE_ACCOUNTS.keys()
    assert "goldpress-logs" in users & own
    assert set(SERVICE_ACCOUNTS.values()) <= closure.names
    # `m ec2-user wheel` needs the group, which setup's own list has.
    assert closure.paths["/etc/group"][0] == "setup"
