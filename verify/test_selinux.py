"""Owns the checks of SELinux: on, and nothing runs outside its domains."""

from __future__ import annotations

import re

import pytest
from facts import Facts
from promise import Promise

DENIAL = re.compile(r"avc: +denied|type=(?:SELINUX_ERR|1401)\b")
ACCESS = re.compile(
    r"avc: +denied +\{ (?P<perms>[^}]*) \}.*? scontext=(?P<source>\S+)"
    r" tcontext=(?P<target>\S+) tclass=(?P<class>\w+)"
)
COMMAND = re.compile(r'comm="([^"]*)"')
#: The kernel's records of the policy load, which every enforcing boot writes: without them the
#: place where denials would show was not readable.
POLICY_LOAD = re.compile(r"type=(?:1403|MAC_POLICY_LOAD)\b|\bSELinux: +policy capability")
UNCONFINED_SERVICES = {"unlabeled_t", "unconfined_service_t", "initrc_t"}


def summary(row: str) -> str:
    """A denial as `source target:class { permissions } (command)`; other records as they are."""
    match = ACCESS.search(row)
    if match is None:
        return row.strip()
    source, target = (match[name].split(":")[2] for name in ("source", "target"))
    comm = COMMAND.search(row)
    by = f" ({comm[1]})" if comm else ""
    return f"{source} {target}:{match['class']} {{ {match['perms']} }}{by}"


def domains(facts: Facts) -> list[tuple[str, str]]:
    """(domain, command name) of every process."""
    rows = [row.split(" ", 2) for row in facts.good("processes").lines]
    assert rows, "no process was seen"
    return [
        (label.split(":")[2] if label.count(":") > 1 else label, comm) for _, label, comm in rows
    ]


@pytest.mark.control("os-selinux-enforcing")
def test_enforcing(facts: Facts) -> None:
    """SELinux enforces."""
    found = facts.good("selinux-enforce").text
    assert found == "1", f"/sys/fs/selinux/enforce is {found!r}"


@pytest.mark.control("os-selinux-targeted")
def test_configured_enforcing_and_targeted(facts: Facts) -> None:
    """The configuration says enforcing and targeted, so a reboot keeps both."""
    rows = [row.strip() for row in facts.good("selinux-config").lines]
    settings = dict(row.split("=", 1) for row in rows if "=" in row and not row.startswith("#"))
    found = (settings.get("SELINUX"), settings.get("SELINUXTYPE"))
    assert found == ("enforcing", "targeted"), f"/etc/selinux/config says {found}"


@pytest.mark.control("os-selinux-booleans")
def test_booleans(facts: Facts, promise: Promise) -> None:
    """The promised booleans have their values, and none waits to be changed."""
    found = {}
    pending = []
    for row in facts.good("selinux-booleans").lines:
        name, now, later = row.split()
        found[name] = now == "1"
        if now != later:
            pending.append(name)
    wrong = [f"{n} is {found.get(n)}" for n, v in promise.booleans.items() if found.get(n) is not v]
    assert not wrong, f"not as promised: {', '.join(wrong)}"
    assert not pending, f"changed and not committed: {', '.join(pending)}"


@pytest.mark.control("os-selinux-no-unconfined-service")
def test_no_process_without_a_domain(facts: Facts) -> None:
    """No process runs unlabelled or in a domain that stands for "none was chosen"."""
    found = sorted({f"{comm} in {d}" for d, comm in domains(facts) if d in UNCONFINED_SERVICES})
    assert not found, f"outside every domain: {', '.join(found)}"


@pytest.mark.control("os-selinux-init-domain")
def test_only_systemd_runs_as_init(facts: Facts) -> None:
    """In init_t runs systemd and nothing else: a service there failed its domain transition."""
    found = {comm for domain, comm in domains(facts) if domain == "init_t"}
    assert found == {"systemd"}, f"in init_t run {sorted(found)}"


@pytest.mark.control("web-nginx-domain")
def test_nginx_domain(facts: Facts) -> None:
    """Every nginx process runs in httpd_t."""
    found = {domain for domain, comm in domains(facts) if comm == "nginx"}
    assert found == {"httpd_t"}, f"nginx runs in {sorted(found) or 'no process'}"


@pytest.mark.control("web-php-domain")
def test_php_domain(facts: Facts) -> None:
    """Every PHP-FPM process runs in httpd_t."""
    found = {domain for domain, comm in domains(facts) if comm.startswith("php-fpm")}
    assert found == {"httpd_t"}, f"php-fpm runs in {sorted(found) or 'no process'}"


@pytest.mark.control("os-selinux-no-denial")
def test_no_denial(facts: Facts) -> None:
    """SELinux has denied nothing since the boot, this look at the machine included."""
    rows = facts.good("denials").lines
    assert any(POLICY_LOAD.search(row) for row in rows), "no audit record could be read at all"
    denied = sorted({summary(row) for row in rows if DENIAL.search(row)})
    assert not denied, f"denied: {'; '.join(denied)}"
