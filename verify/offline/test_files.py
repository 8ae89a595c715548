"""Owns the checks of the tree's files: their modes and owners, and what must not be among them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest
from promise import Promise
from sections import Facts
from watched import Watched

#: Programs that would change what is installed on a running machine.
PACKAGE_MANAGERS = re.compile(r"/usr/(?:s?bin|libexec)/(?:dnf|dnf-3|dnf5|microdnf|yum|packagekitd)")
#: Where `~` of an account, root's too, keeps what it typed.
HISTORY = re.compile(r"/\.[^/]*_history$|/\.lesshst$|/\.viminfo$")


@dataclass(frozen=True, kw_only=True)
class File:
    """One file: its type by find's letter, its mode, its owner and group by number, its size."""

    kind: str
    mode: int
    user: int
    group: int
    size: int
    path: str


def files(tree: Facts) -> list[File]:
    """Every file of the tree."""
    found = []
    for row in tree.good("files").lines:
        kind, mode, user, group, size, path = row.split(" ", 5)
        found.append(
            File(
                kind=kind,
                mode=int(mode, 8),
                user=int(user),
                group=int(group),
                size=int(size),
                path=path,
            )
        )
    assert len(found) > 100, f"the tree has {len(found)} files: it is no system"
    return found


def named(found: Iterable[File]) -> str:
    """Their paths, the first ten."""
    paths = sorted(file.path for file in found)
    more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
    return ", ".join(paths[:10]) + more


@pytest.mark.control("os-setuid-files")
def test_setuid_files(tree: Facts, parameters: Watched[Any]) -> None:
    """Only the programs that have to be are run as their owner or group."""
    allowed = set(parameters["allowed"])
    added = [f for f in files(tree) if f.kind == "f" and f.mode & 0o6000 and f.path not in allowed]
    assert not added, f"setuid or setgid, not allowed to be: {named(added)}"


@pytest.mark.control("os-file-capabilities")
def test_file_capabilities(tree: Facts, parameters: Watched[Any]) -> None:
    """Only the programs that have to have a capability of their own."""
    files(tree)
    allowed = set(parameters["allowed"])
    added = [row for row in tree.good("capabilities").lines if row.split()[0] not in allowed]
    assert not added, f"capabilities of files, not allowed: {', '.join(added)}"


@pytest.mark.control("os-world-writable-files")
def test_world_writable(tree: Facts) -> None:
    """Nothing can be written by everybody, but for folders in which each removes only theirs."""
    found = [
        f
        for f in files(tree)
        if f.mode & 0o002 and f.kind in "fd" and not (f.kind == "d" and f.mode & 0o1000)
    ]
    assert not found, f"writable by everybody: {named(found)}"


@pytest.mark.control("os-file-owners")
def test_owners(tree: Facts) -> None:
    """Every file belongs to an account of the image."""
    users = {row.split(":")[2] for row in tree.good("passwd").lines}
    found = [f for f in files(tree) if str(f.user) not in users]
    assert not found, f"of no account: {named(found)}"


@pytest.mark.control("web-code-owned-by-root")
def test_code_is_roots(tree: Facts, promise: Promise) -> None:
    """Applications and their settings belong to root, who alone may write them."""
    places = (*(pool.root for pool in promise.pools), "/etc/nginx", "/etc/goldpress")
    code = [f for f in files(tree) if f.path.startswith(tuple(f"{p}/" for p in places))]
    for place in places:
        assert any(f.path.startswith(f"{place}/") for f in code), f"{place} has no file"
    wrong = [f for f in code if f.user != 0 or (f.mode & 0o022 and f.kind != "l")]
    assert not wrong, f"not root's alone: {named(wrong)}"


@pytest.mark.control("identity-machine-id-baked-empty")
def test_machine_id(tree: Facts) -> None:
    """The image's own /etc/machine-id is an empty file: not absent, and nobody's id."""
    found = [(f.kind, f.size) for f in files(tree) if f.path == "/etc/machine-id"]
    assert found == [("f", 0)], f"/etc/machine-id: {found or 'absent'}, not an empty file"


@pytest.mark.control("identity-no-baked-host-key")
def test_no_host_key(tree: Facts) -> None:
    """The image holds no ssh host key."""
    found = [f for f in files(tree) if f.path.rpartition("/")[2].startswith("ssh_host_")]
    assert not found, f"host keys in the tree: {named(found)}"


@pytest.mark.control("identity-no-baked-login-key")
def test_no_login_key(tree: Facts) -> None:
    """The image lets nobody in by key."""
    found = [f for f in files(tree) if re.search(r"/authorized_keys\d?$|/\.ssh/", f.path)]
    assert not found, f"login keys in the tree: {named(found)}"


@pytest.mark.control("identity-no-history")
def test_no_history(tree: Facts) -> None:
    """The image holds nobody's shell history."""
    found = [f for f in files(tree) if HISTORY.search(f.path)]
    assert not found, f"histories in the tree: {named(found)}"


@pytest.mark.control("identity-no-secret")
def test_no_secret(tree: Facts, parameters: Watched[Any]) -> None:
    """No private key and no access key of AWS lies in a place of settings or code."""
    allowed = parameters["allowed"]
    rows = tree.good("secrets").lines
    found = [row for row in rows if not any(fnmatchcase(row, shape) for shape in allowed)]
    assert not found, f"secrets in the tree: {', '.join(found)}"


@pytest.mark.control("identity-no-residue")
def test_no_residue(tree: Facts) -> None:
    """No log, lease, random seed, or cache of whoever built the image."""
    places = re.compile(
        r"/var/(?:log|tmp|cache)/.|/tmp/.|/var/lib/(?:NetworkManager|dhclient|cloud|rpm-state)/."
        r"|/var/lib/systemd/(?:random-seed|credential\.secret)$|/root/\.(?:bash_history|cache)"
    )
    found = [f for f in files(tree) if f.kind == "f" and places.match(f.path)]
    assert not found, f"left by the build: {named(found)}"


@pytest.mark.control("os-no-package-manager")
def test_no_package_manager(tree: Facts) -> None:
    """Nothing invites to patch a running machine: no package manager, no repository."""
    found = [
        f
        for f in files(tree)
        if PACKAGE_MANAGERS.fullmatch(f.path)
        or (f.path.startswith("/etc/yum.repos.d/") and f.size and f.kind == "f")
    ]
    assert not found, f"for changing packages: {named(found)}"


@pytest.mark.control("os-rpm-integrity")
def test_rpm_integrity(tree: Facts, parameters: Watched[Any]) -> None:
    """What packages installed is as they installed it, but for what is declared."""
    declared = parameters["declared"]
    rows = tree.good("rpm").lines
    assert any("/" in row for row in rows), "rpm --verify names nothing, not even what is declared"
    found = [
        row
        for row in rows
        if not any(fnmatchcase("/" + row.partition("/")[2], shape) for shape in declared)
    ]
    assert not found, f"changed since its installation: {'; '.join(found[:10])}"
