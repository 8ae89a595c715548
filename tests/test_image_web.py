"""images/web against real CentOS Stream 9 and 10: what it names has to be there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from centos import Metadata
from pressing import PROJECT

from goldpress.definition import Definition, load_definition
from goldpress.rootfs.policy import plan_modules

pytestmark = pytest.mark.metadata

#: Files that replace a package's own, and the package.
REPLACED = {
    "/etc/chrony.conf": "chrony",
    "/etc/nginx/nginx.conf": "nginx-core",
}
#: Folders of drop-ins that a package reads: ours are files of a new name in them.
DROP_INS = {
    "/etc/NetworkManager/conf.d": "NetworkManager",
    "/etc/NetworkManager/system-connections": "NetworkManager",
    "/etc/audit/rules.d": "audit",
    "/etc/modprobe.d": "kmod",
    "/etc/security/limits.d": "pam",
    "/etc/ssh/sshd_config.d": "openssh-server",
    "/etc/sudoers.d": "sudo",
    "/etc/sysctl.d": "systemd",
    "/usr/lib/sysusers.d": "systemd",
    "/usr/lib/tmpfiles.d": "systemd",
}
#: Folders and files that are goldpress's alone, or that systemd defines by itself.
OWN = re.compile(
    r"/(etc/goldpress|etc/nginx/(goldpress|pools\.d)|usr/(lib|libexec|share)/goldpress)/"
    r"|/usr/lib/systemd/system/goldpress-[\w@-]+\.service$"
    r"|/etc/systemd/system/([\w@.-]+\.d/goldpress\.conf|nginx\.service|var-log\.mount)$"
    r"|/etc/systemd/(coredump|journald|system)\.conf\.d/goldpress\.conf$|/etc/resolv\.conf$"
)
#: Units of AppStream packages: its file lists are not at hand, only the programs are in primary.
APPSTREAM_UNITS = {"nginx.service": "/usr/sbin/nginx", "php-fpm.service": "/usr/sbin/php-fpm"}


@pytest.fixture(scope="module")
def web() -> Definition:
    return load_definition(PROJECT / "images/web")


def test_every_package_is_one_of_centos(metadata: Metadata, web: Definition) -> None:
    assert [name for name in web.packages if name not in metadata.names] == []


def test_every_overlay_file_has_a_known_place(metadata: Metadata, web: Definition) -> None:
    files = [p for p in web.files.rglob("*") if p.is_symlink() or p.is_file()]
    assert files
    lost = []
    for file in files:
        path = f"/{file.relative_to(web.files)}".removesuffix(".j2")
        folder = str(Path(path).parent)
        if path in REPLACED:
            known = REPLACED[path] in metadata.owners.get(path, set())
        elif folder in DROP_INS:
            known = DROP_INS[folder] in metadata.owners.get(folder, set())
        else:
            known = OWN.search(path) is not None
        if not known:
            lost.append(path)
    assert lost == []


def test_every_unit_is_one_of_centos(metadata: Metadata, web: Definition) -> None:
    units = {*web.services.enable, *web.services.disable, *web.services.mask}
    unknown = []
    for unit in sorted(units):
        path = APPSTREAM_UNITS.get(unit, f"/usr/lib/systemd/system/{unit}")
        homes = (web.files / "usr/lib/systemd/system", web.files / "etc/systemd/system")
        ours = any((home / unit).exists() for home in homes)
        if not ours and path not in metadata.owners:
            unknown.append(unit)
    assert unknown == []


#: Names that a module uses only where they are there, in an `optional`.
OPTIONAL = re.compile(r"\(optional [^\n]*\)\)|\(optional .*?\n\)", re.DOTALL)


@pytest.mark.parametrize("policy", ["c9s", "c10s"])
def test_every_selinux_name_exists(real_policies: Path, web: Definition, policy: str) -> None:
    real = json.loads((real_policies / f"{policy}.json").read_text())
    types = {*real["types"], *real["aliases"], *(n for v in real["aliases"].values() for n in v)}
    text = "".join(module.decode() for module in plan_modules(web).values())
    code = OPTIONAL.sub("", re.sub(r";.*", "", text))
    ours = set(re.findall(r"\((?:type|typeattribute) (\w+)\)", code))
    used = set(re.findall(r"\b\w+_t\b", code)) - ours
    assert used > {"init_t", "httpd_exec_t", "devlog_t"}
    assert used - types == set()
    assert set(web.selinux.booleans) - set(real["booleans"]) == set()
    assert {f"{name}_t" for name in web.selinux.disabled} - types == set()


@pytest.mark.parametrize("policy", ["c9s", "c10s"])
def test_every_selinux_attribute_exists(real_policies: Path, web: Definition, policy: str) -> None:
    real = json.loads((real_policies / f"{policy}.json").read_text())
    text = "".join(module.decode() for module in plan_modules(web).values())
    ours = set(re.findall(r"\(typeattribute (\w+)\)", text))
    used = set(re.findall(r"\(typeattributeset (\w+) ", text)) - ours
    assert "domain" in used
    assert used - set(real["attributes"]) == set()
    # On CentOS it brings connections to the network with it.
    assert "daemon" not in used


def test_paths_below_run_are_labelled_under_both_names(web: Definition) -> None:
    """CentOS's file_contexts.subs_dist turns /run into /var/run before a path is looked up."""
    text = "".join(module.decode() for module in plan_modules(web).values())
    rows = re.findall(r"\(filecon \"(/(?:var/)?run/[^\"]*)\" (.*)\)", text)
    short = {row for row in rows if row[0].startswith("/run/")}
    assert short
    assert {(f"/var{path}", rest) for path, rest in short} == set(rows) - short
