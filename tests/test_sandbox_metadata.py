"""The sandbox against CentOS Stream 9's real metadata: every name and path that it claims."""

from __future__ import annotations

import pytest
from centos import Metadata

from goldpress.sandbox.make import HERE
from goldpress.sandbox.table import Table, load_tables

pytestmark = pytest.mark.metadata

#: Files of ours that CentOS's package of that name has not, and why they have to be there.
OURS = {
    "/etc/pam.d/chpasswd": "Debian's chpasswd asks PAM, CentOS's does not",
    "/usr/lib/rpm/macros.d/macros.sandbox": "says to Debian's rpm where CentOS's database is",
    "/usr/lib/sysusers.d/httpd.conf": "CentOS 9 makes the user by a command",
    "/usr/lib/sysusers.d/nginx.conf": "CentOS 9 makes the user by a command",
    "/usr/lib/tmpfiles.d/openssh.conf": "Debian's sshd wants another empty directory",
}


@pytest.fixture(scope="module")
def table() -> Table:
    return load_tables(HERE)


def centos(table: Table) -> list[str]:
    return [name for name in table.packages if not name.startswith("goldpress-zoo")]


def claimed(table: Table, name: str) -> list[str]:
    """The paths that the table itself puts into a package under CentOS's name."""
    package = table.packages[name]
    paths = [*package.files, *package.links, *package.moves.values(), *package.concatenates]
    paths += [f"/usr/lib/sysusers.d/{file}" for file in package.users]
    paths += [f"/usr/lib/systemd/system/{unit}" for unit in package.units]
    # What depends on the kernel's release is another path in each of CentOS's own kernels.
    return [path for path in paths if "@KERNEL@" not in path]


def test_every_name_is_centos_or_says_that_it_is_not(metadata: Metadata, table: Table) -> None:
    ours = {name for name in centos(table) if table.packages[name].no_counterpart}
    assert {name for name in centos(table) if name not in metadata.names} == ours


def test_every_path_is_one_of_that_centos_package(metadata: Metadata, table: Table) -> None:
    wrong = [
        f"{name}: {path} (CentOS: {', '.join(metadata.owners.get(path, ())) or 'nobody'})"
        for name in centos(table)
        for path in claimed(table, name)
        if path not in OURS
        and metadata.covers(name, path)
        and name not in metadata.owners.get(path, ())
    ]
    assert not wrong


def test_no_exception_is_needless(metadata: Metadata, table: Table) -> None:
    paths = {path for name in centos(table) for path in claimed(table, name)}
    assert set(OURS) <= paths
    assert not [path for path in OURS if path in metadata.owners]


def test_bridges_are_at_places_that_centos_leaves_empty(metadata: Metadata, table: Table) -> None:
    taken = [
        path
        for name in centos(table)
        for path in table.packages[name].bridges
        if path in metadata.owners
    ]
    assert not taken


def test_the_comparison_sees_a_wrong_owner(metadata: Metadata) -> None:
    assert "systemd" not in metadata.owners["/usr/sbin/sshd"]
    assert metadata.covers("openssh-server", "/usr/lib/systemd/system/sshd.service")
    assert metadata.covers("php-fpm", "/usr/sbin/php-fpm")
    assert not metadata.covers("php-fpm", "/usr/lib/systemd/system/php-fpm.service")
