"""images/web against real CentOS Stream 9 and 10: what it names has to be there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from centos import Metadata
from pressing import PROJECT

from goldpress.definition import Definition, load_definition

pytestmark = pytest.mark.metadata

#: Files that replace a package's own, and the package.
REPLACED = {
    "/etc/chrony.conf": "chrony",
    "/etc/nginx/nginx.conf": "nginx-core",
    "/etc/php-fpm.d/www.conf": "php-fpm",
}
#: Folders of drop-ins that a package reads: ours are files of a new name in them.
DROP_INS = {
    "/etc/NetworkManager/conf.d": "NetworkManager",
    "/etc/NetworkManager/system-connections": "NetworkManager",
    "/etc/audit/rules.d": "audit",
    "/etc/ssh/sshd_config.d": "openssh-server",
    "/etc/sudoers.d": "sudo",
    "/etc/sysctl.d": "systemd",
    "/usr/lib/sysusers.d": "systemd",
    "/usr/lib/tmpfiles.d": "systemd",
}
#: Folders and files that are goldpress's alone, or that systemd defines by itself.
OWN = re.compile(
    r"/(srv/www|usr/libexec/goldpress)/|/usr/lib/systemd/system/goldpress-\w+\.service$"
    r"|/etc/systemd/system/[\w@.-]+\.d/goldpress\.conf$|/etc/resolv\.conf$"
)
#: Units of AppStream packages: its file lists are not at hand, only the programs are in primary.
APPSTREAM_UNITS = {"nginx.service": "/usr/sbin/nginx", "php-fpm.service": "/usr/sbin/php-fpm"}
PROGRAMS = (
    "/usr/bin/curl", "/usr/bin/ssh-keygen", "/usr/sbin/restorecon", "/usr/sbin/auditctl",
    "/usr/sbin/ss", "/usr/bin/rpm", "/usr/bin/dracut", "/usr/sbin/semodule",
)  # fmt: skip


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
        ours = (web.files / "usr/lib/systemd/system" / unit).exists()
        if not ours and path not in metadata.owners:
            unknown.append(unit)
    assert unknown == []


def test_programs_that_scripts_and_checks_call_exist(metadata: Metadata) -> None:
    assert [path for path in PROGRAMS if path not in metadata.owners] == []


@pytest.mark.parametrize("policy", ["c9s", "c10s"])
def test_every_selinux_name_exists(real_policies: Path, web: Definition, policy: str) -> None:
    real = json.loads((real_policies / f"{policy}.json").read_text())
    types = {*real["types"], *real["aliases"]}
    used: set[str] = set()
    for module in web.selinux_modules:
        code = re.sub(r";.*", "", module.read_text())
        used |= set(re.findall(r"\b\w+_t\b", code))
    assert used
    assert used - types == set()
    assert set(web.selinux.booleans) - set(real["booleans"]) == set()
