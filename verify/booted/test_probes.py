"""Owns the checks of the probes: all was denied, and what SELinux denied is in the audit log."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from promise import Pool, Promise
from sections import Facts
from selinux import DENIAL, Denial, denials, summary


@dataclass(frozen=True, kw_only=True)
class Denied:
    """What the audit log has to hold of a probe: the class, and what the target's type begins with.

    `permission` is one of those that were denied.
    """

    probe: str
    kind: str
    target: str
    permission: str


def tried(facts: Facts, pool: Pool) -> dict[str, str]:
    """Probe -> `done` or `refused`. A probe that did not run to its end proves nothing."""
    section = facts.good(f"probe-{pool.name}")
    rows = [row.split("\t") for row in section.lines]
    assert rows[-1:] == [["ended"]], f"the probe of {pool.name} did not end: {section.text[-300:]}"
    found = {row[0]: row[1] for row in rows if len(row) > 1}
    able = found.get("own-state")
    assert able == "done", f"the probe of {pool.name} cannot even write its own file: it is {able}"
    return found


def logged(facts: Facts) -> list[Denial]:
    """What was denied while the probes ran."""
    rows = facts.good("probe-log").lines
    assert any("goldpress-probes-begin" in row for row in rows), "the audit log has no beginning"
    assert any("goldpress-probes-end" in row for row in rows), "the audit log has no end"
    return denials(rows)


def check(facts: Facts, promise: Promise, pool: Pool, wanted: list[Denied]) -> list[str]:
    """What is wrong with these probes of a pool."""
    found = tried(facts, pool)
    seen = [denial for denial in logged(facts) if denial.source == pool.domain]
    wrong = [
        f"{pool.name}: {entry.probe} was {found.get(entry.probe, 'not tried')}"
        for entry in wanted
        if found.get(entry.probe) != "refused"
    ]
    for entry in wanted:
        audited = any(
            denial.kind == entry.kind
            and re.fullmatch(entry.target, denial.target)
            and entry.permission in denial.permissions
            for denial in seen
        )
        if entry.target and not audited:
            wrong.append(f"{pool.name}: {entry.probe} left no denial in the audit log")
    assert promise.pools, "the input promises no pool"
    return wrong


def denied(probe: str, kind: str, target: str, permission: str) -> Denied:
    """Shorter to read in a list."""
    return Denied(probe=probe, kind=kind, target=target, permission=permission)


@pytest.mark.control("web-probe-code-denied")
def test_code(facts: Facts, promise: Promise) -> None:
    """A pool cannot write to its code, whatever the file's mode."""
    wrong = []
    for pool in promise.pools:
        code = f"{pool.types}_code_t"
        wrong += check(facts, promise, pool, [denied("code-write", "file", code, "write")])
    assert promise.pools, "the input promises no pool"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("web-probe-programs-denied")
def test_programs(facts: Facts, promise: Promise) -> None:
    """A pool cannot start a shell, nor a program."""
    wrong = []
    for pool in promise.pools:
        wanted = [
            denied("shell", "file", "shell_exec_t", "execute"),
            denied("program", "file", "bin_t", "execute"),
        ]
        wrong += check(facts, promise, pool, wanted)
    assert promise.pools, "the input promises no pool"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("web-probe-network-denied")
def test_network(facts: Facts, promise: Promise) -> None:
    """A pool reaches neither the metadata service nor ssh, and listens nowhere."""
    wrong = []
    for pool in promise.pools:
        if pool.database:
            wanted = [
                denied("connect-metadata", "tcp_socket", "http_port_t", "name_connect"),
                denied("connect-ssh", "tcp_socket", "ssh_port_t", "name_connect"),
                denied("listen", "tcp_socket", r"\w+_port_t", "name_bind"),
            ]
        else:
            names = ("connect-metadata", "connect-ssh", "listen")
            wanted = [denied(name, "tcp_socket", pool.domain, "create") for name in names]
        wrong += check(facts, promise, pool, wanted)
    assert promise.pools, "the input promises no pool"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("web-probe-secrets-denied")
def test_secrets(facts: Facts, promise: Promise) -> None:
    """A pool reads neither passwords nor keys, nor secrets and user data on their way."""
    wrong = []
    for pool in promise.pools:
        wanted = [
            denied("shadow", "file", "shadow_t", "read"),
            denied("host-key", "file", "sshd_key_t", "read"),
            denied("certificate-key", "file", "gp_tls_t", "read"),
            denied("secret", "file", "gp_secret_t", "read"),
            denied("user-data", "file", "gp_run_t", "read"),
        ]
        wrong += check(facts, promise, pool, wanted)
    assert promise.pools, "the input promises no pool"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("web-probe-other-pool-denied")
def test_other_pool(facts: Facts, promise: Promise) -> None:
    """A pool reaches nothing of another: its code, state, sessions, socket or environment."""
    wrong = []
    for index, pool in enumerate(promise.pools):
        other = promise.pools[index - 1]
        wanted = [
            denied("other-state", "file", f"{other.types}_state_t", "read"),
            denied("other-code", "dir", f"{other.types}_(?:code|public)_t", "search"),
            denied("other-socket", "dir", f"{other.types}_run_t", "search"),
            denied("other-environment", "dir", other.domain, "search"),
            # The folder's own mode refuses this one before SELinux is asked.
            denied("other-sessions", "", "", ""),
        ]
        wrong += check(facts, promise, pool, wanted)
    assert len(promise.pools) > 1, "the input promises fewer than two pools"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("os-selinux-probe-denials-only")
def test_probe_denials_only(facts: Facts, promise: Promise) -> None:
    """While the probes ran nobody was denied but the pools."""
    pools = {pool.domain for pool in promise.pools}
    rows = facts.good("probe-log").lines
    found = denials(rows)
    assert found, "no denial at all was logged while the probes ran"
    strangers = sorted({summary(row) for row in rows if DENIAL.search(row)} - known(rows, pools))
    assert not strangers, f"denied beside the probes: {'; '.join(strangers)}"


def known(rows: list[str], pools: set[str]) -> set[str]:
    """The denials of the pools, as `summary` tells them."""
    return {summary(row) for row in rows if any(d.source in pools for d in denials([row]))}
