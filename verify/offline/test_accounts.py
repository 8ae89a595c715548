"""Owns the checks of who may get in, and become whom."""

from __future__ import annotations

from typing import Any

import pytest
from directives import different, pairs, with_password
from sections import Facts
from watched import Watched


@pytest.mark.control("os-sshd-settings")
def test_sshd(tree: Facts, parameters: Watched[Any]) -> None:
    """The ssh server takes keys only, of one account, and forwards nothing."""
    found = pairs(tree.good("sshd").lines, " ")
    wrong = different(found, {k.lower(): v for k, v in parameters["settings"].items()})
    assert not wrong, f"sshd: {'; '.join(wrong)}"


@pytest.mark.control("os-sshd-algorithms")
def test_sshd_algorithms(tree: Facts, parameters: Watched[Any]) -> None:
    """The ssh server offers strong algorithms only."""
    found = pairs(tree.good("sshd").lines, " ")
    wrong = []
    for name, allowed in parameters["allowed"].items():
        offered = [word for word in found.get(name, "").split(",") if word]
        assert offered, f"sshd names no {name}"
        wrong += [f"{name} {word}" for word in offered if word not in allowed]
    assert not wrong, f"sshd offers {', '.join(wrong)}"


@pytest.mark.control("os-accounts")
def test_accounts(tree: Facts, parameters: Watched[Any]) -> None:
    """Only root has its number, and only root and the operator have a shell."""
    rows = [row.split(":") for row in tree.good("passwd").lines]
    roots = [row[0] for row in rows if row[2] == "0"]
    assert roots == ["root"], f"accounts with the number 0: {', '.join(roots)}"
    shells = {"/sbin/nologin", "/usr/sbin/nologin", "/bin/false", "/usr/bin/false"}
    # What some packages give to sync, shutdown and halt is a program and no shell.
    shells |= {"/bin/sync", "/sbin/shutdown", "/sbin/halt"}
    found = sorted(row[0] for row in rows if row[6] not in shells)
    added = sorted(set(found) - set(parameters["with_shell"]))
    assert not added, f"accounts with a shell: {', '.join(added)}"


@pytest.mark.control("identity-no-password")
def test_no_password(tree: Facts) -> None:
    """No account has a password, an empty one or a locked hash included."""
    found = with_password(tree.good("shadow").lines)
    assert not found, f"accounts with a password: {', '.join(found)}"


@pytest.mark.control("os-sudo")
def test_sudo(tree: Facts, parameters: Watched[Any]) -> None:
    """Commands by sudo have a terminal of their own and are logged; only the operator has them."""
    rows = [" ".join(row.split()) for row in tree.good("sudoers").lines if row[:1] != "#"]
    lost = [row for row in parameters["defaults"] if f"Defaults {row}" not in rows]
    assert not lost, f"sudo has not: {', '.join(lost)}"
    free = {row.split()[0] for row in rows if "NOPASSWD" in row}
    assert free == set(parameters["without_password"]), f"without a password: {sorted(free)}"
